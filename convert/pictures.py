"""Checking one encoded picture, and repairing the kinds that readers trip over."""

import io
from dataclasses import dataclass
from typing import NamedTuple, Optional

from PIL import Image

# A 179-megapixel picture takes half a gigabyte decoded; ImageNet's largest has 51 megapixels.
MAX_PIXELS = 178_956_970

REPAIRED_JPEG_QUALITY = 95
SHRUNK_JPEG_QUALITY = 90

DRAFT = 8  # libjpeg's smallest scale, 1/8

# Pillow would warn from half of our limit on; the limit is checked here instead.
Image.MAX_IMAGE_PIXELS = None

_END_OF_IMAGE = b"\xff\xd9"


class BadPicture(Exception):
    """The bytes are not a picture that a training run can read; the message says why."""


@dataclass(frozen=True)
class Treatment:
    """How pictures are checked, and what is stored of the large ones."""

    decode: bool = True  # every pixel; otherwise only the header and the end marker are read
    short_side: Optional[int] = None  # pixels; pictures with a longer one are shrunk to it
    quality: int = SHRUNK_JPEG_QUALITY  # of the JPEGs that shrinking makes, 1 to 95


class CheckedPicture(NamedTuple):
    """What goes into the record: the bytes, and why they differ from the source's if they do."""

    data: bytes
    repaired: Optional[str] = None
    shrunk: bool = False


def check_picture(data: bytes, treatment: Treatment) -> CheckedPicture:
    """Check encoded bytes by their content, whatever the file is called.

    JPEG in grayscale or RGB is kept byte for byte unless it is to be shrunk. CMYK JPEG and PNG
    become baseline RGB JPEG of quality 95. EXIF orientation is ignored, as every ImageNet reader
    does.

    Raises:
        BadPicture: empty, of another format, truncated, undecodable, or absurdly large.
    """
    if not data:
        raise BadPicture("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
            return _check_opened(picture, data, treatment)
    except BadPicture:
        raise
    except Image.UnidentifiedImageError:
        raise BadPicture("neither JPEG nor PNG") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        # What Pillow's JPEG and PNG readers raise on damaged bytes.
        raise BadPicture(f"undecodable: {error}") from None


def _check_opened(picture: Image.Image, data: bytes, treatment: Treatment) -> CheckedPicture:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BadPicture(f"{width} x {height} pixels, more than {MAX_PIXELS}")
    odd = "PNG" if picture.format == "PNG" else "CMYK" if picture.mode == "CMYK" else None
    repaired = f"{odd} stored as RGB JPEG" if odd else None
    if treatment.short_side and min(width, height) > treatment.short_side:
        shrunk = _shrunk(picture, treatment.short_side, treatment.quality)
        return CheckedPicture(shrunk, repaired, shrunk=True)
    if repaired:
        return CheckedPicture(_as_jpeg(picture.convert("RGB"), REPAIRED_JPEG_QUALITY), repaired)
    if treatment.decode:
        # An eighth of the size: libjpeg reads every coded bit as for the whole picture, which is
        # where damage shows, and saves the transform and the colours, a third of the time.
        picture.draft(None, (max(1, width // DRAFT), max(1, height // DRAFT)))
        picture.load()
    elif _END_OF_IMAGE not in data[-1024:]:
        raise BadPicture("truncated: no end-of-image marker")
    return CheckedPicture(data)


def _shrunk(picture: Image.Image, short_side: int, quality: int) -> bytes:
    width, height = picture.size
    factor = short_side / min(width, height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    plain = picture if picture.mode == "L" else picture.convert("RGB")
    return _as_jpeg(plain.resize(size, Image.Resampling.LANCZOS), quality)


def _as_jpeg(picture: Image.Image, quality: int) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()
