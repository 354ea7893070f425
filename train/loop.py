"""The steps of one epoch: fed by the host, or in sink mode through a queue on the device."""

import time
from typing import Iterator, NamedTuple, Optional

import mindspore as ms
import mindspore.dataset as ds

from common.cli import RequestError
from train.step import TrainStep


class StepResult(NamedTuple):
    """A step that was started; the loss may still be on its way from the device."""

    loss: ms.Tensor  # float32 ()
    waited: Optional[float]  # seconds for its data; None where the device waits, not the host


def host_steps(step: TrainStep, feed: ds.Dataset) -> Iterator[StepResult]:
    """Hand each batch of ``feed`` to ``step``."""
    batches = feed.create_tuple_iterator(num_epochs=1)
    while True:
        start = time.perf_counter()
        batch = next_batch(batches)
        if batch is None:
            return
        waited = time.perf_counter() - start
        yield StepResult(step(*batch), waited)


def next_batch(batches: Iterator) -> Optional[tuple[ms.Tensor, ms.Tensor]]:
    """Images and labels, or None at the end; RequestError for an image that cannot be read."""
    try:
        return next(batches, None)
    except RuntimeError as error:
        told = [line for line in str(error).splitlines() if line.strip(" -")]
        raise RequestError(f"the feed of training images failed ({' '.join(told)[:300]}); see "
                           "what is damaged with: python -m convert verify --deep RECORDS"
                           ) from error


def sink_steps(step: TrainStep, feed: ds.Dataset, steps: int, batch: tuple[ms.Tensor, ms.Tensor]
               ) -> Iterator[StepResult]:
    """Let the device take the batches itself from a queue that MindSpore fills beside it.

    The step's own graph stays the one that was compiled, whatever queue an epoch has; a graph
    that held the queue would be compiled anew for each epoch, minutes on Ascend.

    Args:
        batch: of the shapes and types that ``feed`` gives.
    """
    feed.__total_batch__ = steps  # else the queue is filled on with the epoch's beginning
    take = ms.data_sink(step, feed, sink_size=1, input_signature=batch)
    try:
        for _ in range(steps):
            yield StepResult(take(), None)
    finally:  # as mindspore.train.Model ends: else threads and up to 2 GB of batches stay
        feed.__transfer_dataset__.stop_send()
        feed.__transfer_dataset__.release()
