"""A convolution's error tells the format in which it was computed."""

import numpy as np
import pytest

from benchmarks.doctor.number_formats import (BFLOAT16, FLOAT16, FLOAT32, FORMATS, HF32,
                                              convolution, format_of, relative_error, rounded)

IMAGES = np.random.default_rng(2).normal(size=(2, 32, 8, 8)).astype(np.float32)
WEIGHT = np.random.default_rng(3).normal(size=(8, 32, 3, 3)).astype(np.float32)


def test_rounding_is_that_of_numpys_formats():
    assert (rounded(IMAGES, FLOAT32) == IMAGES).all()
    assert (rounded(IMAGES, FLOAT16) == IMAGES.astype(np.float16)).mean() > 0.99  # subnormals
    one = np.array([1 + 2 ** -7, 1 + 2 ** -8 + 2 ** -20, -(1 + 2 ** -11)])
    assert rounded(one, BFLOAT16).tolist() == [1 + 2 ** -7, 1 + 2 ** -7, -1]
    assert rounded(one, HF32)[2] == one[2] and rounded(one, FLOAT16)[2] == -1


def test_the_convolution_is_the_definition():
    exact = convolution(IMAGES, WEIGHT)
    patch = IMAGES[1, :, 2:5, 4:7].astype(np.float64)
    assert exact.shape == (2, 8, 6, 6)
    assert exact[1, 5, 2, 4] == pytest.approx((patch * WEIGHT[5]).sum())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("rounds_result", [False, True])
def test_each_format_is_told_from_the_others(form, rounds_result):
    """Also where the sums are given back in the format."""
    found = convolution(rounded(IMAGES, form), rounded(WEIGHT, form))
    found = rounded(found, form) if rounds_result else found.astype(np.float32)
    assert format_of(found, IMAGES, WEIGHT) == form


def test_sums_in_float32_and_exact_ones_are_float32():
    assert format_of(convolution(IMAGES, WEIGHT), IMAGES, WEIGHT) == FLOAT32
    windows = np.lib.stride_tricks.sliding_window_view(IMAGES, (3, 3), (2, 3))
    total = np.zeros((2, 8, 6, 6), np.float32)
    for channel in range(32):
        for row in range(3):
            for column in range(3):  # one after the other: the worst order
                total += (windows[:, None, channel, :, :, row, column]
                          * WEIGHT[None, :, channel, row, column, None, None])
    assert format_of(total, IMAGES, WEIGHT) == FLOAT32


def test_a_value_that_is_no_number_is_an_infinite_error():
    exact = convolution(IMAGES, WEIGHT)
    found = exact.copy()
    found[0, 0, 0, 0] = np.nan
    assert relative_error(found, exact) == np.inf
    assert relative_error(exact * (1 + 1e-3), exact) == pytest.approx(1e-3)
