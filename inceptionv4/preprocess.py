"""From the bytes of images to what the network reads, as a part of the graph.

Images cross from host to device as uint8, a quarter of the bytes of float32; normalising and
changing the layout on the device also leaves the host's cores free for decoding.
"""

from typing import NamedTuple, Sequence

import mindspore as ms
import numpy as np
from mindspore import nn, ops

# x / 127.5 - 1, which the Inception networks were trained with; red, green, blue in 0..255 units.
INCEPTION_MEAN = (127.5, 127.5, 127.5)
INCEPTION_STD = (127.5, 127.5, 127.5)


class InputStatistics(NamedTuple):
    """What a network's images are normalised with, per channel (red, green, blue), in 0..255 units:
    it reads (x - mean) / std. By default, what the Inception networks were trained with."""

    mean: tuple[float, float, float] = INCEPTION_MEAN
    std: tuple[float, float, float] = INCEPTION_STD


class Preprocess(nn.Cell):
    """uint8 (N, H, W, 3) in RGB -> float32 (N, 3, H, W), each channel as (x - mean) / std.

    Args:
        mean, std: one value per channel in the units of the pixels, 0 to 255.
    """

    def __init__(self, mean: Sequence[float] = INCEPTION_MEAN,
                 std: Sequence[float] = INCEPTION_STD):
        super().__init__()
        self.mean = _per_channel(mean)
        self.std = _per_channel(std)

    def construct(self, images: ms.Tensor) -> ms.Tensor:
        planes = ops.transpose(images, (0, 3, 1, 2))  # while it is uint8: fewer bytes to move
        return (planes.astype(ms.float32) - self.mean) / self.std


def _per_channel(values: Sequence[float]) -> ms.Tensor:
    return ms.Tensor(np.asarray(values, np.float32).reshape(1, 3, 1, 1))
