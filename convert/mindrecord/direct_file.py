"""Writing a large new file past the page cache, in a thread, while the next part is being made.

A shard is not read again soon. In the page cache it would displace the source, be copied once more,
and, on a virtual machine, make the hypervisor hand over new memory all the time, which costs more
than the writing itself (``python -m benchmarks convert`` has both rows).
"""

import errno
import fcntl
import mmap
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, List, Optional

PIECE_BYTES = 4 << 20
BUFFERS = 2  # one is filled while the other one is written

# What O_DIRECT requires of offsets, sizes and memory: a page of memory is enough for any disk.
ALIGNMENT = mmap.PAGESIZE
NOT_DIRECT = (errno.EINVAL, errno.EOPNOTSUPP)  # the answers of file systems without it


class DirectFile:
    """A file that is written from front to back, with gaps.

    Where the file system has no direct writing (no O_DIRECT, as on tmpfs before Linux 6.6), or
    ``direct`` is false, the file is written through the page cache, as any other.

    Args:
        begin: offset of the first byte, a multiple of ALIGNMENT like every offset here.
        digest: a hashlib object that gets all bytes from there on, gaps as zeros.

    Raises:
        OSError: from any method, also for what an earlier call started to write.
    """

    def __init__(self, path: Path, begin: int, digest: Any, direct: bool = True) -> None:
        if begin % ALIGNMENT:
            raise ValueError(f"offset {begin} is not a multiple of {ALIGNMENT}")
        self._digest = digest
        self._buffers = [mmap.mmap(-1, PIECE_BYTES) for _ in range(BUFFERS)]
        self._writing: List[Optional[Future]] = [None] * BUFFERS
        self._turn = 0  # the buffer that is being filled
        self._filled = 0  # bytes of it
        self._begin = begin  # where they will go
        self._thread = ThreadPoolExecutor(1)
        self._descriptor = _open(path, direct)

    def write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            part = left[:PIECE_BYTES - self._filled]
            end = self._filled + len(part)
            self._buffers[self._turn][self._filled:end] = part
            self._filled, left = end, left[len(part):]
            if self._filled == PIECE_BYTES:
                self._hand_over()

    def skip_to(self, begin: int) -> None:
        """Leave a gap: what is written next goes to ``begin``."""
        self._hand_over()
        self._digest.update(bytes(begin - self._begin))
        self._begin = begin

    def finish(self, head: bytes) -> None:
        """Write ``head`` at offset 0, undigested, and wait for everything to be written."""
        self._hand_over()
        size = self._begin
        for writing in filter(None, self._writing):
            writing.result()
        self._put(_aligned(head), 0)
        os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        """Close the file, finished or not."""
        self._thread.shutdown(cancel_futures=True)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _hand_over(self) -> None:
        """Give the buffer to the thread and take the next one."""
        buffer, size = self._buffers[self._turn], self._filled
        if not size:
            return
        filled = memoryview(buffer)
        self._digest.update(filled[:size])
        padded = size + -size % ALIGNMENT
        filled[size:padded] = bytes(padded - size)
        self._writing[self._turn] = self._thread.submit(self._put, filled[:padded], self._begin)
        self._begin += size
        self._filled = 0
        self._turn = (self._turn + 1) % BUFFERS
        before = self._writing[self._turn]
        if before is not None:
            before.result()

    def _put(self, left: memoryview, begin: int) -> None:
        while left:
            try:
                written = os.pwrite(self._descriptor, left, begin)
            except OSError as error:
                if error.errno not in NOT_DIRECT or not self._leave_direct():
                    raise
            else:
                left, begin = left[written:], begin + written

    def _leave_direct(self) -> bool:
        """Use the page cache from now on; return False if it was used already."""
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
        return bool(flags & os.O_DIRECT)


def _aligned(content: bytes) -> memoryview:
    room = mmap.mmap(-1, len(content) + -len(content) % ALIGNMENT)
    room[:len(content)] = content
    return memoryview(room)


def _open(path: Path, direct: bool) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    if not direct:
        return os.open(path, flags, 0o666)
    try:
        return os.open(path, flags | os.O_DIRECT, 0o666)
    except OSError as error:
        if error.errno not in NOT_DIRECT:
            raise
    path.unlink(missing_ok=True)  # some file systems make it before they refuse
    return os.open(path, flags, 0o666)
