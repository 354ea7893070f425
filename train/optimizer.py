"""What updates the weights: RMSProp or Adam, with the recipe's values."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from inceptionv4.device import exact_rmsprop
from train.recipe import Recipe


def build_optimizer(recipe: Recipe, network: nn.Cell, rates: np.ndarray, loss_scale: float
                    ) -> nn.Optimizer:
    """Return the recipe's optimiser of the network's weights.

    Args:
        rates: learning rate of every step of the run, float32 (steps,).
        loss_scale: what it divides the gradients by.
    """
    # One rate more than steps: the optimiser's rate is still readable after the last one.
    table = ms.Tensor(np.append(rates, rates[-1]))
    common = dict(params=_with_decay(network.trainable_params(), recipe.weight_decay),
                  learning_rate=table, loss_scale=loss_scale)
    if recipe.optimizer == "adam":
        return nn.Adam(beta1=recipe.momentum, beta2=recipe.decay, eps=recipe.epsilon, **common)
    # MindSpore's RMSProp is TensorFlow's: epsilon inside the root, mean squares start at 1.
    return exact_rmsprop(nn.RMSProp(decay=recipe.decay, epsilon=recipe.epsilon,
                                    momentum=recipe.momentum, **common))


def _with_decay(parameters: list[ms.Parameter], weight_decay: float) -> list:
    """Return the parameters as an optimiser takes them: weights of convolutions and classifier
    decay, biases, gamma and beta, which are vectors, do not."""
    if not weight_decay:
        return parameters
    weights = [parameter for parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": weight_decay},
              {"params": vectors, "weight_decay": 0.0}]
    return [*(group for group in groups if group["params"]), {"order_params": parameters}]


def restart_rmsprop(optimizer: nn.RMSProp) -> None:
    """Set the averages to what a new optimiser has; the number of steps, and so the rates, stay."""
    for mean_square, moment in zip(optimizer.ms, optimizer.moment):
        ops.assign(mean_square, ops.ones_like(mean_square))
        ops.assign(moment, ops.zeros_like(moment))
