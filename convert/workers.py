"""Worker processes, through joblib, that end with this process and leave no traceback."""

import contextlib
import os
import signal
import threading
import time
import warnings
from functools import cache
from multiprocessing import resource_tracker
from typing import Any, Callable, Generator, Iterator

from joblib import Parallel
from joblib.parallel import LokyBackend, get_active_backend

from common.signals import holding_signals_back

POLL_SECONDS = 1


def results_of_workers(tasks: list, **options: Any) -> Generator[Any, None, None]:
    """Yield the results of the tasks, in order, as joblib's worker processes finish them.

    A signal interrupts this process only when the workers have all they need to start: one that is
    cut off from it before prints a traceback.

    Args:
        options: of ``Parallel``.
    """
    with contextlib.ExitStack() as stack:
        with holding_signals_back(), _starting_workers():
            if isinstance(get_active_backend()[0], LokyBackend):  # not those of a cluster
                tasks = [(_run_while_parent_lives, (os.getpid(), function, *args), keywords)
                         for function, args, keywords in tasks]
            results = Parallel(return_as="generator", **options)(tasks)
            stack.callback(_end_workers, results)
        yield from results


def _run_while_parent_lives(parent: int, function: Callable, *args: Any, **keywords: Any) -> Any:
    if os.getpid() != parent:  # with one worker, joblib starts no process
        _end_with(parent)
    return function(*args, **keywords)


@cache  # once in each worker
def _end_with(parent: int) -> None:
    """End this process when its parent is gone, killed without a chance to end its workers: they
    would build their shards to the end, and hold the pipe that the command's output goes to. The
    parent may be gone before the first task of a worker that was just starting."""
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()


def _end_workers(results: Generator[Any, None, None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib's, that some results were not used
        results.close()


@contextlib.contextmanager
def _starting_workers() -> Iterator[None]:
    """Start processes that a Ctrl-C in the terminal leaves alone: it reaches all of its processes,
    but ending the workers is for this one to do, without a traceback of each."""
    resource_tracker.ensure_running()  # when joblib starts it, it unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
