"""The compiled resize gives Pillow's bytes, for every kind of size."""

import numpy as np
import pytest
from PIL import Image

from evaluate.protocols import resized_size
from evaluate.resampling import bicubic_weights, resize_bicubic

SIZES = [(500, 375), (375, 500), (333, 499), (77, 77), (320, 320), (352, 400), (9, 5), (3, 2),
         (1, 1), (1, 40), (40, 1), (4, 400), (900, 20), (2000, 1500)]


def noise(width, height, seed=0):
    """Every byte at chance, and half of them at the ends, so that sums leave 0 to 255."""
    random = np.random.default_rng([seed, width, height])
    pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.where(random.random(pixels.shape) < .5, pixels, pixels // 128 * 255).astype(np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [75, 80, 112, 320, 342, 448])
def test_the_bytes_are_pillows(size, scale):
    pixels, target = noise(*size), resized_size(*size, scale)
    expected = Image.fromarray(pixels).resize(target, Image.Resampling.BICUBIC)
    assert np.array_equal(resize_bicubic(pixels, *target), expected)


@pytest.mark.parametrize("target", [(60, 40), (90, 40), (60, 75), (31, 100)])
def test_a_direction_that_keeps_its_length_is_left_alone(target):
    pixels = noise(60, 40)
    expected = Image.fromarray(pixels).resize(target, Image.Resampling.BICUBIC)
    assert np.array_equal(resize_bicubic(pixels, *target), expected)


@pytest.mark.parametrize("side, size", [(1, 75), (2, 75), (500, 427), (500, 597), (2000, 75)])
def test_every_weight_lies_on_a_pixel_and_they_add_up_to_one(side, size):
    first, weights = bicubic_weights(side, size)
    assert first.min() >= 0 and (first + weights.shape[1]).max() <= side
    assert np.abs(weights.sum(axis=1) / 2 ** 22 - 1).max() < 1e-5
