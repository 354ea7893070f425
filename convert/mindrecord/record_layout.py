"""The layout of a MindRecord file: its pages, its header, and the rows of its index.

Format 3.0, as MindSpore's ``FileWriter`` lays it out when it gets all rows in one call. A data file
is a header (8 bytes of length, then JSON, in a fixed space) and pages of one fixed size. Blob pages
hold the images, each after 8 bytes of length; the rows of one blob page are a row group. Raw pages,
after all blob pages, hold the other fields of whole row groups, as msgpack, each after 8 bytes of
length. The index is a SQLite file with the place of each row and its indexed fields.
(MindSpore: mindspore/ccsrc/minddata/mindrecord/io/shard_writer.cc, shard_index_generator.cc.)
"""

import json
from typing import Any, Iterator, NamedTuple

import msgpack

from common.cli import RequestError

VERSION = "3.0"
REVISION = 1  # of this project's writer; another one may write other bytes for the same images
LENGTH_BYTES = 8  # before the header, a blob and a raw row; little endian
HEADER_BYTES = 1 << 20  # lists the pages, about 200 bytes for each: enough for a shard of 20 GB

# The words of the header: others would change the digests of all record sets.
SCHEMA = {
    "blacklisted": {"type": "int32"},
    "file_name": {"type": "string"},
    "image": {"type": "bytes"},
    "image_id": {"type": "int32"},
    "label": {"type": "int32"},
}
DESCRIPTION = "ImageNet pictures"
INDEXED = ("label", "image_id")  # the fields that MindSpore can pick rows by


class _Row(NamedTuple):
    blob_bytes: int  # the image with its length, as stored
    raw: bytes  # the other fields with their length
    indexed: tuple[int, ...]


class RawPage(NamedTuple):
    """The other fields of some row groups."""

    page_id: int
    groups: dict[int, int]  # number of the group -> begin of its rows in this page
    content: bytearray


class RecordLayout:
    """The layout of the rows added so far.

    Args:
        file_name: name of the data file, which header and index contain.
        page_bytes: size of a page, which the largest row must fit in.
    """

    def __init__(self, file_name: str, page_bytes: int) -> None:
        self._file_name, self._page_bytes = file_name, page_bytes
        self._groups: list[list[_Row]] = []  # the rows whose blobs share a page
        self._blob_filled = self._raw_filled = 0  # bytes of the last group

    @property
    def blob_pages(self) -> int:
        return len(self._groups)

    def add(self, blob_bytes: int, fields: dict[str, Any]) -> bool:
        """Add a row by its image's size and its other fields; True if it starts a blob page.

        Raises:
            RequestError: the row is larger than a page.
        """
        packed = msgpack.packb({name: fields[name] for name in SCHEMA if name != "image"})
        row = _Row(LENGTH_BYTES + blob_bytes, length_of(packed) + packed,
                   tuple(fields[name] for name in INDEXED))
        room = self._page_bytes
        if max(row.blob_bytes, len(row.raw)) > room:
            raise RequestError(f"{fields['file_name']}: image of {blob_bytes} bytes as "
                               f"it is to be stored, more than a page of {room} bytes takes; "
                               "remove or shrink it")
        self._blob_filled += row.blob_bytes
        self._raw_filled += len(row.raw)
        begins = not self._groups or max(self._blob_filled, self._raw_filled) > room
        if begins:
            self._groups.append([])
            self._blob_filled, self._raw_filled = row.blob_bytes, len(row.raw)
        self._groups[-1].append(row)
        return begins

    def raw_pages(self) -> list[RawPage]:
        """Return the pages of the other fields; each takes as many whole row groups as fit in."""
        pages: list[RawPage] = []
        for number, group in enumerate(self._groups):
            rows = b"".join(row.raw for row in group)
            if not pages or len(pages[-1].content) + len(rows) > self._page_bytes:
                pages.append(RawPage(self.blob_pages + len(pages), {}, bytearray()))
            pages[-1].groups[number] = len(pages[-1].content)
            pages[-1].content.extend(rows)
        return pages

    def header(self) -> bytes:
        """Return the header with its length, without the zeros up to the first page."""
        pages, row = [], 0
        for number, group in enumerate(self._groups):
            pages.append(_page(number, number, "BLOB_DATA", sum(item.blob_bytes for item in group),
                               {0: 0}, row, row + len(group)))
            row += len(group)
        # FileWriter numbers the raw pages among their kind 0, then by their ids.
        pages += [_page(page.page_id, page.page_id if position else 0, "RAW_DATA",
                        len(page.content), page.groups)
                  for position, page in enumerate(self.raw_pages())]
        header = json.dumps({
            "header_size": HEADER_BYTES,
            "index_fields": [{"index_field": name, "schema_id": 0} for name in INDEXED],
            "page": pages, "page_size": self._page_bytes, "compression_size": 0,
            "schema": [{"blob_fields": ["image"], "desc": DESCRIPTION, "schema": SCHEMA}],
            "shard_addresses": [self._file_name], "shard_id": 0, "statistics": None,
            "version": VERSION}, separators=(",", ":")).encode()
        return length_of(header) + header

    def index_rows(self) -> Iterator[tuple[int, ...]]:
        """Yield the rows of table INDEXES: row, raw page and offsets, group, blob page and offsets,
        then a 0 and the value of each indexed field."""
        row_id = 0
        for page in self.raw_pages():
            for number, raw_end in page.groups.items():
                blob_end = 0
                for row in self._groups[number]:
                    raw_begin, raw_end = raw_end, raw_end + len(row.raw)
                    blob_begin, blob_end = blob_end, blob_end + row.blob_bytes
                    values = (part for value in row.indexed for part in (0, value))
                    yield (row_id, page.page_id, raw_begin, raw_end, number,
                           number, blob_begin, blob_end, *values)
                    row_id += 1


def length_of(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH_BYTES, "little")


def _page(page_id: int, type_id: int, kind: str, size: int, groups: dict[int, int],
          start_row: int = 0, end_row: int = 0) -> dict[str, Any]:
    return {"end_row_id": end_row, "page_id": page_id, "page_size": size, "page_type": kind,
            "page_type_id": type_id,
            "row_group_ids": [{"id": number, "offset": begin} for number, begin in groups.items()],
            "shard_id": 0, "start_row_id": start_row}
