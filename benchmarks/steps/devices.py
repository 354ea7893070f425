"""Which device the training runs of a benchmark will get.

``python -m benchmarks.steps.devices auto|CPU|Ascend`` prints it as JSON: asked in a process
of its own, since a process that has opened a card would keep it from the runs.
"""

import json
import sys
from typing import NamedTuple, Optional

from benchmarks.timing import run_process
from common.cli import RequestError


class Target(NamedTuple):
    """What limits the runs."""

    name: str  # "CPU" or "Ascend"
    supports_sink: bool
    cards: Optional[int]  # of this machine; None: ranks are processes that share the CPU


def find_device(choice: str) -> Target:
    """Return the device that ``choice`` means here; raise RequestError if there is none."""
    printed = run_process(sys.executable, "-m", "benchmarks.steps.devices", choice)
    found = json.loads(printed.splitlines()[-1])
    if "error" in found:
        raise RequestError(found["error"])
    return Target(**found)


def main() -> None:
    try:
        print(json.dumps(_ask(sys.argv[1])._asdict()))
    except RequestError as error:
        print(json.dumps({"error": str(error)}))


def _ask(choice: str) -> Target:
    import mindspore as ms

    from inceptionv4.device import setup_device
    device = setup_device(choice)
    cards = ms.device_context.ascend.device_count() if device.name == "Ascend" else None
    return Target(device.name, device.supports_sink, cards)


if __name__ == "__main__":
    main()
