"""The device's share: cutting, resizing, mirroring and classifying, in graphs of fixed shapes."""

from typing import Sequence

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from evaluate.protocols import Protocol, view_boxes
from evaluate.resampling import bicubic_matrix
from inceptionv4.preprocess import Preprocess


class Classifier(nn.Cell):
    """uint8 views (N, H, W, 3) -> probabilities float32 (N, classes).

    Args:
        network: float32 (N, 3, H, W) -> logits (N, classes); its parameters keep their names.
        mean, std: per channel, in 0..255 units, what the network was trained with.
    """

    def __init__(self, network: nn.Cell, mean: Sequence[float], std: Sequence[float]):
        super().__init__(auto_prefix=False)
        self.preprocess = Preprocess(mean, std)
        self.network = network

    def construct(self, views: ms.Tensor) -> ms.Tensor:
        logits = self.network(self.preprocess(views)).astype(ms.float32)
        return ops.softmax(logits, axis=-1)


class ViewCutter(nn.Cell):
    """Squares of ``images`` images -> all their views, in steps of ``views_per_step``.

    Takes one uint8 tensor per scale, (images * squares, scale, scale, 3), and gives
    uint8 tensors (views_per_step, image_size, image_size, 3). The views of an image stand
    together, in the order of ``crop_boxes``.
    """

    def __init__(self, protocol: Protocol, images: int, views_per_step: int):
        super().__init__()
        self.images, self.image_size = images, protocol.image_size
        self.views_per_step = views_per_step
        self.steps = images * protocol.crops // views_per_step
        self.cutters = nn.CellList([SquareCutter(protocol, scale) for scale in protocol.scales])

    def construct(self, *squares: ms.Tensor) -> tuple[ms.Tensor, ...]:
        size = self.image_size
        views = []
        for position, cutter in enumerate(self.cutters):
            views.append(cutter(squares[position]).reshape(self.images, -1, size, size, 3))
        views = ops.concat(views, axis=1).reshape(-1, size, size, 3)  # (images * crops, ...)
        return ops.split(views, self.views_per_step)


class SquareCutter(nn.Cell):
    """uint8 squares of one scale (N, scale, scale, 3) -> (N, crops per square, S, S, 3)."""

    def __init__(self, protocol: Protocol, scale: int):
        super().__init__()
        self.size = protocol.image_size
        cuts = view_boxes(protocol, scale)[:len(protocol.views)]
        self.corners = [(box.top, box.left) for box in cuts]
        self.resize = SquareResize(scale, self.size) if protocol.whole_square else None
        self.mirror = ColumnsReversed(self.size) if protocol.mirrored else None

    def construct(self, squares: ms.Tensor) -> ms.Tensor:
        views = []
        for top, left in self.corners:
            # ops.slice, since indexing with [top:bottom, left:right] takes 50 times as long.
            views.append(ops.slice(squares, (0, top, left, 0),
                                   (squares.shape[0], self.size, self.size, 3)))
        if self.resize is not None:
            views.append(self.resize(squares))
        views = ops.stack(views, axis=1)
        if self.mirror is None:
            return views
        both = ops.stack((views, self.mirror(views)), axis=2)
        return both.reshape(squares.shape[0], -1, self.size, self.size, 3)


class ColumnsReversed(nn.Cell):
    """(N, K, H, width, 3) mirrored left to right; a tenth of the time of ops.flip on CPU."""

    def __init__(self, width: int):
        super().__init__()
        self.columns = ms.Tensor(np.arange(width)[::-1].astype(np.int32))

    def construct(self, views: ms.Tensor) -> ms.Tensor:
        return ops.gather(views, self.columns, 3)


class SquareResize(nn.Cell):
    """uint8 (N, side, side, 3) -> (N, size, size, 3): Pillow's bicubic resize, as two products.

    Rounded to whole levels after each direction, as Pillow does it.
    """

    def __init__(self, side: int, size: int):
        super().__init__()
        self.matrix = ms.Tensor(bicubic_matrix(side, size))  # (size, side)

    def construct(self, squares: ms.Tensor) -> ms.Tensor:
        planes = ops.transpose(squares, (0, 3, 1, 2)).astype(ms.float32)
        planes = _levels(ops.matmul(planes, self.matrix.T))
        planes = _levels(ops.matmul(self.matrix, planes))
        return ops.transpose(planes, (0, 2, 3, 1)).astype(ms.uint8)


def _levels(planes: ms.Tensor) -> ms.Tensor:
    return ops.clamp(ops.floor(planes + 0.5), 0.0, 255.0)
