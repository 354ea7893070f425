"""Pillow's bicubic resize: on the host with vector instructions, on the device as matrices.

Pillow computes one pixel at a time with whole numbers; the same sums here are compiled by Numba
for the processor at hand, without the interpreter lock, and give the same bytes sooner.
"""

from functools import lru_cache

import numpy as np
from numba import njit

BICUBIC_A = -0.5  # R. Keys, "Cubic convolution interpolation", IEEE Trans. ASSP 29 (1981)
REACH = 2.0  # pixels on either side, before a kernel is widened for shrinking
PRECISION_BITS = 22  # Pillow rounds the weights of 8-bit images to this fraction
BLOCK = 16  # pixels
_ONE, _HALF = 1 << PRECISION_BITS, 1 << (PRECISION_BITS - 1)


@lru_cache(maxsize=256)
def bicubic_weights(side: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """What each of ``size`` output pixels takes from a line of ``side`` pixels.

    When shrinking, the kernel is widened by side / size (antialiasing), as in Pillow's
    ``resize(..., BICUBIC)``.

    Returns:
        first int32 (size,), and int32 (size, taps) weights of the pixels from there on, in
        units of 2 ** -22; zeros stand for pixels beyond the line's end.
    """
    stretch = max(side / size, 1.0)
    centres = (np.arange(size) + 0.5) * side / size
    first = np.maximum(centres - REACH * stretch + 0.5, 0).astype(np.int32)
    taps = min(side, int(np.ceil(REACH * stretch)) * 2 + 1)
    pixels = first[:, None] + np.arange(taps)
    weights = _bicubic((pixels + 0.5 - centres[:, None]) / stretch)
    weights[pixels >= side] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    last = np.maximum(side - taps, 0)  # no tap may lie beyond the end
    shift = np.maximum(first - last, 0)
    columns = np.arange(taps) - shift[:, None]
    weights = np.where(columns >= 0, np.take_along_axis(weights, columns.clip(0), axis=1), 0.0)
    weights = np.round(weights * _ONE).astype(np.int32)
    used = np.flatnonzero(weights.any(axis=0))[-1] + 1
    return first - shift.astype(np.int32), np.ascontiguousarray(weights[:, :used])


def bicubic_matrix(side: int, size: int) -> np.ndarray:
    """float32 (size, side): row i holds the weights of the ``side`` pixels in output pixel i."""
    first, weights = bicubic_weights(side, size)
    matrix = np.zeros((size, side), np.float32)
    np.put_along_axis(matrix, first[:, None] + np.arange(weights.shape[1]),
                      weights.astype(np.float32) / _ONE, axis=1)
    return matrix


def _bicubic(distance: np.ndarray) -> np.ndarray:
    x, a = np.abs(distance), BICUBIC_A
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def resize_bicubic(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 (H, W, 3) -> (height, width, 3): the bytes that Pillow's ``resize`` gives.

    Like Pillow: first along the lines, and a direction that keeps its length is left alone.
    """
    if width != pixels.shape[1]:  # turned, since a vector holds neighbours of one weight
        pixels = _transposed(_resize_columns(_transposed(pixels), width))
    return pixels if height == pixels.shape[0] else _resize_columns(pixels, height)


def _resize_columns(pixels: np.ndarray, height: int) -> np.ndarray:
    """uint8 (H, W, 3) -> (height, W, 3)."""
    lines = pixels.reshape(len(pixels), -1)
    return _weighted_lines(lines, *bicubic_weights(len(lines), height)).reshape(
        height, pixels.shape[1], 3)


@njit(nogil=True)
def _transposed(pixels):
    """uint8 (H, W, 3) -> (W, H, 3), in blocks that stay in the processor's cache."""
    height, width = pixels.shape[0], pixels.shape[1]
    turned = np.empty((width, height, 3), np.uint8)
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            for y in range(top, min(top + BLOCK, height)):
                for x in range(left, min(left + BLOCK, width)):
                    turned[x, y, 0] = pixels[y, x, 0]
                    turned[x, y, 1] = pixels[y, x, 1]
                    turned[x, y, 2] = pixels[y, x, 2]
    return turned


@njit(nogil=True)
def _weighted_lines(lines, first, weights):
    size, width = weights.shape[0], lines.shape[1]
    resized = np.empty((size, width), np.uint8)
    sums = np.empty(width, np.int32)
    for i in range(size):
        sums[:] = _HALF
        for tap in range(weights.shape[1]):
            weight, y = weights[i, tap], first[i] + tap
            for x in range(width):
                sums[x] += weight * np.int32(lines[y, x])
        for x in range(width):
            resized[i, x] = min(max(sums[x] >> PRECISION_BITS, 0), 255)
    return resized
