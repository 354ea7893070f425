"""Snappy's raw format, for reading a part of a stream.

A stream is its length, then elements: literals (bytes that follow) and copies of earlier bytes. Its
writers compress blocks of 64 KB of the input, each on its own. Images that are compressed already
become literals, so that a few bytes per block tell where everything is.
"""

import bisect
from typing import Callable, NamedTuple

BLOCK = 1 << 16
WINDOW_BYTES = 256  # read at once while elements are followed: mostly of one page of the disk
MOST_TAG_BYTES = 5

Data = bytes | memoryview


class _Element(NamedTuple):
    length: int  # of the output
    distance: int  # back in the output; 0: a literal
    begin: int  # of a literal's bytes
    end: int  # of the element


def _element(data: Data, at: int) -> _Element:
    tag = data[at]
    kind, length = tag & 3, (tag >> 2) + 1
    if kind == 0:
        begin = at + 1
        if length > 60:
            extra = length - 60
            length = int.from_bytes(data[begin:begin + extra], "little") + 1
            begin += extra
        return _Element(length, 0, begin, begin + length)
    if kind == 1:
        distance, end = (tag >> 5) << 8 | data[at + 1], at + 2
        length = (tag >> 2 & 7) + 4
    else:
        end = at + (3 if kind == 2 else 5)
        distance = int.from_bytes(data[at + 1:end], "little")
    if distance == 0:
        raise ValueError("a copy of nothing")
    return _Element(length, distance, end, end)


class Stream:
    """A stream whose elements have been followed, but not decoded.

    Args:
        read: position, size -> bytes of the stream; fewer at its end.
        size: bytes of the stream.

    Raises:
        ValueError, IndexError: an element continues past the end of a block, or of the stream.
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read = read
        head = read(0, MOST_TAG_BYTES)
        at = next(k for k in range(MOST_TAG_BYTES) if head[k] < 128) + 1
        self.length = sum((byte & 127) << 7 * k for k, byte in enumerate(head[:at]))
        self.blocks: list[int] = []  # where each block of the output begins in the stream
        self._begins: list[int] = []  # of each element in the output
        self._literals: list[int] = []  # where its bytes are in the stream; -1: a copy
        self._follow(at, size)

    def _follow(self, at: int, size: int) -> None:
        written, window, window_begin = 0, b"", 0
        while at < size:
            if at + MOST_TAG_BYTES > window_begin + len(window):
                window, window_begin = self._read(at, WINDOW_BYTES), at
            if written % BLOCK == 0:
                self.blocks.append(at)
            element = _element(window, at - window_begin)
            self._begins.append(written)
            self._literals.append(-1 if element.distance else window_begin + element.begin)
            written, at = written + element.length, window_begin + element.end
        if at != size or written != self.length or len(self.blocks) != -(-written // BLOCK):
            raise ValueError("blocks are not of 64 KB, or the stream has another length")

    def bytes_at(self, position: int, size: int) -> bytes:
        """Return a few bytes of the output."""
        index = bisect.bisect_right(self._begins, position) - 1
        begin, literal = self._begins[index], self._literals[index]
        end = self._begins[index + 1] if index + 1 < len(self._begins) else self.length
        if literal >= 0 and position + size <= end:
            return self._read(literal + position - begin, size)
        data = b""
        while len(data) < size:
            block, skip = divmod(position + len(data), BLOCK)
            wanted = min(size - len(data), BLOCK - skip)
            stored = self._read(self.blocks[block], stored_bytes(skip + wanted))
            data += decode(stored, skip + wanted)[skip:]
        return data


def stored_bytes(size: int) -> int:
    """Return how many bytes of a block can be needed for the first ``size`` of its output: a block
    that cannot be compressed grows by the tags of its literals."""
    return size + size // 6 + 64


def decode(data: bytes, size: int) -> memoryview:
    """Return the first ``size`` bytes of the output of elements that begin a block.

    Raises:
        ValueError, IndexError: the elements are damaged or end early.
    """
    output, source, at = bytearray(), memoryview(data), 0
    while len(output) < size:
        element = _element(data, at)
        if element.distance:
            begin = len(output) - element.distance
            if begin < 0:
                raise ValueError("a copy from before the block")
            copied = output[begin:begin + element.length]
            repeats = -(-element.length // len(copied))  # a copy may overlap what it writes
            output += (copied * repeats)[:element.length]
        else:
            output += source[element.begin:min(element.end, element.begin + size - len(output))]
        at = element.end
    return memoryview(output)[:size]
