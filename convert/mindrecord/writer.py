"""Writing one MindRecord file and its index from front to back.

It writes the bytes that MindSpore's ``FileWriter`` would (tests/convert/mindrecord/test_writer.py
compares them), because ``FileWriter`` copies each image several times and costs every worker a
second of import (``python -m benchmarks convert`` times both).

It writes past the page cache, since a shard is not read again soon. There it would displace the
source, be copied once more, and, on a virtual machine, make the hypervisor hand over new memory all
the time, which costs more than the writing itself (the benchmark has both rows).
"""

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator, Optional

from common.cli import RequestError
from common.files import make_durable, sha256_of_file
from convert.mindrecord.record_layout import HEADER_BYTES, RecordLayout, length_of

WRITING = "SHARD_WRITING"  # environment: "page-cache" where direct writing is slow
PAGE_CACHE = "page-cache"

PIECE_BYTES = 4 << 20  # written at a time
# What O_DIRECT requires of offsets, sizes and memory: a page of memory is enough for any disk.
ALIGNMENT = mmap.PAGESIZE
NOT_DIRECT = (errno.EINVAL, errno.EOPNOTSUPP)  # the answers of file systems without it

_CREATE_INDEX = """\
CREATE TABLE INDEXES(\
  ROW_ID               INT  NOT NULL,\
 PAGE_ID_RAW          INT  NOT NULL,\
 PAGE_OFFSET_RAW      INT  NOT NULL,\
 PAGE_OFFSET_RAW_END  INT  NOT NULL,\
 ROW_GROUP_ID         INT  NOT NULL,\
 PAGE_ID_BLOB         INT  NOT NULL,\
 PAGE_OFFSET_BLOB     INT  NOT NULL,\
 PAGE_OFFSET_BLOB_END INT  NOT NULL,\
INC_0 INT, label_0 INTEGER,INC_1 INT, image_id_0 INTEGER,\
 PRIMARY KEY(ROW_ID,INC_0,INC_1))"""
_CREATE_NAME = "CREATE TABLE SHARD_NAME(NAME TEXT NOT NULL)"

# So that the index has the same bytes whichever SQLite Python comes with and however it was
# compiled: what its builds choose differently is set (secure_delete: whether the bytes of moved
# rows are erased), and "version-valid-for" with the library's version is zeroed, as before SQLite
# 3.7; readers then take the size from the file (sqlite.org/fileformat.html, 1.3.7 and 1.3.14).
_SAME_EVERYWHERE = ("page_size = 4096", "encoding = 'UTF-8'", "auto_vacuum = NONE",
                    "secure_delete = ON")
_SQLITE_VERSION_AT, _SQLITE_VERSION_BYTES = 92, 8
# The finished index is made durable with the data file.
_UNSAFE_ALONE = ("journal_mode = OFF", "synchronous = OFF")


def writes_directly() -> bool:
    """Return whether files are to be written past the page cache.

    Raises:
        RequestError: the environment variable SHARD_WRITING has an unknown value.
    """
    choice = os.environ.get(WRITING)
    if choice not in (None, "", PAGE_CACHE):
        raise RequestError(f"{WRITING}={choice}: set it to {PAGE_CACHE}, or unset it to write past "
                           "the page cache")
    return choice != PAGE_CACHE


class RecordWriter:
    """Writes ``data_file``, which must not exist, and ``<data_file>.db``.

    Args:
        page_bytes: see ``RecordLayout``.
        expected_header: header of the file if the rows come as planned. It is the beginning of the
            file: known in advance, it allows the digest to be taken from the pages while they are
            in memory. If the rows turn out otherwise, the file is read again from disk.
    """

    def __init__(self, data_file: Path, page_bytes: int, expected_header: bytes) -> None:
        self._path, self._page_bytes = data_file, page_bytes
        self._layout = RecordLayout(data_file.name, page_bytes)
        self._expected_header = expected_header
        self._check_room(expected_header)
        self._digest = hashlib.sha256(expected_header.ljust(HEADER_BYTES, b"\0"))
        with _naming_file(data_file):
            self._file = DirectFile(data_file, HEADER_BYTES, self._digest, writes_directly())

    def append(self, row: dict[str, Any]) -> None:
        """Add a row with all fields of the schema.

        Raises:
            RequestError: the row is larger than a page, or the disk refuses it.
        """
        image = row["image"]
        begins_page = self._layout.add(len(image), row)
        with _naming_file(self._path):
            if begins_page:
                self._file.skip_to(self._place(self._layout.blob_pages - 1))
            self._file.write(length_of(image))
            self._file.write(image)

    def finish(self) -> tuple[int, str]:
        """Write what is left, the header and the index, and make both files durable, with the mode
        that umask says, which SQLite ignores.

        Returns:
            The number of rows, counted in the index, and the sha256 of the data file.

        Raises:
            RequestError: the disk refuses it, or there are too many pages for the header.
        """
        header = self._layout.header()
        self._check_room(header)
        with _naming_file(self._path):
            for page in self._layout.raw_pages():
                self._file.skip_to(self._place(page.page_id))
                self._file.write(bytes(page.content))
            self._file.finish(header)
            rows = _write_index(self._path, self._layout)
            sha256 = (self._digest.hexdigest() if header == self._expected_header
                      else sha256_of_file(self._path))
        for path in (self._path, index_of(self._path)):
            with _naming_file(path):
                make_durable(path)
        return rows, sha256

    def close(self) -> None:
        """Close the file, finished or not."""
        with _naming_file(self._path):
            self._file.close()

    def _place(self, page_id: int) -> int:
        return HEADER_BYTES + self._page_bytes * page_id

    def _check_room(self, header: bytes) -> None:
        if len(header) > HEADER_BYTES:
            raise RequestError(f"{self._path} has too many pages for a header of {HEADER_BYTES} "
                               "bytes; give more --shards")


class DirectFile:
    """A file that a thread writes from front to back, with gaps, while the next part is being made.

    Where the file system has no direct writing (no O_DIRECT, as on tmpfs before Linux 6.6), or
    ``direct`` is false, the file is written through the page cache, as any other.

    Args:
        begin: offset of the first byte, a multiple of ALIGNMENT like every offset here.
        digest: a hashlib object that gets all bytes from there on, gaps as zeros.

    Raises:
        OSError: from any method, also for what an earlier call started to write.
    """

    def __init__(self, path: Path, begin: int, digest: Any, direct: bool) -> None:
        self._digest = digest
        self._buffer, self._other = mmap.mmap(-1, PIECE_BYTES), mmap.mmap(-1, PIECE_BYTES)
        self._filled = 0  # bytes of the buffer
        self._begin = begin  # where they will go
        self._writing: Optional[Future] = None  # of the other buffer
        self._thread = ThreadPoolExecutor(1)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        if direct:
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._descriptor, fcntl.F_SETFL, os.O_DIRECT)

    def write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            part = left[:PIECE_BYTES - self._filled]
            end = self._filled + len(part)
            self._buffer[self._filled:end] = part
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
        self._wait()
        aligned = mmap.mmap(-1, len(head) + -len(head) % ALIGNMENT)
        aligned[:len(head)] = head
        self._put(memoryview(aligned), 0)
        os.ftruncate(self._descriptor, self._begin)

    def close(self) -> None:
        """Close the file, finished or not."""
        self._thread.shutdown(cancel_futures=True)
        os.close(self._descriptor)

    def _hand_over(self) -> None:
        """Give the buffer to the thread and take the other one."""
        if not self._filled:
            return
        content = memoryview(self._buffer)
        self._digest.update(content[:self._filled])
        padded = self._filled + -self._filled % ALIGNMENT
        content[self._filled:padded] = bytes(padded - self._filled)
        self._wait()
        self._writing = self._thread.submit(self._put, content[:padded], self._begin)
        self._begin += self._filled
        self._filled = 0
        self._buffer, self._other = self._other, self._buffer

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()

    def _put(self, left: memoryview, begin: int) -> None:
        while left:
            try:
                written = os.pwrite(self._descriptor, left, begin)
            except OSError as error:
                direct = fcntl.fcntl(self._descriptor, fcntl.F_GETFL) & os.O_DIRECT
                if not direct or error.errno not in NOT_DIRECT:
                    raise
                fcntl.fcntl(self._descriptor, fcntl.F_SETFL, 0)  # from now on by the page cache
            else:
                left, begin = left[written:], begin + written


def index_of(data_file: Path) -> Path:
    return data_file.with_name(f"{data_file.name}.db")


def _write_index(data_file: Path, layout: RecordLayout) -> int:
    index_file = index_of(data_file)
    with contextlib.closing(sqlite3.connect(index_file, isolation_level=None)) as index:
        for pragma in (*_SAME_EVERYWHERE, *_UNSAFE_ALONE):
            index.execute(f"PRAGMA {pragma}")
        index.execute("BEGIN")
        index.execute(_CREATE_INDEX)
        index.execute(_CREATE_NAME)
        index.execute("INSERT INTO SHARD_NAME VALUES(?)", (data_file.name,))
        index.executemany("INSERT INTO INDEXES VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
                          layout.index_rows())
        index.execute("COMMIT")
        rows, = index.execute("SELECT COUNT(*) FROM INDEXES").fetchone()
    with open(index_file, "r+b") as file:
        file.seek(_SQLITE_VERSION_AT)
        file.write(bytes(_SQLITE_VERSION_BYTES))
    return rows


@contextlib.contextmanager
def _naming_file(data_file: Path) -> Iterator[None]:
    """Name the file in errors: neither a full disk's OSError nor SQLite's error does."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        cause = getattr(error, "strerror", None) or error
        raise RequestError(f"{data_file} could not be written ({cause}); check the room and the "
                           "permissions of the output disk, then run the same command again"
                           ) from error
