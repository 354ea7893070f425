"""Where the images of a Parquet file are, so that one image can be read without its row group.

Shards of shuffled images need a few images of almost every row group. Decoding 100 images for each
of them would make reading many times slower than class folders. Snappy, which Hugging Face's
library uses, compresses blocks of 64 KB each on its own: an image is read by decoding the two or
three blocks that it lies in. To find it takes the headers of pages, the sizes that stand before the
images, and the beginnings of blocks; the images themselves are not read.
"""

import os
from typing import IO, Any, Iterator, NamedTuple, Optional

from convert.sources.snappy import BLOCK, Data, Stream, decode, stored_bytes

# Parquet's numbers, from parquet.thrift.
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 0, 2, 3
PLAIN, PLAIN_DICTIONARY = 0, 2
DICTIONARY_POSITIONS = (PLAIN_DICTIONARY, 8)  # encodings of data pages
PAGE_TYPE, UNCOMPRESSED_SIZE, COMPRESSED_SIZE = 1, 2, 3
DATA_HEADER, DICTIONARY_HEADER, DATA_HEADER_V2 = 5, 7, 8  # fields of a page header
HEADERS = {DATA_PAGE: DATA_HEADER, DICTIONARY_PAGE: DICTIONARY_HEADER,
           DATA_PAGE_V2: DATA_HEADER_V2}
NUM_VALUES = 1  # of each of these headers
FIRST_HEADER_BYTES = 4096

Place = tuple[int, int]  # what ``read_place`` takes: where an image is, and its bytes


class NotFound(Exception):
    """The images are stored in a way that is not understood; the message says which."""


class NullFound(Exception):
    """A row has no image."""


class _Page(NamedTuple):
    begin: int  # in the file: of the values, or of the Snappy stream that holds them
    size: int  # bytes there
    length: int  # bytes of the values, uncompressed
    is_dictionary: bool
    positions: bool  # whether its values are positions in the dictionary
    snappy: bool
    has_levels: bool  # whether definition levels come first
    values: int


class _Content:
    """The bytes of a page, decompressed where they are asked for."""

    def __init__(self, file: IO[bytes], page: _Page) -> None:
        self._file, self._page = file, page
        self._stream = Stream(self._read_stored, page.size) if page.snappy else None
        self.length = self._stream.length if self._stream else page.size
        if self.length != page.length:
            raise NotFound(f"a page of {self.length} bytes has {page.length} by its header")

    def _read_stored(self, at: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), min(size, self._page.size - at), self._page.begin + at)

    def read(self, position: int, size: int) -> bytes:
        return (self._stream.bytes_at if self._stream else self._read_stored)(position, size)

    def place(self, position: int) -> int:
        """Return where the block or, uncompressed, the image begins, one bit for Snappy, and 16
        bits for the image's position in its block."""
        if self._stream is None:
            return (self._page.begin + position) << 17
        block, skip = divmod(position, BLOCK)
        return (self._page.begin + self._stream.blocks[block]) << 17 | 1 << 16 | skip


def find_images(file: IO[bytes], column: Any, levels: int) -> list[Place]:
    """Return the place and the size of the image of each row of a column chunk.

    Args:
        column: pyarrow's metadata of the chunk.
        levels: the column's largest definition level.

    Raises:
        NotFound: another compression than Snappy, or another encoding.
        NullFound: a row has no image.
    """
    if column.compression not in ("SNAPPY", "UNCOMPRESSED"):
        raise NotFound(f"compression {column.compression}; only SNAPPY and UNCOMPRESSED are read")
    dictionary: list[Place] = []
    found: list[Place] = []
    for page in _pages(file, column, levels):
        if page.values > column.num_values:
            raise NotFound(f"a page of {page.values} values in {column.num_values} rows")
        content, first = _Content(file, page), 0
        if page.has_levels:
            first = 4 + int.from_bytes(content.read(0, 4), "little")
            _refuse_nulls(content.read(4, first - 4), levels, page.values)
        if page.positions:
            stored = content.read(first, content.length - first)
            found += [dictionary[k] for k in _runs(stored[1:], stored[0], page.values)]
        else:
            values = list(_plain_values(content, first))
            if len(values) != page.values:
                raise NotFound(f"a page of {page.values} values has {len(values)}")
            (dictionary if page.is_dictionary else found).extend(values)
    if len(found) != column.num_values:
        raise NotFound(f"{len(found)} images in {column.num_values} rows")
    return found


def _plain_values(content: _Content, first: int) -> Iterator[Place]:
    position = first
    while position < content.length:
        size = int.from_bytes(content.read(position, 4), "little")
        if position + 4 + size > content.length:
            raise NotFound("an image continues past the end of its page")
        yield content.place(position + 4) if size else 0, size
        position += 4 + size


def _refuse_nulls(stored: bytes, levels: int, values: int) -> None:
    if any(level != levels for level in _runs(stored, levels.bit_length(), values)):
        raise NullFound


def _runs(data: Data, width: int, count: int) -> Iterator[int]:
    """Yield ``count`` numbers of ``width`` bits each in Parquet's mixture of runs of one number,
    and of groups of eight, packed."""
    at, left = 0, count
    value_bytes = (width + 7) // 8
    while left > 0:
        header, at = _varint(data, at)
        if header & 1:
            numbers = 8 * (header >> 1)
            packed = int.from_bytes(data[at:at + numbers * width // 8], "little")
            at += numbers * width // 8
            for k in range(min(numbers, left)):
                yield packed >> k * width & (1 << width) - 1
        else:
            numbers = header >> 1
            value = int.from_bytes(data[at:at + value_bytes], "little")
            at += value_bytes
            yield from (value for _ in range(min(numbers, left)))
        if not numbers or at > len(data):
            raise NotFound("a run of values that is empty or cut")
        left -= numbers


def _pages(file: IO[bytes], column: Any, levels: int) -> Iterator[_Page]:
    """Yield the pages of the chunk that have values or positions in a dictionary."""
    begin = column.data_page_offset
    if column.has_dictionary_page:
        begin = min(begin, column.dictionary_page_offset)
    end = begin + column.total_compressed_size
    while begin < end:
        header, header_bytes = _header(file, begin, end)
        size = header[COMPRESSED_SIZE]
        begin += header_bytes
        if size < 0 or begin + size > end:
            raise NotFound("a page continues past the end of its column")
        page = _page(begin, size, header, column.compression == "SNAPPY", levels)
        if page is not None:
            yield page
        begin += size


def _page(begin: int, size: int, header: dict[int, Any], snappy: bool, levels: int
          ) -> Optional[_Page]:
    kind = HEADERS.get(header[PAGE_TYPE])
    if kind is None:
        return None
    fields, levels_bytes = header[kind], 0
    encoding = fields[4 if kind == DATA_HEADER_V2 else 2]
    positions = kind != DICTIONARY_HEADER and encoding in DICTIONARY_POSITIONS
    if not positions and encoding not in (PLAIN, PLAIN_DICTIONARY):
        raise NotFound(f"encoding {encoding}; only plain values are read")
    if kind == DATA_HEADER_V2:
        if fields[2]:
            raise NullFound
        levels_bytes = fields[5] + fields[6]  # never compressed
        snappy = snappy and fields.get(7, True)
    return _Page(begin + levels_bytes, size - levels_bytes,
                 header[UNCOMPRESSED_SIZE] - levels_bytes, kind == DICTIONARY_HEADER, positions,
                 snappy, kind == DATA_HEADER and levels > 0, fields[NUM_VALUES])


def _header(file: IO[bytes], begin: int, end: int) -> tuple[dict[int, Any], int]:
    """Return the fields of the page header there, and its bytes."""
    size = FIRST_HEADER_BYTES
    while True:
        data = os.pread(file.fileno(), min(size, end - begin), begin)
        try:
            return _struct(data, 0)
        except IndexError:
            if len(data) < size:
                raise NotFound("a page header is cut") from None
        size *= 8


def _varint(data: Data, at: int) -> tuple[int, int]:
    """Return the number of 7 bits per byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def _struct(data: Data, at: int) -> tuple[dict[int, Any], int]:
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


def _field(data: Data, at: int, kind: int) -> tuple[Any, int]:
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


def read_place(file: IO[bytes], place: int, size: int) -> bytes:
    """Return the bytes at a place; fewer, or others, if the file has changed."""
    begin, snappy, skip = place >> 17, place >> 16 & 1, place & (BLOCK - 1)
    if not snappy:
        return os.pread(file.fileno(), size, begin)
    needed = skip + size
    data = os.pread(file.fileno(), stored_bytes(needed), begin)
    return bytes(decode(data, needed)[skip:needed])
