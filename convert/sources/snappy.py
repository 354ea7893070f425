"""Snappy's raw format, for reading a part of a stream.

A stream is its length, then elements: literals (bytes that follow) and copies of earlier bytes. Its
writers compress blocks of 64 KB of the input, each on its own.
"""

from typing import NamedTuple

BLOCK = 1 << 16

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


def block_begins(stream: Data) -> list[int]:
    """Return the position in the stream where each block of 64 KB of the output begins.

    Raises:
        ValueError, IndexError: an element continues past the end of a block, or of the stream.
    """
    at = next(k for k in range(5) if stream[k] < 128) + 1  # after the length
    begins, written = [], 0
    while at < len(stream):
        if written % BLOCK == 0:
            begins.append(at)
        element = _element(stream, at)
        written, at = written + element.length, element.end
    if len(begins) != -(-written // BLOCK):
        raise ValueError("blocks are not of 64 KB")
    return begins


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
