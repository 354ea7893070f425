"""MindSpore's profiler around some steps of a run."""

import sys
from pathlib import Path
from typing import Generator, Iterator

import mindspore as ms

from common.text import one_line
from train.step import StepResult

UNPROFILED_STEPS = 10  # the first ones wait for the feed to fill its queues, for one
LONGEST_REASON = 300  # characters of the profiler's error


def profiled(results: Iterator[StepResult], steps: int, folder: Path) -> Iterator[StepResult]:
    """Yield the results, with MindSpore's profiler around ``steps`` of them after the first
    UNPROFILED_STEPS; what it measures goes to a folder of its own for each rank in ``folder``."""
    profiler = _profiler(steps, folder)
    next(profiler, None)
    try:
        for result in results:
            yield result
            next(profiler, None)
    finally:
        profiler.close()


def _profiler(steps: int, folder: Path) -> Generator[None, None, None]:
    """Start the profiler, tell it of a step with each further ``next``, and stop it at the end. If
    it fails, warn and leave it out: neither the epoch nor the other ranks' is worth losing."""
    try:
        profiler = ms.profiler.profile(
            schedule=ms.profiler.schedule(wait=UNPROFILED_STEPS - 1, warmup=1, active=steps,
                                          repeat=1),
            on_trace_ready=ms.profiler.tensorboard_trace_handler(str(folder)))
        try:
            while True:
                yield
                profiler.step()
        finally:
            profiler.stop()
    except Exception as error:  # of the profiler's own kinds, too, which have no common base
        print(f"warning: --profile: MindSpore's profiler failed ({type(error).__name__}: "
              f"{one_line(error, LONGEST_REASON)}); the run continues without it, {folder} may be "
              "incomplete", file=sys.stderr, flush=True)
