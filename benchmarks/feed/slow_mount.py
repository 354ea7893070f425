"""A simulated object store: a read-only FUSE mount of a folder, slow to open and to read.

``python -m benchmarks.feed.slow_mount ROOT POINT OPEN_MS READ_MS`` serves ROOT at POINT until it is
terminated; ``slow_mount`` starts it in a process of its own. Requests are served in parallel
threads, so that the delays of files that are opened at the same time overlap, as an object store's
do. Names and sizes come without delay.
"""

import contextlib
import importlib
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator

READ_BYTES = 128 << 10  # what the kernel asks FUSE for at a time
START_SECONDS = 20  # longest wait for mounting or unmounting
ATTRIBUTES = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_atime_ns", "st_mtime_ns",
              "st_ctime_ns")


class NoMount(Exception):
    """No FUSE mount can be made here; the message says why and what to do."""


class SlowFolder:
    """What FUSE asks of a file system (names and arguments are libfuse's), for one folder.

    Args:
        open_seconds: waited before a file is opened.
        read_seconds: waited for every READ_BYTES, begun or whole, of a read.
    """

    use_ns = True  # times are nanoseconds

    def __init__(self, root: Path, open_seconds: float, read_seconds: float):
        self.root = str(root)
        self.open_seconds, self.read_seconds = open_seconds, read_seconds

    def getattr(self, path: str, handle: object = None) -> dict[str, int]:
        found = os.stat(self.root + path)
        return {name.removesuffix("_ns"): getattr(found, name) for name in ATTRIBUTES}

    def readdir(self, path: str, handle: object) -> list[str]:
        return [".", "..", *os.listdir(self.root + path)]

    def open(self, path: str, flags: int) -> int:
        time.sleep(self.open_seconds)
        return os.open(self.root + path, os.O_RDONLY)

    def read(self, path: str, size: int, offset: int, handle: int) -> bytes:
        time.sleep(self.read_seconds * math.ceil(size / READ_BYTES))
        return os.pread(handle, size, offset)

    def release(self, path: str, handle: int) -> None:
        os.close(handle)


@contextlib.contextmanager
def slow_mount(root: Path, point: Path, open_ms: float, read_ms: float) -> Iterator[None]:
    """Serve ``root`` at the new folder ``point`` meanwhile; each mount starts with a cold cache.

    Raises:
        NoMount: FUSE is missing, or this process may not mount.
    """
    _check_fuse()
    point.mkdir()
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.feed.slow_mount",
                               str(root.resolve()), str(point), str(open_ms), str(read_ms)],
                              stderr=subprocess.PIPE, text=True)
    try:
        _wait(lambda: point.is_mount() or server.poll() is not None)
        if server.poll() is not None:
            assert server.stderr is not None  # PIPE, above
            raise NoMount(f"the mount failed: {' '.join(server.stderr.read().split())[-300:]}")
        yield
    finally:
        server.terminate()  # libfuse unmounts
        server.communicate()
        _wait(lambda: not point.is_mount())
        point.rmdir()


def _wait(done: Callable[[], bool]) -> None:
    end = time.monotonic() + START_SECONDS
    while not done():
        if time.monotonic() > end:
            raise NoMount(f"FUSE took more than {START_SECONDS} s to mount or unmount")
        time.sleep(0.01)


def _check_fuse() -> None:
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise NoMount("/dev/fuse is missing or may not be opened: load the module fuse; in a "
                      "container: --device /dev/fuse --cap-add SYS_ADMIN")
    try:
        importlib.import_module("mfusepy")
    except ImportError:
        raise NoMount("mfusepy is not installed: pip install '.[bench]'") from None
    except OSError as error:  # it looks for the C library when imported
        raise NoMount(f"libfuse is not installed ({error}): apt-get install fuse3") from None


def main() -> None:
    from mfusepy import FUSE
    root, point, open_ms, read_ms = sys.argv[1:]
    FUSE(SlowFolder(Path(root), float(open_ms) / 1000, float(read_ms) / 1000), point,
         foreground=True, ro=True)


if __name__ == "__main__":
    main()
