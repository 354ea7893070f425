"""How fast images become training batches: the feed alone, on local files and a slow mount."""

import contextlib
import math
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Iterator, List

from benchmarks.feed.job import FeedJob
from benchmarks.feed.mindspore_feeds import (MINDSPORE_FEEDS, OURS,
                                             OURS_BY_SHARD, SEED)
from benchmarks.feed.peer_feeds import PEER_FEEDS
from benchmarks.feed.row import run_row, unavailable_reason_of
from benchmarks.feed.slow_mount import NoMount, slow_mount
from benchmarks.machine import describe_machine
from benchmarks.synthetic import make_folders_and_records
from benchmarks.table import SpeedRow, SpeedTable
from common.cli import RequestError, progress_bar
from common.host import available_cores
from convert.records.reader import open_records

# MindSpore's model zoo, InceptionV4 on 8 x Ascend 910, 128 images a step on each.
ASCEND_CARDS, ASCEND_IMAGES_PER_SECOND = 8, 4430
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
WARM, COLD, SLOW = "Local files, warm cache", "Local files, cold cache", "Slow mount, cold cache"


@dataclass(frozen=True)
class FeedRequest:
    """What to measure.

    Attributes:
        work: a folder with room for four times the images; what is made there is removed.
        open_ms, read_ms: the slow mount's delays per file opened and per 128 KB read.
    """

    work: Path
    images: int
    repeats: int
    workers: int
    batch_size: int
    image_size: int
    skip: int  # see FeedJob
    open_ms: float
    read_ms: float


@dataclass(frozen=True)
class FeedSection:
    """Rows that read the same way; ``reading`` prepares each run and gives what it shall read."""

    title: str
    rows: List[str]
    reading: Callable[[FeedJob], ContextManager[FeedJob]]
    unavailable_reason: str = ""  # why none of them can run


def benchmark_feeds(request: FeedRequest) -> SpeedTable:
    """Time each section's rows ``repeats`` times in turns, each run in a process of its own.

    Raises:
        RequestError: a value out of range.
    """
    _check(request)
    data = request.work / "data"
    make_folders_and_records(data, request.images, request.workers)
    job = _job(request, data)
    sections = _sections(request, data)
    runs = sum(_can_run(section, row) for section in sections for row in section.rows)
    with progress_bar(runs * request.repeats, "time feeds", "runs") as bar:
        rows = [row for section in sections
                for row in _time_section(section, job, request.repeats, bar)]
    closing = [*cores_needed(rows, job.timed_images, request.workers), *_mixes(job)]
    shutil.rmtree(data)
    return SpeedTable("Feed of training batches", job.timed_images, "images", rows,
                      describe_machine(request.work), _settings(request), "rate", closing)


def _check(request: FeedRequest) -> None:
    least = request.batch_size * (2 * request.skip + 1)
    if request.images < least:
        raise RequestError(f"--images {request.images}: with --batch-size {request.batch_size} "
                           f"and --skip {request.skip} give at least {least}")
    if not 1 <= request.workers <= available_cores():
        raise RequestError(f"--workers {request.workers}: give 1 to {available_cores()}, the "
                           "cores of this machine")
    for name, low in (("repeats", 1), ("skip", 1), ("batch_size", 2), ("open_ms", 0),
                      ("read_ms", 0)):
        if getattr(request, name) < low:
            raise RequestError(f"--{name.replace('_', '-')} {getattr(request, name)}: give at "
                               f"least {low}")


def _job(request: FeedRequest, data: Path) -> FeedJob:
    from train.recipe import Recipe
    recipe = Recipe()
    return FeedJob("", str(data), request.batch_size, request.image_size, recipe.min_crop_area,
                   recipe.max_crop_aspect, request.workers, request.images, request.skip)


def _sections(request: FeedRequest, data: Path) -> List[FeedSection]:
    def on_slow_mount(job: FeedJob) -> ContextManager[FeedJob]:
        return _mounted(job, request.open_ms, request.read_ms)

    local = [*MINDSPORE_FEEDS, *PEER_FEEDS]
    return [FeedSection(WARM, local, contextlib.nullcontext),
            FeedSection(COLD, local, _cold, _why_no_cold_cache()),
            FeedSection(SLOW, list(MINDSPORE_FEEDS), on_slow_mount, _why_no_mount(data))]


def _time_section(section: FeedSection, job: FeedJob, repeats: int, bar: Any) -> List[SpeedRow]:
    seconds: Dict[str, List[float]] = {row: [] for row in section.rows}
    _read_all(Path(job.data))
    for _ in range(repeats):
        for row in filter(lambda row: _can_run(section, row), section.rows):
            with section.reading(replace(job, row=row)) as prepared:
                seconds[row].append(run_row(prepared))
            bar.update(1)
    return [SpeedRow(row, seconds[row],
                     section.unavailable_reason or unavailable_reason_of(row), section.title)
            for row in section.rows]


def _can_run(section: FeedSection, row: str) -> bool:
    return not (section.unavailable_reason or unavailable_reason_of(row))


def _read_all(folder: Path) -> None:
    """Bring every file into the page cache."""
    for path in filter(Path.is_file, folder.rglob("*")):
        path.read_bytes()


@contextlib.contextmanager
def _cold(job: FeedJob) -> Iterator[FeedJob]:
    os.sync()
    DROP_CACHES.write_text("3")
    yield job


@contextlib.contextmanager
def _mounted(job: FeedJob, open_ms: float, read_ms: float) -> Iterator[FeedJob]:
    point = Path(job.data).with_name("slow")
    with slow_mount(Path(job.data), point, open_ms, read_ms):
        yield replace(job, data=str(point))


def _why_no_cold_cache() -> str:
    return "" if os.access(DROP_CACHES, os.W_OK) else f"only root may write to {DROP_CACHES}"


def _why_no_mount(data: Path) -> str:
    try:
        with slow_mount(data, data.with_name("slow"), 0, 0):
            return ""
    except NoMount as reason:
        return str(reason)


def cores_needed(rows: List[SpeedRow], images: int, workers: int) -> List[str]:
    """How many cores such as the ``workers`` used would feed the cards, by the seed's way and ours,
    if more of them did proportionally more."""
    lines = []
    for row in rows:
        if row.section == WARM and row.name in (SEED, OURS, OURS_BY_SHARD) and row.median:
            needed = math.ceil(ASCEND_IMAGES_PER_SECOND * workers * row.median / images)
            lines.append(f"{row.name}: {needed} such cores feed {ASCEND_CARDS} x Ascend 910 at "
                         f"{ASCEND_IMAGES_PER_SECOND:,} images/s")
    return lines


def _mixes(job: FeedJob) -> List[str]:
    from benchmarks.feed.mixing import mix_of_feed
    from train.recipe import Recipe
    records = open_records(Path(job.data) / "records")
    shards = f"{len(records.files)} shards of about {records.images // len(records.files)} images"
    return [f"{order} order ({shards}, {len(records.class_names)} classes): " + mix_of_feed(
                records, Recipe(ranks=1, batch_size=job.batch_size, workers=job.workers,
                                shuffle=order)).describe()
            for order in ("global", "shard")]


def _settings(request: FeedRequest) -> Dict[str, Any]:
    return {"repeats": request.repeats, "workers": request.workers, "images": request.images,
            "batch": request.batch_size, "crop": f"{request.image_size} px",
            "not timed": f"first and last {request.skip} batches",
            "slow mount": f"{request.open_ms:g} ms an open, {request.read_ms:g} ms a 128 KB read"}
