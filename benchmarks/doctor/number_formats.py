"""In which number format a device multiplies, told from the error of a convolution."""

from dataclasses import dataclass
from typing import Any, Sequence

import numpy as np


@dataclass(frozen=True)
class NumberFormat:
    """A binary floating-point format.

    Attributes:
        mantissa_bits: stored ones; there is one more before the point.
    """

    name: str
    mantissa_bits: int


# HF32: CANN's documentation of --allow_hf32: the range of float32 and 11 bits of mantissa.
FLOAT32 = NumberFormat("float32", 23)
HF32 = NumberFormat("HF32", 11)
FLOAT16 = NumberFormat("float16", 10)
BFLOAT16 = NumberFormat("bfloat16", 7)
FORMATS = (FLOAT32, HF32, FLOAT16, BFLOAT16)


def rounded(values: np.ndarray, form: NumberFormat) -> np.ndarray:
    """Return the values, float64, with the format's precision (its range is left out)."""
    mantissa, exponent = np.frexp(values.astype(np.float64))  # mantissa from 0.5 to below 1
    scale = 2.0 ** (form.mantissa_bits + 1)
    return np.ldexp(np.round(mantissa * scale) / scale, exponent)


def convolution(images: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the convolution without padding in float64: (N, C, H, W) and (K, C, h, w) ->
    (N, K, H - h + 1, W - w + 1)."""
    windows: Any = np.lib.stride_tricks.sliding_window_view  # its stub has no pair of axes
    windows = windows(images.astype(np.float64), weight.shape[2:], (2, 3))  # (N, C, H', W', h, w)
    return np.einsum("nchwij,kcij->nkhw", windows, weight.astype(np.float64), optimize=True)


def relative_error(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the root of the mean square error, relative to the exact values' own; infinite where
    a value is no number."""
    difference = found.astype(np.float64) - exact
    if not np.isfinite(difference).all():
        return float("inf")
    return float(np.sqrt(np.mean(difference ** 2) / np.mean(exact ** 2)))


def format_of(found: np.ndarray, images: np.ndarray, weight: np.ndarray) -> NumberFormat:
    """Return the format that makes an error nearest to that of ``found``, the convolution of
    float32 images and weight.

    The error of a format is measured, by rounding images and weight to it. That of float32, in
    which both are already, follows: half as much for each bit more than HF32.
    """
    exact = convolution(images, weight)
    errors = [relative_error(convolution(rounded(images, form), rounded(weight, form)), exact)
              for form in FORMATS[1:]]
    errors.insert(0, errors[0] * 2.0 ** (HF32.mantissa_bits - FLOAT32.mantissa_bits))
    return nearest(relative_error(found, exact), errors)


def nearest(error: float, errors: Sequence[float]) -> NumberFormat:
    """Return the format whose error, of those in the order of FORMATS, has the smallest ratio to
    ``error``; below the first, the first."""
    distances = [abs(np.log(max(error, errors[0])) - np.log(each)) for each in errors]
    return FORMATS[int(np.argmin(distances))]
