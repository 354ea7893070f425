"""Running averages of the weights: what the Inception-v4 paper evaluates in place of the weights
themselves (arXiv 1602.07261, section 4)."""

import contextlib
from typing import Iterator

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from inceptionv4.checkpoint import AVERAGED, network_parameters


class AveragedWeights(nn.Cell):
    """One average per trained weight, float32; batch norm's moving averages have none of their own.

    Update k moves an average by 1 - d towards its weight, d = min(decay, (1 + k) / (10 + k)), as
    ``tf.train.ExponentialMovingAverage(decay, num_updates=k)`` does in the authors' code: without
    the second term, the fresh weights would stay in the averages for many epochs.

    Args:
        network: its weights' present values are the first averages.
        decay: above 0 and below 1.

    construct: updates made so far, int32 (1,), this one included -> None; the weights are new.
    """

    def __init__(self, network: nn.Cell, decay: float):
        super().__init__()
        self.decay = decay
        trained = {name: weight for name, weight in network_parameters(network).items()
                   if weight.requires_grad}
        self.weights = ms.ParameterTuple(trained.values())
        self.averages = ms.ParameterTuple(
            ms.Parameter(ms.Tensor(weight.asnumpy()), name=AVERAGED + name, requires_grad=False)
            for name, weight in trained.items())
        self.map = ops.HyperMap()

    def construct(self, updates: ms.Tensor) -> None:
        count = updates.astype(ms.float32).reshape(())
        share = 1 - ops.minimum(self.decay, (1 + count) / (10 + count))
        self.map(ops.partial(_move, share), self.averages, self.weights)

    def start_from_weights(self) -> None:
        """Set each average to its weight."""
        for average, weight in zip(self.averages, self.weights):
            ops.assign(average, weight)

    @contextlib.contextmanager
    def in_the_network(self) -> Iterator[None]:
        """Let the network have the averages as its weights; afterwards, the weights again."""
        weights = [np.array(weight.asnumpy()) for weight in self.weights]
        for average, weight in zip(self.averages, self.weights):
            ops.assign(weight, average)
        try:
            yield
        finally:
            for value, weight in zip(weights, self.weights):
                ops.assign(weight, ms.Tensor(value))


def _move(share: ms.Tensor, average: ms.Parameter, weight: ms.Parameter) -> bool:
    ops.assign(average, average + share * (weight - average))
    return True
