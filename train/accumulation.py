"""A step in parts: the gradients of several batches, one after the other, for one update."""

import mindspore as ms
from mindspore import nn, ops


class GradientSums(nn.Cell):
    """Sums the loss and the gradients of a step's parts.

    They are empty whenever a step has ended, so that no checkpoint has to hold them.

    Args:
        weights: what the gradients belong to.
        parts: batches per step, at least 2.

    Attributes:
        part: number of the next batch in its step, from 0, int32 ().
    """

    def __init__(self, weights: ms.ParameterTuple, parts: int):
        super().__init__()
        self.parts = parts
        self.part = ms.Parameter(ms.Tensor(0, ms.int32), name="part", requires_grad=False)
        self.loss = ms.Parameter(ms.Tensor(0, ms.float32), name="sum.loss", requires_grad=False)
        self.gradients = weights.clone("sum", init="zeros")
        self.map = ops.HyperMap()

    def construct(self, loss: ms.Tensor, gradients: tuple[ms.Tensor, ...]
                  ) -> tuple[ms.Tensor, tuple[ms.Tensor, ...]]:
        """Return the means over the parts so far, this one included, as if it were the last."""
        ops.assign_add(self.loss, loss)
        self.map(_add, self.gradients, gradients)
        ops.assign_add(self.part, ms.Tensor(1, ms.int32))
        return (self.loss / self.parts,
                self.map(ops.partial(_divided, self.parts), self.gradients))

    def clear(self) -> None:
        """Begin the next step."""
        ops.assign(self.part, ops.zeros_like(self.part))
        ops.assign(self.loss, ops.zeros_like(self.loss))
        self.map(_clear, self.gradients)


def _add(total: ms.Parameter, gradient: ms.Tensor) -> bool:
    ops.assign_add(total, gradient)
    return True


def _divided(parts: int, total: ms.Parameter) -> ms.Tensor:
    return total / parts


def _clear(total: ms.Parameter) -> bool:
    ops.assign(total, ops.zeros_like(total))
    return True
