"""What the tests of the step share: a recipe, a batch, a linear network, the loss in NumPy."""

from dataclasses import replace

import mindspore as ms
import numpy as np
from mindspore import nn

from train.recipe import PRESETS

RECIPE = replace(PRESETS["smoke"], batch_size=4, dropout_keep=0.5)
RATES = np.full(3, 1e-3, np.float32)


def numpy_loss(logits: np.ndarray, labels: np.ndarray, smoothing: float
               ) -> tuple[float, np.ndarray]:
    """The loss and its gradient by the logits."""
    logits = logits.astype(np.float64)
    images, classes = logits.shape
    log_softmax = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = np.full(logits.shape, smoothing / (classes - 1))
    targets[np.arange(images), labels] = 1 - smoothing
    return -(targets * log_softmax).sum() / images, (np.exp(log_softmax) - targets) / images


class LinearNetwork(nn.Cell):
    """The mean colour to logits, by a matrix: simple enough to be trained in NumPy."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.classifier = nn.Dense(3, num_classes, has_bias=False)

    def construct(self, x: ms.Tensor, keys: ms.Tensor) -> ms.Tensor:
        return self.classifier(x.mean((2, 3)))


def batch(seed=0, size=4):
    rng = np.random.default_rng(seed)
    shift = rng.integers(0, 200, (size, 1, 1, 3))  # else all images have the same mean
    return (ms.Tensor((shift + rng.integers(0, 56, (size, 75, 75, 3))).astype(np.uint8)),
            ms.Tensor(rng.integers(0, 3, size).astype(np.int32)))
