"""What this host lets a process use."""

import resource


def available_cores() -> int:
    """Return the number of cores this process may use: affinity and a container's CPU quota count.

    ``LOKY_MAX_CPU_COUNT`` lowers it, as for everything that joblib starts.
    """
    from joblib import cpu_count  # not above: --help would wait for joblib
    return cpu_count()


def raise_open_file_limit() -> None:
    """Raise the soft limit on open files to the hard one: a record set of 144 shards needs more
    than the usual 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
