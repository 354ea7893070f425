"""Inception-v4: C. Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", arXiv 1602.07261v2, section 3 and figures 3-9.

Each function below is one figure, read from the bottom to the top. Two things differ from the
print and follow the authors' published weights instead, since those weights have to fit: the
order of the 1x7 and 7x1 (1x3 and 3x1) convolutions of a chain, which the figures mix up, and
the order in which branches are joined.
"""

from functools import partial
from typing import Callable, Optional, Union

import mindspore as ms
from mindspore import nn, ops
from mindspore.common.initializer import HeNormal, XavierUniform

from inceptionv4 import BATCH_NORM_DECAY, DROPOUT_KEEP, FEATURES
from inceptionv4.dropout import KeyedDropout

BATCH_NORM_EPSILON = 0.001  # the authors' training code

Kernel = Union[int, tuple[int, int]]  # (height, width)


class ConvBlock(nn.Cell):
    """Convolution without bias, batch norm, ReLU.

    ``batch_norm_decay`` is TensorFlow's: moving = decay * moving + (1 - decay) * batch, which is
    what ``momentum`` means to MindSpore's BatchNorm2d (PyTorch's momentum is 1 - decay). It is
    read when the cell is built; changing the attribute afterwards has no effect.
    """

    def __init__(self, batch_norm_decay: float, in_channels: int, out_channels: int,
                 kernel: Kernel, stride: int = 1, pad_mode: str = "same"):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, pad_mode,
                              has_bias=False, weight_init=HeNormal())
        self.bn = nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPSILON, momentum=batch_norm_decay)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        x = self.conv(x)
        normalised = self.bn(x)
        if x.dtype == ms.float16:  # half the memory; MindSpore's pooling has no bfloat16
            normalised = normalised.astype(ms.float16)
        return ops.relu(normalised)


class Branches(nn.Cell):
    """Runs every branch on the same input and joins the outputs along the channels."""

    def __init__(self, *branches: nn.Cell):
        super().__init__()
        self.branches = nn.CellList(list(branches))

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        outputs = []
        for branch in self.branches:
            outputs.append(branch(x))
        return ops.concat(outputs, axis=1)


ConvMaker = Callable[..., ConvBlock]


def _max_pool() -> nn.Cell:
    return nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="valid")


def _average_pool() -> nn.Cell:
    """Return a 3x3 mean of the same size; windows at the edge leave the padding out of it."""
    return nn.AvgPool2d(kernel_size=3, stride=1, pad_mode="same")


def _stem(conv: ConvMaker) -> nn.Cell:
    """Return figure 3: (N, 3, 299, 299) -> (N, 384, 35, 35)."""
    return nn.SequentialCell(
        conv(3, 32, 3, stride=2, pad_mode="valid"),
        conv(32, 32, 3, pad_mode="valid"),
        conv(32, 64, 3),
        Branches(_max_pool(), conv(64, 96, 3, stride=2, pad_mode="valid")),
        Branches(
            nn.SequentialCell(conv(160, 64, 1), conv(64, 96, 3, pad_mode="valid")),
            nn.SequentialCell(conv(160, 64, 1), conv(64, 64, (1, 7)), conv(64, 64, (7, 1)),
                              conv(64, 96, 3, pad_mode="valid"))),
        Branches(conv(192, 192, 3, stride=2, pad_mode="valid"), _max_pool()))


def _inception_a(conv: ConvMaker) -> nn.Cell:
    """Return figure 4: (N, 384, 35, 35) -> the same shape."""
    return Branches(
        conv(384, 96, 1),
        nn.SequentialCell(conv(384, 64, 1), conv(64, 96, 3)),
        nn.SequentialCell(conv(384, 64, 1), conv(64, 96, 3), conv(96, 96, 3)),
        nn.SequentialCell(_average_pool(), conv(384, 96, 1)))


def _reduction_a(conv: ConvMaker) -> nn.Cell:
    """Return figure 7 with k, l, m, n = 192, 224, 256, 384 (table 1):
    (N, 384, 35, 35) -> (N, 1024, 17, 17)."""
    return Branches(
        conv(384, 384, 3, stride=2, pad_mode="valid"),
        nn.SequentialCell(conv(384, 192, 1), conv(192, 224, 3),
                          conv(224, 256, 3, stride=2, pad_mode="valid")),
        _max_pool())


def _inception_b(conv: ConvMaker) -> nn.Cell:
    """Return figure 5: (N, 1024, 17, 17) -> the same shape."""
    return Branches(
        conv(1024, 384, 1),
        nn.SequentialCell(conv(1024, 192, 1), conv(192, 224, (1, 7)), conv(224, 256, (7, 1))),
        nn.SequentialCell(conv(1024, 192, 1), conv(192, 192, (7, 1)), conv(192, 224, (1, 7)),
                          conv(224, 224, (7, 1)), conv(224, 256, (1, 7))),
        nn.SequentialCell(_average_pool(), conv(1024, 128, 1)))


def _reduction_b(conv: ConvMaker) -> nn.Cell:
    """Return figure 8: (N, 1024, 17, 17) -> (N, 1536, 8, 8)."""
    return Branches(
        nn.SequentialCell(conv(1024, 192, 1), conv(192, 192, 3, stride=2, pad_mode="valid")),
        nn.SequentialCell(conv(1024, 256, 1), conv(256, 256, (1, 7)), conv(256, 320, (7, 1)),
                          conv(320, 320, 3, stride=2, pad_mode="valid")),
        _max_pool())


def _inception_c(conv: ConvMaker) -> nn.Cell:
    """Return figure 6: (N, 1536, 8, 8) -> the same shape."""
    return Branches(
        conv(1536, 256, 1),
        nn.SequentialCell(conv(1536, 384, 1),
                          Branches(conv(384, 256, (1, 3)), conv(384, 256, (3, 1)))),
        nn.SequentialCell(conv(1536, 384, 1), conv(384, 448, (3, 1)), conv(448, 512, (1, 3)),
                          Branches(conv(512, 256, (1, 3)), conv(512, 256, (3, 1)))),
        nn.SequentialCell(_average_pool(), conv(1536, 256, 1)))


class InceptionV4(nn.Cell):
    """Figure 9: (N, 3, H, W) float32, H and W >= SMALLEST_IMAGE -> logits (N, num_classes) float32.

    Images come in as x / 127.5 - 1 (see ``Preprocess``). 42,679,816 trainable parameters at
    1,000 classes. The softmax of the figure is left to the loss or to the evaluation.

    Args:
        num_classes: length of a row of logits.
        batch_norm_decay: share of the old moving average that a step keeps, 0 to 1. With the
            default the averages need thousands of steps; a short run wants about 0.9.
        dropout_keep: share of the features that dropout keeps in training, above 0 up to 1.

    construct also takes ``keys``, int32 (N,): in training an image's dropout mask follows from
    its key (see ``KeyedDropout``); evaluation needs none.
    """

    def __init__(self, num_classes: int = 1000, batch_norm_decay: float = BATCH_NORM_DECAY,
                 dropout_keep: float = DROPOUT_KEEP):
        super().__init__()
        conv = partial(ConvBlock, batch_norm_decay)
        self.stem = _stem(conv)
        self.inception_a = nn.SequentialCell([_inception_a(conv) for _ in range(4)])
        self.reduction_a = _reduction_a(conv)
        self.inception_b = nn.SequentialCell([_inception_b(conv) for _ in range(7)])
        self.reduction_b = _reduction_b(conv)
        self.inception_c = nn.SequentialCell([_inception_c(conv) for _ in range(3)])
        self.dropout = KeyedDropout(dropout_keep, FEATURES)
        self.classifier = nn.Dense(FEATURES, num_classes,
                                   weight_init=XavierUniform(), bias_init="zeros")

    def features(self, x: ms.Tensor) -> ms.Tensor:
        """Return the last feature map of (N, 3, H, W): (N, 1536, 8, 8) for 299 pixels."""
        x = self.stem(x)                         # (N, 384, 35, 35)
        x = self.reduction_a(self.inception_a(x))  # (N, 1024, 17, 17)
        x = self.reduction_b(self.inception_b(x))  # (N, 1536, 8, 8)
        return self.inception_c(x)

    def construct(self, x: ms.Tensor, keys: Optional[ms.Tensor] = None) -> ms.Tensor:
        pooled = self.features(x).astype(ms.float32).mean((2, 3))  # (N, 1536)
        return self.classifier(self.dropout(pooled, keys))
