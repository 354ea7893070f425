"""The job of one row of ``python -m benchmarks feed``, and how its speed is measured."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, List

from common.cli import CheckFailed
from convert.records.reader import RecordSet, open_records


@dataclass(frozen=True)
class FeedJob:
    """Read one epoch of images in random order, crop and mirror them at random, batch them.

    Attributes:
        row: name of the feed, a key of ``FEEDS``.
        data: folder that holds ``train/<class>/<image>`` and the record set ``records/``.
        image_size: side of the crops in pixels.
        workers: threads or processes that decode.
        images: in ``data``.
        skip: batches at either end of the epoch that are not timed: buffers fill in the first
            ones and are emptied in the last ones.
    """

    row: str
    data: str
    batch_size: int
    image_size: int
    workers: int
    images: int
    skip: int

    @property
    def train(self) -> Path:
        return Path(self.data) / "train"

    def records(self) -> RecordSet:
        return open_records(Path(self.data) / "records")

    @property
    def timed_images(self) -> int:
        return (self.images // self.batch_size - 2 * self.skip) * self.batch_size

    @property
    def paths(self) -> List[Path]:
        return sorted(self.train.glob("*/*"))


def steady_seconds(batches: Iterator[Any], job: FeedJob) -> float:
    """Return the seconds from the arrival of the last batch skipped to that of the last one timed.

    Args:
        batches: the images of each batch, anything with a ``shape``.

    Raises:
        CheckFailed: a batch of another size, or fewer batches than the images make.
    """
    last = job.images // job.batch_size - job.skip
    start = time.perf_counter()
    for number, images in enumerate(batches, start=1):
        if math.prod(images.shape) != job.batch_size * job.image_size ** 2 * 3:
            raise CheckFailed(f"{job.row} gave a batch of shape {tuple(images.shape)}")
        if number == job.skip:
            start = time.perf_counter()
        if number == last:
            return time.perf_counter() - start
    raise CheckFailed(f"{job.row} ended before batch {last}")
