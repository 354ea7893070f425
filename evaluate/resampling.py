"""Pillow's bicubic resize as a matrix, so that the device can resize squares of a fixed size."""

import numpy as np

BICUBIC_A = -0.5  # R. Keys, "Cubic convolution interpolation", IEEE Trans. ASSP 29 (1981)
PILLOW_PRECISION = 1 << 22  # Pillow rounds the weights of 8-bit pictures to this fraction


def bicubic_matrix(side: int, size: int) -> np.ndarray:
    """float32 (size, side): row i holds the weights of the ``side`` pixels in output pixel i.

    When shrinking, the kernel is widened by side / size (antialiasing), as in Pillow's
    ``resize(..., BICUBIC)``; each row adds up to 1.
    """
    stretch = max(side / size, 1.0)
    centres = (np.arange(size)[:, None] + 0.5) * side / size
    distances = (np.arange(side)[None, :] + 0.5 - centres) / stretch
    weights = _bicubic(distances)
    weights /= weights.sum(axis=1, keepdims=True)
    return (np.round(weights * PILLOW_PRECISION) / PILLOW_PRECISION).astype(np.float32)


def _bicubic(distance: np.ndarray) -> np.ndarray:
    x, a = np.abs(distance), BICUBIC_A
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
