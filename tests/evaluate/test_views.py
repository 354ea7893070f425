"""The host's share: decoding to RGB, and the views that are not mirrored."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from small import cut_one_by_one, draw_image, encode_image

from common.cli import RequestError
from common.jpeg import UNDECODABLE
from convert.records.reader import RecordSet
from evaluate.protocols import protocol_of
from evaluate.views import cut_views, decode_rgb, prepared_rows, read_rows

ORIENTATION = 0x0112  # the EXIF tag


@pytest.mark.parametrize("mode, image_format", [
    ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "PNG"),
    ("1", "PNG")])
def test_every_mode_becomes_rgb(mode, image_format):
    image = decode_rgb(encode_image(draw_image(40, 30, mode), image_format))
    assert (image.mode, image.size) == ("RGB", (40, 30))


def test_pixels_are_those_of_the_file():
    original = draw_image(40, 30)
    assert np.array_equal(decode_rgb(encode_image(original, "PNG")), original)


def test_exif_orientation_is_ignored():
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turned by 90 degrees
    turned = decode_rgb(encode_image(draw_image(40, 30), quality=95, exif=exif))
    assert np.array_equal(turned, decode_rgb(encode_image(draw_image(40, 30), quality=95)))


@pytest.mark.parametrize("encoded, said", [
    (b"", "cannot identify"), (b"not an image", "cannot identify"),
    (encode_image(draw_image(40, 30))[:-200], "truncated")])
def test_bytes_that_are_no_whole_image_raise(encoded, said):
    with pytest.raises(OSError, match=said):
        decode_rgb(encoded)


@pytest.mark.parametrize("size", [(120, 90), (91, 133), (77, 77), (3, 2), (1, 40), (900, 20)])
@pytest.mark.parametrize("crops", [1, 10, 12, 144])
def test_views_are_the_crops_cut_one_by_one_without_their_mirrors(size, crops):
    image, protocol = draw_image(*size), protocol_of(crops, 75)
    views = cut_views(image, protocol)
    assert views.dtype == np.uint8
    assert np.array_equal(views, cut_one_by_one(image, protocol)[::protocol.mirrors])


def test_a_row_that_is_not_read_is_noticed(records, monkeypatch):
    rows = RecordSet.rows
    monkeypatch.setattr(RecordSet, "rows", lambda self, *asked: list(rows(self, *asked))[:-1])
    with pytest.raises(RequestError, match="gave 3 of the 4 rows from row 2 on"):
        list(read_rows(records, range(2, 6)))


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


def test_bytes_that_would_become_too_many_pixels_are_not_decoded():
    bomb = encode_image(Image.new("1", (20_000, 10_000)), "PNG")
    tracemalloc.start()
    with pytest.raises(UNDECODABLE, match="20000 x 10000 pixels are more than"):
        decode_rgb(bomb)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


@pytest.mark.parametrize("size", [(300, 2), (2, 300)])
@pytest.mark.parametrize("crops", [1, 144])
def test_the_views_of_a_long_image_are_cut_without_resizing_all_of_it(size, crops, monkeypatch):
    image, protocol = draw_image(*size), protocol_of(crops, 75)
    whole = cut_views(image, protocol).astype(int)
    monkeypatch.setattr("evaluate.views.MAX_RESIZED_PIXELS", 80 * 80)
    resized = []
    resize = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, size, *others, **more: resized.append(
        size) or resize(self, size, *others, **more))
    parts = cut_views(image, protocol).astype(int)
    assert max(map(max, resized)) <= 112  # the largest scale
    assert np.abs(parts - whole).max() <= 2 and np.abs(parts - whole).mean() < 0.2


def test_a_squashed_crop_is_seven_eighths_of_both_sides():
    """The margins, a sixteenth each, are rounded down: 10.6 pixels to 10, 5.1 to 5."""
    image = draw_image(170, 81)
    views = cut_views(image, protocol_of(1, 75, single_crop="squash", interpolation="bilinear"))
    assert np.array_equal(views[0], np.asarray(
        image.crop((10, 5, 160, 76)).resize((75, 75), Image.Resampling.BILINEAR)))
    with pytest.raises(RequestError, match="squash is a way to take 1 crop, not 12"):
        protocol_of(12, 75, single_crop="squash")


def test_bilinear_views_are_not_bicubic_ones():
    image = draw_image(160, 81)
    bicubic, bilinear = (cut_views(image, protocol_of(12, 75, interpolation=name))
                         for name in ("bicubic", "bilinear"))
    resized = image.resize((170, 86), Image.Resampling.BILINEAR)
    assert np.array_equal(bilinear[0], np.asarray(resized.crop((42, 0, 117, 75))))
    assert all((one != other).any() for one, other in zip(bicubic, bilinear))
