"""Which bytes are accepted, repaired or refused."""

import io

import numpy as np
import pytest
from PIL import Image

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
