"""Where the images of a Parquet file are, so that one image can be read without its row group.

Shards of shuffled images need a few images of almost every row group. Decoding 100 images for each
of them would make reading many times slower than class folders. Snappy, which Hugging Face's
library uses, compresses blocks of 64 KB each on its own: an image is read by decoding the two or
three blocks that it lies in. Each place is tried while listing, by comparing it with pyarrow's
image.
"""

import os
from itertools import islice
from typing import Any, BinaryIO, Iterable, Iterator, NamedTuple

from convert.sources.snappy import BLOCK, block_begins, decode

# Parquet's numbers, from parquet.thrift.
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 0, 2, 3
PLAIN, PLAIN_DICTIONARY = 0, 2
DICTIONARY_POSITIONS = (PLAIN_DICTIONARY, 8)  # encodings of data pages
PAGE_TYPE, COMPRESSED_SIZE = 1, 3
DATA_HEADER, DICTIONARY_HEADER, DATA_HEADER_V2 = 5, 7, 8  # fields of a page header


class NotFound(Exception):
    """The images are stored in a way that is not understood; the message says which."""


class _Page(NamedTuple):
    begin: int  # in the file: of the values, or of the Snappy stream that holds them
    data: memoryview  # decompressed
    first: int  # where the first value is in ``data``, after the definition levels
    blocks: list[int]  # for Snappy: where each block of ``data`` begins in the stream

    def place(self, position: int) -> int:
        """Return what ``read_place`` takes: where the block or, uncompressed, the image begins, one
        bit for Snappy, and 16 bits for the image's position in its block."""
        if not self.blocks:
            return (self.begin + position) << 17
        block, skip = divmod(position, BLOCK)
        return (self.begin + self.blocks[block]) << 17 | 1 << 16 | skip


def find_images(file: BinaryIO, column: Any, levels: int, images: Iterable[bytes]
                ) -> Iterator[int]:
    """Yield the place of each image of a column chunk, for ``read_place``.

    Args:
        column: pyarrow's metadata of the chunk.
        levels: the column's largest definition level.
        images: what the rows hold, without nulls.

    Raises:
        NotFound: another compression than Snappy, or another encoding.
    """
    # A dictionary has one value for images that recur, so values may be ahead of rows.
    places: dict[int, list[int]] = {}  # by size
    values = _values(file, column, levels)
    for image in images:
        for place, size in islice(values, 1):
            places.setdefault(size, []).append(place)
        for place in reversed(places.get(len(image), [])):
            if read_place(file, place, len(image)) == image:
                yield place
                break
        else:
            raise NotFound("an image is not where its page should have it")


def _values(file: BinaryIO, column: Any, levels: int) -> Iterator[tuple[int, int]]:
    """Yield (place, size) of each value that is stored in the chunk."""
    for page in _pages(file, column, levels):
        position = page.first
        while position < len(page.data):
            size = int.from_bytes(page.data[position:position + 4], "little")
            yield page.place(position + 4), size
            position += 4 + size


def _pages(file: BinaryIO, column: Any, levels: int) -> Iterator[_Page]:
    """Yield the pages of the chunk that hold values, not positions in a dictionary."""
    if column.compression not in ("SNAPPY", "UNCOMPRESSED"):
        raise NotFound(f"compression {column.compression}; only SNAPPY and UNCOMPRESSED are read")
    begin = column.data_page_offset
    if column.has_dictionary_page:
        begin = min(begin, column.dictionary_page_offset)
    chunk = memoryview(os.pread(file.fileno(), column.total_compressed_size, begin))
    at = 0
    while at < len(chunk):
        header, values = _struct(chunk, at)
        at = values + header[COMPRESSED_SIZE]
        kind = {DATA_PAGE: DATA_HEADER, DICTIONARY_PAGE: DICTIONARY_HEADER,
                DATA_PAGE_V2: DATA_HEADER_V2}.get(header[PAGE_TYPE])
        if kind is None:
            continue
        encoding = header[kind][4 if kind == DATA_HEADER_V2 else 2]
        if kind != DICTIONARY_HEADER and encoding in DICTIONARY_POSITIONS:
            continue
        if encoding not in (PLAIN, PLAIN_DICTIONARY):
            raise NotFound(f"encoding {encoding}; only plain values are read")
        if kind == DATA_HEADER_V2:
            values += header[kind][5] + header[kind][6]  # levels, never compressed
        snappy = column.compression == "SNAPPY" and (
            kind != DATA_HEADER_V2 or header[kind].get(7, True))
        has_levels = kind == DATA_HEADER and levels > 0
        yield _page(begin + values, chunk[values:at], snappy, has_levels)


def _page(begin: int, stored: memoryview, snappy: bool, has_levels: bool) -> _Page:
    data, blocks = stored, []
    if snappy:
        import pyarrow
        blocks = block_begins(stored)
        data = memoryview(pyarrow.decompress(stored, _varint(stored, 0)[0], "snappy")).cast("B")
    first = 4 + int.from_bytes(data[:4], "little") if has_levels else 0
    return _Page(begin, data, first, blocks)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number of 7 bits per byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def _struct(data: memoryview, at: int) -> tuple[dict[int, Any], int]:
    """Read a struct of Thrift's compact protocol; return its fields by number, and its end."""
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        delta, kind = data[at] >> 4, data[at] & 15
        at += 1
        if delta:
            number += delta
        else:
            zigzag, at = _varint(data, at)
            number = zigzag >> 1
        fields[number], at = _field(data, at, kind)
    return fields, at + 1


def _field(data: memoryview, at: int, kind: int) -> tuple[Any, int]:
    if kind in (1, 2):
        return kind == 1, at
    if kind in (4, 5, 6):
        value, at = _varint(data, at)
        return (value >> 1) ^ -(value & 1), at
    if kind == 8:
        size, at = _varint(data, at)
        return None, at + size
    if kind == 12:
        return _struct(data, at)
    raise NotFound(f"a page header with a field of type {kind}")


def read_place(file: BinaryIO, place: int, size: int) -> bytes:
    """Return the bytes at a place; fewer, or others, if the file has changed."""
    begin, snappy, skip = place >> 17, place >> 16 & 1, place & (BLOCK - 1)
    if not snappy:
        return os.pread(file.fileno(), size, begin)
    needed = skip + size
    # A block that cannot be compressed grows by the tags of its literals.
    data = os.pread(file.fileno(), needed + needed // 6 + 64, begin)
    return bytes(decode(data, needed)[skip:needed])
