"""Checking one encoded image, and repairing the kinds that many readers cannot read."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, NamedTuple, Optional

import numpy as np
from PIL import Image

from common.files import naming_file
from common.jpeg import UNDECODABLE
from convert.jpeg_headers import END_OF_IMAGE, START_OF_IMAGE, fault_of_jpeg, read_header

# A 179-megapixel image takes half a gigabyte decoded; ImageNet's largest has 51 megapixels.
MAX_PIXELS = 178_956_970

HEAD_BYTES = 1 << 16  # of a file: longer than the headers of most JPEGs

REPAIRED_JPEG_QUALITY = 95
SHRUNK_JPEG_QUALITY = 90

# Pillow would warn from half of our limit on; the limit is checked here instead.
Image.MAX_IMAGE_PIXELS = None

_PNG_SIGNATURE = b"\x89PNG"
_PNG_DEPTH_AT = 24  # bits per channel, in the header chunk that a PNG begins with

# How the manifest calls Pillow's modes; the others by their own names.
_NAMES = {"RGB": "", "1": "1-bit ", "L": "grayscale ", "P": "palette ", "I": "grayscale ",
          "I;16": "grayscale ", "LA": "grayscale and alpha "}


class BadImage(Exception):
    """The bytes are not an image that a training run can read; the message says why."""


@dataclass(frozen=True)
class ImageChecks:
    """How images are checked, and whether large ones are shrunk."""

    decode: bool = True  # every pixel; otherwise only the headers and the end marker are read
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
    become baseline RGB JPEG of quality 95: what is transparent lies on white then, 16 bits are
    scaled to 8. EXIF orientation is ignored, as every ImageNet reader does.

    Raises:
        BadImage: empty, of another format, truncated, undecodable, or absurdly large.
    """
    if not data:
        raise BadImage("empty file")
    with _opened(data) as (image, file):
        return _check_opened(image, file, data, checks)


def check_jpeg_file(path: Path) -> None:
    """Check that MindSpore's decoder survives a file; it raises errors of its own for damage after
    the headers and for other formats than JPEG. Little more than the headers is read.

    Raises:
        BadImage: a JPEG with damaged headers, or absurdly large.
        RequestError: the disk failed.
    """
    with naming_file(path), open(path, "rb", buffering=0) as jpeg:
        data = jpeg.read(HEAD_BYTES)
        if not data.startswith(START_OF_IMAGE):
            return
        header = read_header(data)
        if header is None or header.several_scans:
            data += jpeg.read()
    with _opened(data) as (image, file):
        _check_jpeg(image, file, data, decode=False)


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator[tuple[Image.Image, io.BytesIO]]:
    """Open an image; raise BadImage for what Pillow raises, there and in the body."""
    try:
        file = io.BytesIO(data)
        with Image.open(file, formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadImage(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS}")
            yield image, file
    except Image.UnidentifiedImageError:
        known = data.startswith((START_OF_IMAGE, _PNG_SIGNATURE))
        raise BadImage("undecodable: its header is damaged or of a kind that Pillow cannot read"
                       if known else "neither JPEG nor PNG") from None
    except UNDECODABLE as error:
        raise BadImage(f"undecodable: {error}") from None


def _check_opened(image: Image.Image, file: io.BytesIO, data: bytes, checks: ImageChecks
                  ) -> CheckedImage:
    width, height = image.size
    repaired = _repair_of(image, data)
    if checks.short_side and min(width, height) > checks.short_side:
        shrunk = _shrunk(image, data, checks)
        return CheckedImage(shrunk, repaired, shrunk=True)
    if repaired:
        return CheckedImage(_as_jpeg(_as_rgb(image, data), REPAIRED_JPEG_QUALITY), repaired)
    _check_jpeg(image, file, data, checks.decode)
    if not checks.decode and END_OF_IMAGE not in data[-1024:]:
        raise BadImage("truncated: no end-of-image marker")
    return CheckedImage(data)


def _check_jpeg(image: Image.Image, file: io.BytesIO, data: bytes, decode: bool) -> None:
    fault = fault_of_jpeg(image, file, data, decode)
    if fault:
        raise BadImage(fault)


def _repair_of(image: Image.Image, data: bytes) -> Optional[str]:
    """Return what is done to an image that cannot be stored as it is, for the manifest."""
    if image.format != "PNG":
        return None if image.mode in ("L", "RGB") else f"{image.mode} stored as RGB JPEG"
    deep = data[_PNG_DEPTH_AT] == 16
    done = [" on white"] * image.has_transparency_data + [" scaled to 8 bits"] * deep
    stored = "JPEG" if image.mode == "L" and not done else "RGB JPEG"  # RGB unless it is shrunk
    return (f"{'16-bit ' if deep else ''}{_NAMES.get(image.mode, f'{image.mode} ')}PNG"
            f"{' and'.join(done)}{',' if done else ''} stored as {stored}")


def _as_rgb(image: Image.Image, data: bytes) -> Image.Image:
    """Return the image in RGB, 8 bits per channel, its transparent parts on white."""
    if image.mode.startswith("I"):  # 16-bit grayscale; Pillow would clip it at 255
        return _deep_as_gray(image).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    colour, depth = image.info.get("transparency"), data[_PNG_DEPTH_AT]
    if depth == 16 and colour is not None:
        raise BadImage("a 16-bit RGB PNG with a transparent colour, of which Pillow reads 8 bits; "
                       "save it with 8 bits")
    if depth in (1, 2, 4) and isinstance(colour, int) and image.mode != "P":
        image.info["transparency"] = colour * 255 // (2 ** depth - 1)  # as Pillow scales pixels
    colours = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(colours, mask=colours)
    return white


def _deep_as_gray(image: Image.Image) -> Image.Image:
    """Return an image of 16 bits with the upper 8, as Pillow reads RGB of 16 bits; what has its
    transparent value is white."""
    values = np.asarray(image)
    gray = (values >> 8).astype(np.uint8)
    if "transparency" in image.info:
        gray[values == image.info["transparency"]] = 255
    return Image.fromarray(gray)


def _shrunk(image: Image.Image, data: bytes, checks: ImageChecks) -> bytes:
    assert checks.short_side is not None
    width, height = image.size
    factor = checks.short_side / min(width, height)
    size = (round(width * factor), round(height * factor))
    plain = image if image.mode == "L" and not image.has_transparency_data else _as_rgb(image, data)
    return _as_jpeg(plain.resize(size, Image.Resampling.LANCZOS), checks.quality)


def _as_jpeg(image: Image.Image, quality: int) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()
