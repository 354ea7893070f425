"""What a command takes while it runs: time, memory and open files of all its processes."""

import contextlib
import resource
import subprocess
import threading
import time
from typing import Iterator

import psutil

from benchmarks.timing import family_of, kill_all
from common.cli import CheckFailed
from common.host_forms import Resources

POLL_SECONDS = 0.2


def run_measured(*command: object) -> tuple[str, Resources]:
    """Run the command to its end; return what it printed, and what it took.

    What it writes to stderr, such as progress, appears as it is written.

    Raises:
        CheckFailed: it ended with an error; the message holds the last line that it printed.
    """
    words = [str(word) for word in command]
    # In a session of its own, or a Ctrl-C in the terminal would make it print a line, too.
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as running:
        try:
            with _measuring(running.pid) as resources:
                printed, _ = running.communicate()
        except BaseException:  # Ctrl-C: its processes must end, too
            kill_all(family_of(running.pid))
            raise
    if running.returncode != 0:
        last = printed.splitlines()[-1:] or ["its error is above"]
        raise CheckFailed(f"{' '.join(words[1:4])} ended with {running.returncode}: {last[0]}")
    return printed, resources


@contextlib.contextmanager
def _measuring(pid: int) -> Iterator[Resources]:
    """Fill in the resources of process ``pid`` until the block is left."""
    resources, ended = Resources(), threading.Event()

    def poll() -> None:
        while not ended.wait(POLL_SECONDS):
            _add_sample(resources, pid)

    thread = threading.Thread(target=poll)
    start, cpu_start = time.perf_counter(), _cpu_seconds_of_children()
    thread.start()
    try:
        yield resources
    finally:
        resources.seconds = time.perf_counter() - start
        resources.cpu_seconds = _cpu_seconds_of_children() - cpu_start
        ended.set()
        thread.join()


def _cpu_seconds_of_children() -> float:
    """Return those of all processes that have ended and been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _add_sample(resources: Resources, pid: int) -> None:
    memory = []
    for process in family_of(pid):
        with contextlib.suppress(psutil.Error):  # it ends while it is examined
            memory.append(process.memory_info().rss)
            resources.open_files = max(resources.open_files, process.num_fds())
    resources.peak_bytes = max(resources.peak_bytes, sum(memory))
    resources.largest_bytes = max(resources.largest_bytes, *memory, 0)
    resources.processes = max(resources.processes, len(memory))
