"""Writing one MindRecord file and its index from front to back.

Written here and not by MindSpore's ``FileWriter``, whose bytes it makes (tests/convert/
test_record_writer.py compares them): that one copies each picture several times and costs every
worker a second of import (``python -m benchmarks convert``).
"""

import contextlib
import hashlib
import os
import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, NamedTuple

from common import RequestError, sha256_of_file
from convert.record_layout import Layout, RecordFormat, length_of

FLUSH_BYTES = 64 << 20

_CREATE_INDEX = """\
CREATE TABLE INDEXES(\
  ROW_ID               INT  NOT NULL,\
 PAGE_ID_RAW          INT  NOT NULL,\
 PAGE_OFFSET_RAW      INT  NOT NULL,\
 PAGE_OFFSET_RAW_END  INT  NOT NULL,\
 ROW_GROUP_ID         INT  NOT NULL,\
 PAGE_ID_BLOB         INT  NOT NULL,\
 PAGE_OFFSET_BLOB     INT  NOT NULL,\
 PAGE_OFFSET_BLOB_END INT  NOT NULL,{columns}\
 PRIMARY KEY(ROW_ID{keys}))"""
_CREATE_NAME = "CREATE TABLE SHARD_NAME(NAME TEXT NOT NULL)"

# "Version-valid-for" and the library's version, informative only (sqlite.org/fileformat.html,
# 1.3.14): zeroed, so that the index has the same bytes whichever SQLite Python comes with.
_SQLITE_VERSION_AT, _SQLITE_VERSION_BYTES = 92, 8


class Written(NamedTuple):
    """A finished file."""

    rows: int  # counted in the index
    sha256: str  # of the data file


class RecordWriter:
    """Writes ``data_file``, which must not exist, and ``<data_file>.db``.

    Args:
        expected: the layout that the rows will have if they come as planned. The header, which
            stands first, follows from it, so that the digest can be taken from the pages while
            they are in memory. Rows that come otherwise cost reading the file again.
    """

    def __init__(self, data_file: Path, form: RecordFormat, expected: Layout) -> None:
        self._path, self._form = data_file, form
        self._layout = Layout(data_file.name, form)
        self._expected_header = expected.header()
        self._check_room(self._expected_header)
        self._digest = hashlib.sha256(self._expected_header.ljust(form.header_bytes, b"\0"))
        self._page: List[bytes] = []  # what goes into the last blob page
        with _errors_named(data_file):
            self._file = open(data_file, "xb", buffering=0)  # pages are large
        self._end = form.header_bytes  # of what is written and in the digest
        self._behind = _WriteBehind(self._file)

    def append(self, row: Dict[str, Any]) -> None:
        """Add a row with all fields of the schema.

        Raises:
            RequestError: the row is larger than a page, or the disk does not take it.
        """
        blob = row[self._form.blob_field]
        try:
            begins_page = self._layout.add(len(blob), row)
        except ValueError as error:
            fields = {name: row[name] for name in row.keys() - {self._form.blob_field}}
            raise RequestError(f"{self._path}: {error} ({fields}); remove or shrink this picture"
                               ) from error
        if begins_page and self._page:
            self._write_page(self._layout.blob_pages - 2, b"".join(self._page))
            self._page = []
        self._page += (length_of(blob), blob)

    def finish(self) -> Written:
        """Write what is left, the header and the index.

        Raises:
            RequestError: the disk does not take it, or there are too many pages for the header.
        """
        if self._page:
            self._write_page(self._layout.blob_pages - 1, b"".join(self._page))
        for page in self._layout.raw_pages():
            self._write_page(page.page_id, page.content)
        header = self._layout.header()
        self._check_room(header)
        with _errors_named(self._path):
            self._put(header, 0)
            self._behind.finish()
            self._file.close()
            rows = _write_index(self._path, self._form, self._layout)
            return Written(rows, self._digest.hexdigest() if header == self._expected_header
                           else sha256_of_file(self._path))

    def close(self) -> None:
        """Let go of the file, finished or not."""
        self._behind.stop()
        self._file.close()

    def _write_page(self, page_id: int, content: bytes) -> None:
        begin = self._form.header_bytes + self._form.page_bytes * page_id
        self._digest.update(bytes(begin - self._end))
        self._digest.update(content)
        self._end = begin + len(content)
        with _errors_named(self._path):
            self._put(content, begin)
            self._behind.wrote(self._end)

    def _put(self, content: bytes, begin: int) -> None:
        left = memoryview(content)
        while left:
            written = os.pwrite(self._file.fileno(), left, begin)
            left, begin = left[written:], begin + written

    def _check_room(self, header: bytes) -> None:
        if len(header) > self._form.header_bytes:
            raise RequestError(f"{self._path} has too many pages for a header of "
                               f"{self._form.header_bytes} bytes; give more --shards")


class _WriteBehind:
    """Puts what was written on the disk, in a thread, and lets go of its memory.

    Nobody reads a shard soon. Without this its pages push the source out of memory, and where a
    hypervisor lends the memory, touching new pages all the time costs more than all the writing.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1)
        self._flushes: List[Future] = []
        self._flushed = 0  # bytes from the begin

    def wrote(self, end: int) -> None:
        """The file is written up to ``end`` (in bytes)."""
        if end - self._flushed >= FLUSH_BYTES:
            self._flushes.append(self._thread.submit(self._flush, self._flushed, end))
            self._flushed = end

    def finish(self) -> None:
        """Wait until all is on the disk; raises OSError where it could not be put there."""
        self._flushes.append(self._thread.submit(self._flush, 0, 0))  # 0: up to the end
        for flush in self._flushes:
            flush.result()

    def stop(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    def _flush(self, begin: int, end: int) -> None:
        os.fdatasync(self._file.fileno())
        os.posix_fadvise(self._file.fileno(), begin, end - begin, os.POSIX_FADV_DONTNEED)


def _write_index(data_file: Path, form: RecordFormat, layout: Layout) -> int:
    index_file = data_file.with_name(f"{data_file.name}.db")
    columns = "".join(f"INC_{k} INT, {name}_0 INTEGER," for k, name in enumerate(form.indexed))
    keys = "".join(f",INC_{k}" for k in range(len(form.indexed)))
    marks = ",".join("?" * (8 + 2 * len(form.indexed)))
    with contextlib.closing(sqlite3.connect(index_file, isolation_level=None)) as index:
        index.execute("PRAGMA journal_mode = OFF")  # the shard is made durable as a whole, later
        index.execute("PRAGMA synchronous = OFF")
        index.execute("BEGIN")
        index.execute(_CREATE_INDEX.format(columns=columns, keys=keys))
        index.execute(_CREATE_NAME)
        index.execute("INSERT INTO SHARD_NAME VALUES(?)", (data_file.name,))
        index.executemany(f"INSERT INTO INDEXES VALUES({marks})", layout.index_rows())
        index.execute("COMMIT")
        rows, = index.execute("SELECT COUNT(*) FROM INDEXES").fetchone()
    with open(index_file, "r+b") as file:
        file.seek(_SQLITE_VERSION_AT)
        file.write(bytes(_SQLITE_VERSION_BYTES))
    return rows


@contextlib.contextmanager
def _errors_named(data_file: Path) -> Iterator[None]:
    """Neither a full disk's OSError nor SQLite's tells which file it was."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        cause = getattr(error, "strerror", None) or error
        raise RequestError(f"{data_file} could not be written ({cause}); check the room and the "
                           "permissions of the output disk, then run the same command again"
                           ) from error
