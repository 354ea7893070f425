"""One timed run of a training feed whose card is simulated: a step is a wait.

``python -m benchmarks.steps.simulated_card MS …`` is given the step's milliseconds, and then the
arguments of ``python -m train``, so that its feed is the trainer's. It copies each batch once, as
to a card, waits until the step has ended, and prints as JSON when each step ended and the CPU time
of it all. A wait leaves all cores to the feed, as a card does; what else the host does for a step,
such as starting it, is left out.
"""

import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Optional

import numpy as np

from benchmarks.steps.training_runs import Workload, train_flags
from benchmarks.timing import run_process
from common.cli import run_command
from train.options import parse

QUEUE_BATCHES = 2  # of sink mode's queue: one of the step that runs, one that is filled meanwhile


class SimulatedRun(NamedTuple):
    """What a run gave; ``figures_of`` computes it."""

    seconds: list[float]  # per step, of each epoch measured
    waiting: float  # share of their time in which the card had no batch
    cores: float  # CPU time of the feed per time of the card's steps, at the card's full speed


def run_simulated(workload: Workload, step_ms: float, data: list[object], work: Path,
                  environment: Mapping[str, str] = {}) -> SimulatedRun:
    """Feed the simulated card in a process of its own.

    Args:
        data: flags of ``python -m train``, its data and how it is fed.
        environment: variables that replace this process's own.

    Raises:
        CheckFailed: the run failed.
    """
    flags = train_flags(replace(workload, device="CPU"), work / "run")
    printed = run_process(sys.executable, "-m", "benchmarks.steps.simulated_card", step_ms, *flags,
                          *data, environment=environment)
    ends, cpu_seconds = json.loads(printed.splitlines()[-1])
    return figures_of(ends, cpu_seconds, workload, step_ms / 1000)


def figures_of(ends: list[float], cpu_seconds: float, workload: Workload, step_seconds: float
               ) -> SimulatedRun:
    """Return the figures of a run.

    Args:
        ends: when each of its steps ended, those of the warm-up too, in seconds.
        cpu_seconds: what the feed of all of them took.
    """
    steps, first = workload.steps_per_epoch, workload.warmup_epochs * workload.steps_per_epoch
    epochs = ends[first - 1::steps]  # when the last epoch of the warm-up ended, and each later one
    seconds = [(end - start) / steps for start, end in zip(epochs, epochs[1:])]
    busy = step_seconds * (len(ends) - first) / (ends[-1] - ends[first - 1])
    return SimulatedRun(seconds, max(0.0, 1 - busy), cpu_seconds / len(ends) / step_seconds)


def fed_by_the_host(batches: Iterable[Any], step_seconds: float) -> Iterator[float]:
    """Yield when each step ended: without sink mode, the host fetches a batch when the last step
    has ended, copies it to the card and starts the next one.

    Args:
        batches: of images, anything with ``asnumpy``, and labels.
    """
    memory = None
    for images, _ in batches:
        memory = _copy(images, memory)
        time.sleep(step_seconds)
        yield time.perf_counter()


def fed_by_a_queue(batches: Iterable[Any], step_seconds: float) -> Iterator[float]:
    """Yield when each step ended: in sink mode, the card takes the batches from a queue, which is
    filled while a step runs. A step starts when the last one has ended and its batch is there,
    whenever this thread wakes up.

    Args:
        batches: as for ``fed_by_the_host``; they are made in the thread that fills the queue.
    """
    free: SimpleQueue = SimpleQueue()  # memory for batches: arrays, at first none
    filled: SimpleQueue = SimpleQueue()  # when the batch was there and its array; at last what ends
    for _ in range(QUEUE_BATCHES):
        free.put(None)
    threading.Thread(target=_fill, args=(batches, free, filled), daemon=True).start()
    end = -np.inf
    while True:
        ready, memory = filled.get()
        if ready is None:
            if memory is not None:
                raise memory
            return
        end = float(max(end, ready) + step_seconds)
        time.sleep(max(0.0, end - time.perf_counter()))
        free.put(memory)
        yield end


def _fill(batches: Iterable[Any], free: SimpleQueue, filled: SimpleQueue) -> None:
    """Copy each batch to free memory and hand that over; at last None with the error or None."""
    try:
        for images, _ in batches:
            memory = _copy(images, free.get())
            filled.put((time.perf_counter(), memory))
        filled.put((None, None))
    except BaseException as error:  # raised where the queue is read
        filled.put((None, error))


def _copy(images: Any, memory: Optional[np.ndarray]) -> np.ndarray:
    """Copy the images to ``memory`` and return it; None: to an array that is made for them."""
    pixels = images.asnumpy()
    memory = np.empty_like(pixels) if memory is None else memory
    np.copyto(memory, pixels)
    return memory


def main() -> None:
    step_seconds = float(sys.argv.pop(1)) / 1000
    request, recipe = parse()
    from train.feed import TrainingFeed
    from train.source import open_data
    source, _ = open_data(request)
    feed = TrainingFeed(source, recipe, recipe.steps_per_epoch * recipe.epochs)
    run = fed_by_a_queue if request.sink else fed_by_the_host
    before = time.process_time()
    ends = list(run(feed.batches(1), step_seconds))
    print(json.dumps([ends, time.process_time() - before]))


if __name__ == "__main__":
    sys.exit(run_command(main))
