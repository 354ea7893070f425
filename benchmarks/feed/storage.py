"""Where a feed reads its images from: local files with a warm or a cold page cache, or a mount that
is as slow as an object store."""

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import Callable, ContextManager, Iterator, NamedTuple

from benchmarks.feed.slow_mount import NoMount, slow_mount

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
WARM, COLD, SLOW = "Local files, warm cache", "Local files, cold cache", "Slow mount, cold cache"
OPEN_MS, READ_MS = 20.0, 1.0  # of the slow mount: delay of each open, and per 128 KB read


class Storage(NamedTuple):
    """One of the places."""

    title: str
    reading: Callable[[], ContextManager[Path]]  # prepares a run, and yields the folder to read
    unavailable_reason: str = ""  # why no run can read there; empty if it can


def describe_mount(open_ms: float = OPEN_MS, read_ms: float = READ_MS) -> str:
    return f"{open_ms:g} ms per open, {read_ms:g} ms per 128 KB"


def storages(data: Path, open_ms: float = OPEN_MS, read_ms: float = READ_MS) -> list[Storage]:
    """Return the places from which the files of ``data`` are read; next to it, the slow mount
    ``slow`` comes and goes.

    The runs of one place belong together: a cold one leaves a cold cache. Call ``fill_cache``
    before the first.
    """
    return [Storage(WARM, lambda: contextlib.nullcontext(data)),
            Storage(COLD, partial(_cold, data), _why_no_cold_cache()),
            Storage(SLOW, partial(_mounted, data, open_ms, read_ms), _why_no_mount(data))]


def fill_cache(data: Path) -> None:
    """Read all files, so that they are in the page cache."""
    for path in filter(Path.is_file, data.rglob("*")):
        path.read_bytes()


@contextlib.contextmanager
def _cold(data: Path) -> Iterator[Path]:
    os.sync()
    DROP_CACHES.write_text("3")
    yield data


@contextlib.contextmanager
def _mounted(data: Path, open_ms: float, read_ms: float) -> Iterator[Path]:
    point = data.with_name("slow")
    with slow_mount(data, point, open_ms, read_ms):
        yield point


def _why_no_cold_cache() -> str:
    return "" if os.access(DROP_CACHES, os.W_OK) else f"only root may write to {DROP_CACHES}"


def _why_no_mount(data: Path) -> str:
    try:
        with slow_mount(data, data.with_name("slow"), 0, 0):
            return ""
    except NoMount as reason:
        return str(reason)
