"""Checking one encoded image, and repairing the kinds that many readers cannot read."""

import io
from dataclasses import dataclass
from typing import NamedTuple, Optional

from PIL import Image

from common.jpeg import UNDECODABLE

# A 179-megapixel image takes half a gigabyte decoded; ImageNet's largest has 51 megapixels.
MAX_PIXELS = 178_956_970

REPAIRED_JPEG_QUALITY = 95
SHRUNK_JPEG_QUALITY = 90

DRAFT = 8  # libjpeg's smallest scale, 1/8

# Pillow would warn from half of our limit on; the limit is checked here instead.
Image.MAX_IMAGE_PIXELS = None

_END_OF_IMAGE = b"\xff\xd9"


class BadImage(Exception):
    """The bytes are not an image that a training run can read; the message says why."""


@dataclass(frozen=True)
class ImageChecks:
    """How images are checked, and whether large ones are shrunk."""

    decode: bool = True  # every pixel; otherwise only the header and the end marker are read
    short_side: Optional[int] = None  # pixels; images with a longer one are shrunk to it
    quality: int = SHRUNK_JPEG_QUALITY  # of the JPEGs that shrinking makes, 1 to 95


class CheckedImage(NamedTuple):
    """What goes into the record: the bytes, and why they differ from the source's if they do."""

    data: bytes
    repaired: Optional[str] = None
    shrunk: bool = False


def check_image(data: bytes, checks: ImageChecks) -> CheckedImage:
    """Check encoded bytes by their content, whatever the file is called.

    JPEG in grayscale or RGB is kept byte for byte unless it is to be shrunk. CMYK JPEG and PNG
    become baseline RGB JPEG of quality 95. EXIF orientation is ignored, as every ImageNet reader
    does.

    Raises:
        BadImage: empty, of another format, truncated, undecodable, or absurdly large.
    """
    if not data:
        raise BadImage("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            return _check_opened(image, data, checks)
    except BadImage:
        raise
    except Image.UnidentifiedImageError:
        raise BadImage("neither JPEG nor PNG") from None
    except UNDECODABLE as error:
        raise BadImage(f"undecodable: {error}") from None


def _check_opened(image: Image.Image, data: bytes, checks: ImageChecks) -> CheckedImage:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImage(f"{width} x {height} pixels, more than {MAX_PIXELS}")
    odd = "PNG" if image.format == "PNG" else "CMYK" if image.mode == "CMYK" else None
    repaired = f"{odd} stored as RGB JPEG" if odd else None
    if checks.short_side and min(width, height) > checks.short_side:
        shrunk = _shrunk(image, checks.short_side, checks.quality)
        return CheckedImage(shrunk, repaired, shrunk=True)
    if repaired:
        return CheckedImage(_as_jpeg(image.convert("RGB"), REPAIRED_JPEG_QUALITY), repaired)
    if checks.decode:
        # An eighth of the size: libjpeg reads every coded bit as for the whole image, which is
        # where damage shows, and saves the transform and the colours, a third of the time.
        image.draft(None, (max(1, width // DRAFT), max(1, height // DRAFT)))
        image.load()
    elif _END_OF_IMAGE not in data[-1024:]:
        raise BadImage("truncated: no end-of-image marker")
    return CheckedImage(data)


def _shrunk(image: Image.Image, short_side: int, quality: int) -> bytes:
    width, height = image.size
    factor = short_side / min(width, height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    plain = image if image.mode == "L" else image.convert("RGB")
    return _as_jpeg(plain.resize(size, Image.Resampling.LANCZOS), quality)


def _as_jpeg(image: Image.Image, quality: int) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()
