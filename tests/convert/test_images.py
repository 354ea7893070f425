"""Which bytes are accepted, repaired or refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from convert import images
from convert.images import BadImage, ImageChecks, check_image


def encoded(mode="RGB", file_format="JPEG", size=(40, 30), **options):
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, file_format, **options)
    return buffer.getvalue()


def rotated():
    """EXIF data that says so, which every ImageNet reader ignores."""
    exif = Image.Exif()
    exif[0x0112] = 6  # by 90 degrees
    return exif


@pytest.mark.parametrize("data", [
    encoded("RGB"), encoded("L"), encoded(exif=rotated()),
    encoded(size=(1, 1)), encoded(size=(7, 300)), encoded(size=(9, 7)), encoded(size=(100, 60))])
@pytest.mark.parametrize("checks", [ImageChecks(True), ImageChecks(False),
                                    ImageChecks(True, short_side=60, quality=80)])
def test_good_jpeg_is_kept_byte_for_byte(data, checks):
    assert check_image(data, checks) == (data, None, False)


@pytest.mark.parametrize("mode, file_format", [("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"),
                                               ("P", "PNG")])
def test_cmyk_and_png_become_rgb_jpeg(mode, file_format):
    data, repaired, _ = check_image(encoded(mode, file_format), ImageChecks(decode=False))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (40, 30))
    assert "stored as RGB JPEG" in repaired


def saved(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.mark.parametrize("mode, file_format", [("CMYK", "JPEG"), ("RGB", "PNG")])
def test_repaired_and_shrunk_images_have_the_quality_of_each(mode, file_format):
    data = encoded(mode, file_format, size=(100, 60))
    plain = Image.open(io.BytesIO(data)).convert("RGB")
    assert check_image(data, ImageChecks(short_side=60, quality=7)).data == saved(plain, 95)
    small = plain.resize((50, 30), Image.Resampling.LANCZOS)
    for options, quality in (({}, 90), ({"quality": 41}, 41)):
        assert check_image(data, ImageChecks(True, 30, **options)).data == saved(small, quality)


def test_what_follows_the_image_is_kept_where_every_pixel_is_decoded():
    data = encoded() + bytes(2000)
    assert check_image(data, ImageChecks(decode=True)).data == data
    with pytest.raises(BadImage, match="truncated: no end-of-image marker"):
        check_image(data, ImageChecks(decode=False))
    near = encoded() + bytes(1022)  # the marker is in the last 1024 bytes
    assert check_image(near, ImageChecks(decode=False)).data == near


def test_an_image_may_have_as_many_pixels_as_the_limit(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 30)
    assert check_image(encoded(), ImageChecks()).data == encoded()
    for size in ((41, 30), (40, 31)):
        with pytest.raises(BadImage, match="pixels, more than 1200"):
            check_image(encoded(size=size), ImageChecks())


def png(colour_type, depth, rows, **chunks):
    """A PNG of 8 pixels a row, of kinds that Pillow does not write."""
    header = struct.pack(">IIBBBBB", 8, len(rows), depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name.encode() + data
        + struct.pack(">I", zlib.crc32(name.encode() + data))
        for name, data in {"IHDR": header, **chunks, "IDAT": pixels, "IEND": b""}.items())


DEEP = np.repeat([0, 32768], 4).astype(">u2")  # black and gray, of 16 bits
CLEAR = np.repeat([0, 65535], 4).astype(">u2")  # as alpha: the left half is transparent


@pytest.mark.parametrize("data, done, left, right", [
    (png(0, 16, [DEEP.tobytes()] * 8), "16-bit grayscale PNG scaled to 8 bits,", 0, 128),
    (png(2, 16, [np.repeat(DEEP, 3).tobytes()] * 8), "16-bit PNG scaled to 8 bits,", 0, 128),
    (png(0, 16, [(DEEP + 1).astype(">u2").tobytes()] * 8, tRNS=b"\x80\x01"),
     "16-bit grayscale PNG on white and scaled to 8 bits,", 0, 255),
    (png(4, 8, [np.stack([CLEAR * 0, CLEAR], 1).astype("u1").tobytes()] * 8),
     "grayscale and alpha PNG on white,", 255, 0),
    (png(6, 16, [np.stack([CLEAR * 0] * 3 + [CLEAR], 1).tobytes()] * 8),
     "16-bit RGBA PNG on white and scaled to 8 bits,", 255, 0),
    (png(3, 8, [bytes([0, 0, 0, 0, 1, 1, 1, 1])] * 8, PLTE=bytes(6), tRNS=b"\0"),
     "palette PNG on white,", 255, 0),
    (png(3, 8, [bytes([0, 0, 0, 0, 1, 1, 1, 1])] * 8, PLTE=b"\x40" * 3 + bytes(3)),
     "palette PNG", 64, 0),
    (png(0, 4, [b"\x88\x88\0\0"] * 8, tRNS=b"\0\x08"), "grayscale PNG on white,", 255, 0),
    (png(0, 1, [b"\xf0"] * 8), "1-bit PNG", 255, 0),
])
def test_deep_and_transparent_pngs_keep_what_is_seen(data, done, left, right):
    for checks in (ImageChecks(), ImageChecks(short_side=4, quality=95)):
        stored = check_image(data, checks)
        assert stored.repaired == f"{done} stored as RGB JPEG"
        with Image.open(io.BytesIO(stored.data)) as image:
            assert image.mode == "RGB"
            ends = [image.getpixel((x, 1)) for x in (0, image.width - 1)]
        # Shrinking lets the halves ring.
        assert np.abs(np.array(ends) - [[left] * 3, [right] * 3]).max() <= 12


@pytest.mark.parametrize("data, decode, words", [
    (b"", False, "empty file"),
    (b"hello", False, "neither JPEG nor PNG"),
    (encoded(file_format="GIF"), False, "neither JPEG nor PNG"),
    (encoded()[:400], True, "undecodable"),
    (encoded()[:-200], True, "undecodable"),
    (encoded()[:-200], False, "truncated"),
    # A thumbnail in the head has an end marker, too.
    (encoded(size=(100, 60), comment=b"\xff\xd9")[:-200], False, "truncated"),
    (encoded("RGB", "PNG")[:-300], False, "undecodable"),
    (encoded()[:20], False, "undecodable: its header"),
    (encoded()[:20] + b"\xff\xd9" + encoded(), True, "end-of-image marker comes before"),
    (png(2, 16, [bytes(48)] * 8, tRNS=bytes(6)), False, "16-bit RGB PNG with a transparent"),
])
def test_bad_bytes_are_refused_with_a_reason(data, decode, words):
    with pytest.raises(BadImage, match=words):
        check_image(data, ImageChecks(decode))


def test_absurd_sizes_are_refused_before_decoding():
    data = bytearray(encoded())
    frame = data.index(b"\xff\xc0")  # start of frame: length 2, precision 1, height 2, width 2
    data[frame + 5:frame + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(BadImage, match="65535 x 65535 pixels"):
        check_image(bytes(data), ImageChecks())


@pytest.mark.parametrize("mode, stored", [("RGB", "RGB"), ("L", "L"), ("CMYK", "RGB")])
def test_larger_images_are_shrunk_to_the_short_side(mode, stored):
    original = encoded(mode, size=(100, 60))
    data, repaired, shrunk = check_image(original, ImageChecks(True, short_side=30, quality=80))
    assert repaired == ("CMYK stored as RGB JPEG" if mode == "CMYK" else None)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.size, image.mode) == ((50, 30), stored)
    assert shrunk and len(data) < len(original)


def test_mutated_images_are_stored_decodable_or_refused():
    """1,000 JPEGs with a few bytes changed, cut or inserted: never accepted and undecodable."""
    rng = np.random.default_rng(1)
    original = encoded(size=(64, 48), quality=90)
    refused = 0
    for _ in range(1000):
        data = bytearray(original)
        for position in rng.integers(0, len(data), rng.integers(1, 4)):
            data[position] = rng.integers(0, 256)
        if rng.random() < 0.3:
            del data[rng.integers(1, len(data)):]
        try:
            stored = check_image(bytes(data), ImageChecks()).data
        except BadImage as reason:
            assert str(reason)
            refused += 1
            continue
        with Image.open(io.BytesIO(stored)) as image:
            image.load()
    assert 300 < refused < 1000
