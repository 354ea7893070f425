"""What this host lets a process use: cores and open files."""

import math
import os
import resource
from pathlib import Path
from typing import Optional

_CGROUP = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return the number of cores this process may use: affinity and a container's CPU quota count.

    ``LOKY_MAX_CPU_COUNT`` lowers it, as for everything that joblib starts.
    """
    from joblib import cpu_count  # not above: --help would wait for joblib
    return cpu_count()


def cores_per_rank(local_ranks: int, sharing_ranks: Optional[int] = None) -> int:
    """Return the number of cores, at least 1, of one of ``local_ranks`` processes on this host.

    The cores that this process may use are divided by ``sharing_ranks``, the number of ranks that
    may use the same, itself included: 1 where msrun's ``--bind_core`` or taskset has bound each
    rank to cores of its own, all where the job as a whole is bound, or nothing. The quota of the
    container is shared by all ranks in any case.
    """
    cores = available_cores() // (sharing_ranks or local_ranks)
    return max(1, min(cores, (_quota() or local_ranks * cores) // local_ranks))


def _quota() -> Optional[int]:
    """Return the cores that the container's quota allows, rounded up as by joblib; None without."""
    try:  # cgroup v2: "max 100000" or "1600000 100000"
        quota, period = (_CGROUP / "cpu.max").read_text(encoding="ascii").split()
    except FileNotFoundError:
        try:
            quota, period = ((_CGROUP / "cpu" / name).read_text(encoding="ascii").strip()
                             for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
        except FileNotFoundError:
            return None
    return None if quota in ("max", "-1") else math.ceil(int(quota) / int(period))


def open_file_limit() -> int:
    """Return the number of files that this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def open_files() -> int:
    """Return the number of files, pipes and sockets that this process has open."""
    return len(os.listdir("/proc/self/fd"))


def raise_open_file_limit() -> None:
    """Raise the soft limit on open files to the hard one: reading a record set of 144 shards takes
    more than the usual 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
