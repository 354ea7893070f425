"""What MindSpore 2.10 logs when ranks start, join and end well, and what reads like trouble.

The launcher leaves these lines in the logs of the ranks and prints all others: errors, and warnings
that are not known.
"""

import re

# File of MindSpore and how the message begins.
_KNOWN = (
    # Ranks try to reach the scheduler until it is there; every hundredth time, it is shown.
    ("cluster/rpc/tcp/tcp_comm.cc", r"Connection \d+ source: "),
    ("cluster/topology/compute_graph_node.cc", "Failed to connect to the meta server node url: "),
    ("cluster/topology/compute_graph_node.cc", "Failed to register and try to reconnect to "),
    ("cluster/topology/cluster_context.cc", r"Topology build timed out\., retry\((?!\d*00/)"),
    ("cluster/topology/cluster_context.cc", "Cluster is successfully initialized"),
    ("cluster/topology/cluster_context.cc", r"This node \d+ rank id: "),
    ("include/cluster/rpc/libevent_tcp_server.h", "TcpConnection is constructed"),
    # A group that is there already: MindSpore makes the one of all ranks three times.
    (r"plugin/cpu/res_manager/collective/\w+.cc", "The worker node start sync start"),
    (r"plugin/cpu/res_manager/collective/\w+.cc", r"The group \w+ has already existed"),
    (r"plugin/cpu/res_manager/collective/\w+.cc", r".* for group \w+ has already been initialized"),
    ("runtime/hardware_abstract/collective/collective_manager.cc",
     "Create collective communication group: "),
    # Of its own operators, in its own optimisers.
    ("common/_decorator.py", r"'\w+' is deprecated from version"),
    # At the end.
    (r"cluster/rpc/core/communicator/tcp_\w+.cc", "Event base dispatch success"),
)
_HARMLESS = re.compile(r"\[(?:INFO|WARNING)\] \w+\([^)]*\):\S+ \[mindspore/(?:ccsrc/)?(?:"
                       + "|".join(rf"{file}:\d+\] (?:\w+\] )?{message}" for file, message in _KNOWN)
                       + ")")


def without_harmless(text: str) -> str:
    """Return the text without its lines that are known to be harmless."""
    return "\n".join(line for line in text.split("\n") if not _HARMLESS.match(line))
