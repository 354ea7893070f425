"""Dropout whose mask follows from numbers that it is given, and from nothing else.

MindSpore's own ``nn.Dropout`` keeps its random state inside the compiled kernel, where no seed
brings a mask back. A run that is to be resumed to the bit needs a mask that depends on (seed,
step, image) alone, and one that is shared out over ranks needs it to be the same for an image
on whichever rank it is.
"""

from typing import Optional

import mindspore as ms
import numpy as np
from mindspore import nn, ops

MASK_BITS = 24  # of a mixed number decide whether a feature is kept
# lowbias32, which C. Wellons's "hash-prospector" found to have little bias.
FACTORS = (0x7FEB352D, 0x846CA68B)
SHIFTS = (16, 15, 16)


def mix_bits(x: ms.Tensor) -> ms.Tensor:
    """Return int32 of the same shape that look drawn at random, each from its own number of ``x``,
    int32, alone."""
    x = _fold(x, SHIFTS[0]) * ms.Tensor(FACTORS[0], ms.int32)
    x = _fold(x, SHIFTS[1]) * ms.Tensor(FACTORS[1] - (1 << 32), ms.int32)
    return _fold(x, SHIFTS[2])


def _fold(x: ms.Tensor, shift: int) -> ms.Tensor:
    """Return x ^ (x >> shift), where zeros come in from the left.

    CANN has no AI Core kernel for a shift to the right (ops-math, right_shift.cpp), but for all of
    these. Without its lowest bits, x has at most 17 that are not 0, which float32 holds exactly.
    """
    high = x - ops.bitwise_and(x, ms.Tensor((1 << shift) - 1, ms.int32))
    moved = (high.astype(ms.float32) * 0.5 ** shift).astype(ms.int32)
    moved = ops.bitwise_and(moved, ms.Tensor((1 << (32 - shift)) - 1, ms.int32))
    return ops.bitwise_xor(x, moved)


def mixed_array(x: np.ndarray) -> np.ndarray:
    """Return what ``mix_bits`` makes of whole numbers, as int32, for those that are known before
    the graph is compiled."""
    x = x.astype(np.uint32)
    for factor, shift in zip(FACTORS, SHIFTS):
        x = (x ^ x >> np.uint32(shift)) * np.uint32(factor)
    return (x ^ x >> np.uint32(SHIFTS[2])).view(np.int32)


class KeyedDropout(nn.Cell):
    """Dropout of (N, features): row n is masked by ``keys[n]``. Outside of training the identity.

    Args:
        keep: share of the features kept, above 0 up to 1; what is kept is divided by it.
        features: length of a row.

    construct: x float (N, features), keys int32 (N,) -> the shape and type of x. The keys may
    only be left out where nothing is dropped.
    """

    def __init__(self, keep: float, features: int):
        super().__init__()
        self.keep = keep
        self.threshold = round(keep * (1 << MASK_BITS))
        self.columns = ms.Tensor(mixed_array(np.arange(features)))

    def construct(self, x: ms.Tensor, keys: Optional[ms.Tensor] = None) -> ms.Tensor:
        if not self.training or self.keep == 1:
            return x
        if keys is None:
            raise ValueError("training with dropout needs a key for each row")
        drawn = mix_bits(keys.reshape(-1, 1) + self.columns)  # (N, features)
        drawn = ops.bitwise_and(drawn, ms.Tensor((1 << MASK_BITS) - 1, ms.int32))
        return x * (drawn < self.threshold).astype(x.dtype) / self.keep
