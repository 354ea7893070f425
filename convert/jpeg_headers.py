"""Which JPEGs MindSpore's decoder can be given, judged by their headers.

After an error of libjpeg MindSpore 2.10 continues with a decoder that was not set up, so that the
process dies from SIGFPE or SIGSEGV and no message names the image. So libjpeg is asked first,
through Pillow, which stops where libjpeg does.
"""

import io
from typing import NamedTuple, Optional

from PIL import Image

from common.jpeg import UNDECODABLE

START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
DRAFT = 8  # libjpeg's smallest scale, 1/8

_START_OF_SCAN = 0xDA
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # among 0xC0 to 0xCF: tables, and one that is reserved
_ONE_SCAN = (0xC0, 0xC1)  # frames that need not have more: baseline and extended, Huffman
_LOSSLESS = (0xC3, 0xCB)
_WITHOUT_LENGTH = (0x00, 0x01, 0xFF, *range(0xD0, 0xD9))  # no markers, or those of no segment


class JpegHeader(NamedTuple):
    """What comes before the coded data of the first scan."""

    end: int  # where that data begins
    frame: int  # marker of the frame, which says how the image is coded
    several_scans: bool  # or perhaps: each has a header of its own


def read_header(data: bytes) -> Optional[JpegHeader]:
    """Return the header; None without one, or where an end marker comes before the image.

    Pillow continues after that marker (at the second image of a file whose first is damaged),
    MindSpore does not.
    """
    at, frame, components = 2, 0, 0
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker in _WITHOUT_LENGTH:
            at += 1
            continue
        end = at + 2 + max(2, int.from_bytes(data[at + 2:at + 4], "big"))
        if marker == END_OF_IMAGE[1] or end > len(data):
            return None
        if marker == _START_OF_SCAN:
            several = frame not in _ONE_SCAN or data[at + 4:at + 5] != bytes([components])
            return JpegHeader(end, frame, several)
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES:
            frame, components = marker, data[min(at + 9, end - 1)]
        at = end
    return None


def fault_of_jpeg(image: Image.Image, file: io.BytesIO, data: bytes, decode: bool
                  ) -> Optional[str]:
    """Return why MindSpore cannot decode the JPEG; None if it can.

    Args:
        image: opened by Pillow from ``file``, which may be cut here.
        decode: all of it; otherwise the headers alone, which may be all that ``data`` holds.
    """
    header = read_header(data)
    if header is None:
        return "undecodable: its header is cut, or its end-of-image marker comes before the image"
    if header.frame in _LOSSLESS:
        return "undecodable: a lossless JPEG, of which MindSpore cannot cut a crop"
    whole = decode or header.several_scans
    if not whole:
        # libjpeg sets up its decoder, then finds no data: Pillow's "image file is truncated".
        file.truncate(header.end)
    try:
        # An eighth of the size: libjpeg reads every coded bit as for the whole image, which is
        # where damage shows, and saves the transform and the colours, a third of the time.
        image.draft(None, (max(1, image.width // DRAFT), max(1, image.height // DRAFT)))
        image.load()
    except UNDECODABLE as error:
        if whole or "truncated" not in str(error):
            return f"undecodable: {error}"
    return None
