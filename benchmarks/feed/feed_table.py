"""How fast images become training batches: the feed alone, on local files and a slow mount. And how
well the orders of images mix: the classes of a batch, and which images share two batches."""

import math
import shutil
import statistics
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Iterable, NamedTuple

import numpy as np

from benchmarks.feed.feeds import (ADSL_FEED, FEEDS, MINDSPORE_ROWS, OURS, OURS_BY_SHARD, FeedJob,
                                   run_row)
from benchmarks.feed.storage import (OPEN_MS, READ_MS, SLOW, WARM, Storage, describe_mount,
                                     fill_cache, storages)
from benchmarks.synthetic import make_folders_and_records
from benchmarks.table import describe_machine
from benchmarks.timing import not_installed, time_rows
from common.cli import RequestError
from common.forms import SpeedRow, SpeedTable
from common.host import available_cores
from common.options import CheckedOptions, option
from common.text import counted
from convert.records.reader import RecordSet
from inceptionv4 import IMAGE_SIZE, SMALLEST_IMAGE
from train.recipe import Recipe

# MindSpore's model zoo, InceptionV4 on 8 x Ascend 910, 128 images per step on each.
ASCEND_CARDS, ASCEND_IMAGES_PER_SECOND = 8, 4430


@dataclass(frozen=True)
class FeedRequest(CheckedOptions):
    """What ``python -m benchmarks feed`` measures."""

    out: Path = option(help="result folder; also where the images are made and removed (four "
                            "times their size is needed)")
    images: int = option(12_000, "how many JPEGs, of about 115 KB each", low=1)
    repeats: int = option(3, "repeats of each row, in turns with the others", low=1)
    workers: int = option(0, "threads or processes that decode; 0: all cores", low=0)
    batch_size: int = option(128, "images per batch", low=2)
    image_size: int = option(IMAGE_SIZE, "side of the crops in pixels", low=SMALLEST_IMAGE)
    skip: int = option(20, "batches at either end that are not timed", low=1)
    open_ms: float = option(OPEN_MS, "slow mount: delay of each open", low=0)
    read_ms: float = option(READ_MS, "slow mount: delay per 128 KB read", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        least = self.batch_size * (2 * self.skip + 1)
        if self.images < least:
            raise RequestError(f"--images {self.images}: with --batch-size {self.batch_size} "
                               f"and --skip {self.skip} give at least {least}")
        if self.workers > available_cores():
            raise RequestError(f"--workers {self.workers}: give at most {available_cores()}, the "
                               "cores of this machine")


def benchmark_feeds(request: FeedRequest) -> SpeedTable:
    """Time each section's rows in turns, each run in a process of its own; what is made in
    ``request.out`` is removed."""
    data = request.out / "work" / "data"
    workers = request.workers or available_cores()
    make_folders_and_records(data, request.images, workers)
    job = FeedJob("", str(data), request.batch_size, request.image_size, workers, request.images,
                  request.skip)
    rows = [row for storage in storages(data, request.open_ms, request.read_ms)
            for row in time_section(storage, MINDSPORE_ROWS if storage.title == SLOW else FEEDS,
                                    job, request.repeats)]
    closing = [*cores_needed(rows, job.timed_images, workers),
               *describe_mixes(job.records(), request.batch_size, workers)]
    shutil.rmtree(data.parent)
    return SpeedTable(
        "Feed of training batches", job.timed_images, "images", rows, describe_machine(request.out),
        {"repeats": request.repeats, "workers": workers, "images": request.images,
         "batch": request.batch_size, "crop": f"{request.image_size} px",
         "not timed": f"first and last {request.skip} batches",
         "slow mount": describe_mount(request.open_ms, request.read_ms)},
        "rate", closing)


def time_section(storage: Storage, names: Iterable[str], job: FeedJob, repeats: int
                 ) -> list[SpeedRow]:
    """Time the rows of those names, reading from one storage."""
    reasons = {name: storage.unavailable_reason or not_installed(*FEEDS[name].modules,
                                                                 install=FEEDS[name].install)
               for name in names}

    def run(name: str) -> float:
        with storage.reading() as data:
            return run_row(replace(job, row=name, data=str(data)))

    fill_cache(Path(job.data))
    return time_rows({name: partial(run, name) for name in names}, repeats, storage.title,
                     reasons=reasons)


def cores_needed(rows: list[SpeedRow], images: int, workers: int) -> list[str]:
    """Say how many cores would feed eight cards, for the original report's feed and this project's,
    if the rate grew in proportion to the ``workers`` that were timed."""
    cores = {row.name: ASCEND_IMAGES_PER_SECOND * workers * statistics.median(row.seconds) / images
             for row in rows if row.section == WARM and row.seconds}
    return [f"{name}: {math.ceil(cores[name])} such cores feed {ASCEND_CARDS} x Ascend 910 at "
            f"{ASCEND_IMAGES_PER_SECOND:,} images/s"
            for name in (ADSL_FEED, OURS, OURS_BY_SHARD) if name in cores]


class Mix(NamedTuple):
    """Means over an epoch's batches, and over its images."""

    classes: float  # different ones in a batch
    largest_share: float  # of a batch that its commonest class has
    repeated: float  # share of an image's batch that is in its next epoch's batch as well

    def describe(self) -> str:
        return (f"{self.classes:.1f} classes in a batch, the commonest with "
                f"{self.largest_share:.1%} of it; {self.repeated:.2%} of an image's batch is "
                "with it again in the next epoch")


def describe_mixes(records: RecordSet, batch_size: int, workers: int) -> list[str]:
    """Say for each order of the training feed how the first two epochs of one rank mix."""
    per_shard = counted(records.images // len(records.files), "image")
    shards = f"{counted(len(records.files), 'shard')} of about {per_shard}"
    lines = []
    for shuffle in ("global", "shard"):
        recipe = Recipe(ranks=1, batch_size=batch_size, workers=workers, shuffle=shuffle)
        mix = mix_of(_order(records, recipe, 1), _order(records, recipe, 2), batch_size)
        lines.append(f"{shuffle} order ({shards}, {counted(len(records.class_names), 'class')}): "
                     f"{mix.describe()}")
    return lines


def _order(records: RecordSet, recipe: Recipe, epoch: int) -> np.ndarray:
    """Return int (images, 2): label and id of each image, in the order of the epoch."""
    from train.feed import epoch_rows  # loads MindSpore
    rows = epoch_rows(records, recipe, epoch, columns=("label", "image_id"))
    return np.array([[int(label), int(image_id)] for label, image_id in
                     rows.create_tuple_iterator(num_epochs=1, output_numpy=True)])


def mix_of(first: np.ndarray, second: np.ndarray, batch_size: int) -> Mix:
    """Return the mix of two epochs.

    Args:
        first, second: int (images, 2): label and id of each image, in the order of the epoch.
    """
    whole = len(first) // batch_size * batch_size
    first, second = first[:whole], second[:whole]
    counts = [np.bincount(labels) for labels in first[:, 0].reshape(-1, batch_size)]
    batches = np.arange(whole) // batch_size
    _, at_first, at_second = np.intersect1d(first[:, 1], second[:, 1], return_indices=True)
    # How many images share one batch of the first epoch and one of the second.
    together = np.unique(np.stack([batches[at_first], batches[at_second]]), axis=1,
                         return_counts=True)[1]
    repeated = np.sum(together * (together - 1)) / (whole * (batch_size - 1))
    return Mix(float(np.mean([np.count_nonzero(count) for count in counts])),
               float(np.mean([count.max() / batch_size for count in counts])), float(repeated))
