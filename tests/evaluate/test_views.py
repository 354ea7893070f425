"""The host's share: decoding to RGB, and the views that are not mirrored."""

import numpy as np
import pytest
from PIL import Image
from small import cut_one_by_one

from evaluate.protocols import protocol_of
from evaluate.views import cut_views, decode_rgb, prepared_rows

ORIENTATION = 0x0112  # the EXIF tag


@pytest.mark.parametrize("mode, image_format", [
    ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "PNG"),
    ("1", "PNG")])
def test_every_mode_becomes_rgb(draw, encode, mode, image_format):
    image = decode_rgb(encode(draw(40, 30, mode), image_format))
    assert (image.mode, image.size) == ("RGB", (40, 30))


def test_pixels_are_those_of_the_file(draw, encode):
    original = draw(40, 30)
    assert np.array_equal(decode_rgb(encode(original, "PNG")), original)


def test_exif_orientation_is_ignored(draw, encode):
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turned by 90 degrees
    turned = decode_rgb(encode(draw(40, 30), quality=95, exif=exif))
    assert np.array_equal(turned, decode_rgb(encode(draw(40, 30), quality=95)))


@pytest.mark.parametrize("encoded", [b"", b"not an image"])
def test_bytes_that_are_no_image_raise(encoded):
    with pytest.raises(OSError):
        decode_rgb(encoded)


def test_an_image_that_ends_too_early_raises(draw, encode):
    with pytest.raises(OSError, match="truncated"):
        decode_rgb(encode(draw(40, 30))[:-200])


@pytest.mark.parametrize("size", [(120, 90), (91, 133), (77, 77), (3, 2), (1, 40), (900, 20)])
@pytest.mark.parametrize("crops", [1, 10, 12, 144])
def test_views_are_the_crops_cut_one_by_one_without_their_mirrors(draw, size, crops):
    image, protocol = draw(*size), protocol_of(crops, 75)
    views = cut_views(image, protocol)
    assert views.dtype == np.uint8
    assert np.array_equal(views, cut_one_by_one(image, protocol)[::protocol.mirrors])


def test_the_whole_square_is_resized_from_its_own_pixels_alone(draw):
    image = draw(120, 90)
    resized = image.resize((107, 80), Image.Resampling.BICUBIC)
    resized.paste((0, 0, 0), (80, 0, 107, 80))
    square = resized.crop((0, 0, 80, 80)).resize((75, 75), Image.Resampling.BICUBIC)
    assert np.array_equal(cut_views(image, protocol_of(144, 75))[5], square)


def test_rows_keep_their_order_and_few_are_in_memory(records, monkeypatch):
    """Seven images: nothing is prepared before it is asked for, and at most ``ahead`` + 1 are."""
    started = []

    def spy(image, protocol):
        started.append(image.size)
        return cut_views(image, protocol)
    monkeypatch.setattr("evaluate.views.cut_views", spy)
    rows = prepared_rows(records, range(1, 7), protocol_of(1, 75), workers=2, ahead=2)
    first = next(rows)
    assert first[1].shape == (1, 75, 75, 3) and len(started) <= 3
    assert [row.image_id for row, _ in (first, *rows)] == [2, 3, 4, 5, 6, 7]
    assert len(started) == 6
