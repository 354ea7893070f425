"""What this host lets a process use."""


def available_cores() -> int:
    """Return the number of cores this process may use: affinity and a container's CPU quota count.

    ``LOKY_MAX_CPU_COUNT`` lowers it, as for everything that joblib starts.
    """
    from joblib import cpu_count  # not above: --help would wait for joblib
    return cpu_count()
