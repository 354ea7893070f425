"""Checking one encoded picture, and repairing the kinds that readers trip over."""

import io
from typing import NamedTuple, Optional

from PIL import Image

# A 179-megapixel picture takes half a gigabyte decoded; ImageNet's largest has 51 megapixels.
MAX_PIXELS = 178_956_970

REPAIRED_JPEG_QUALITY = 95

# Pillow would warn from half of our limit on; the limit is checked here instead.
Image.MAX_IMAGE_PIXELS = None

_END_OF_IMAGE = b"\xff\xd9"


class BadPicture(Exception):
    """The bytes are not a picture that a training run can read; the message says why."""


class CheckedPicture(NamedTuple):
    """What goes into the record: the bytes, and why they differ from the source's if they do."""

    data: bytes
    repaired: Optional[str]


def check_picture(data: bytes, decode: bool) -> CheckedPicture:
    """Check encoded bytes by their content, whatever the file is called.

    JPEG in grayscale or RGB is kept byte for byte. CMYK JPEG and PNG become baseline RGB JPEG of
    quality 95. EXIF orientation is ignored, as every ImageNet reader does.

    Args:
        decode: decode every pixel; otherwise only the header and the end marker are read.

    Raises:
        BadPicture: empty, of another format, truncated, undecodable, or absurdly large.
    """
    if not data:
        raise BadPicture("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
            return _check_opened(picture, data, decode)
    except BadPicture:
        raise
    except Image.UnidentifiedImageError:
        raise BadPicture("neither JPEG nor PNG") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        # What Pillow's JPEG and PNG readers raise on damaged bytes.
        raise BadPicture(f"undecodable: {error}") from None


def _check_opened(picture: Image.Image, data: bytes, decode: bool) -> CheckedPicture:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BadPicture(f"{width} x {height} pixels, more than {MAX_PIXELS}")
    if picture.format == "PNG":
        return _as_rgb_jpeg(picture, "PNG")
    if picture.mode == "CMYK":
        return _as_rgb_jpeg(picture, "CMYK")
    if decode:
        picture.load()
    elif _END_OF_IMAGE not in data[-1024:]:
        raise BadPicture("truncated: no end-of-image marker")
    return CheckedPicture(data, None)


def _as_rgb_jpeg(picture: Image.Image, was: str) -> CheckedPicture:
    encoded = io.BytesIO()
    picture.convert("RGB").save(encoded, "JPEG", quality=REPAIRED_JPEG_QUALITY)
    return CheckedPicture(encoded.getvalue(), f"{was} stored as RGB JPEG")
