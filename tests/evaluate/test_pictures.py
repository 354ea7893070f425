"""The host's share: decoding to RGB, one resize a scale, squares of a fixed size."""

import numpy as np
import pytest
from PIL import Image

from evaluate.protocols import multi_scale_crops, single_crop, square_boxes
from evaluate.views import cut_squares, decode_rgb

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


def test_a_image_that_breaks_off_raises(draw, encode):
    with pytest.raises(OSError, match="truncated"):
        decode_rgb(encode(draw(40, 30))[:-200])


@pytest.mark.parametrize("size", [(120, 90), (91, 133), (77, 77), (3, 2), (1, 40), (900, 20)])
@pytest.mark.parametrize("protocol", [multi_scale_crops(75), single_crop(75)])
def test_squares_have_the_same_shapes_for_every_image(draw, size, protocol):
    squares = cut_squares(draw(*size), protocol)
    assert [array.shape for array in squares] == [
        (len(protocol.squares), scale, scale, 3) for scale in protocol.scales]
    assert all(array.dtype == np.uint8 for array in squares)


def test_squares_are_cut_from_the_resized_image(draw):
    protocol, image = multi_scale_crops(75), draw(120, 90)
    resized = image.resize((149, 112), Image.Resampling.BICUBIC)  # 120 x 90 at scale 112
    squares = cut_squares(image, protocol)[-1]
    for square, box in zip(squares, square_boxes(protocol, 149, 112)):
        assert np.array_equal(square, resized.crop(box))
