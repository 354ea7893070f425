"""One training step as one graph: pixels to gradients to new weights."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from inceptionv4 import InceptionV4, Preprocess, network_parameters
from train.loss import SmoothedCrossEntropy
from train.recipe import Recipe

RATE_TABLE = "learning_rate"  # the name that MindSpore's optimisers give their table of rates


class Forward(nn.Cell):
    """images uint8 (N, H, W, 3), labels int32 (N,) -> the loss times ``loss_scale``."""

    def __init__(self, network: nn.Cell, loss: nn.Cell, loss_scale: float):
        super().__init__(auto_prefix=False)  # keeps the names of the network's parameters
        self.preprocess = Preprocess()
        self.network = network
        self.loss = loss
        self.loss_scale = loss_scale

    def construct(self, images: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        return self.loss(self.network(self.preprocess(images)), labels) * self.loss_scale


class TrainStep(nn.Cell):
    """images uint8 (N, H, W, 3), labels int32 (N,) of this rank -> the loss, float32 ().

    Loss and gradients are means over the ranks, so that every rank makes the same update.
    """

    def __init__(self, forward: Forward, optimizer: nn.Optimizer, ranks: int):
        super().__init__(auto_prefix=False)
        self.optimizer = optimizer
        self.loss_and_gradients = ops.value_and_grad(forward, None, optimizer.parameters)
        self.unscale = 1.0 / (forward.loss_scale * ranks)
        self.mean_gradients = ops.identity
        self.sum_over_ranks = ops.identity
        if ranks > 1:
            self.mean_gradients = nn.DistributedGradReducer(optimizer.parameters, True, ranks)
            self.sum_over_ranks = ops.AllReduce()

    def construct(self, images: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        loss, gradients = self.loss_and_gradients(images, labels)
        updated = self.optimizer(self.mean_gradients(gradients))
        return ops.depend(self.sum_over_ranks(loss) * self.unscale, updated)


def build_network(recipe: Recipe, num_classes: int) -> InceptionV4:
    """The network with fresh weights, drawn from the seed that ``setup_device`` was given."""
    return InceptionV4(num_classes, recipe.batch_norm_decay, recipe.dropout_keep)


def build_step(recipe: Recipe, network: InceptionV4, rates: np.ndarray) -> TrainStep:
    """The step in training mode.

    Args:
        rates: learning rate of every step of the run, float32 (steps,).
    """
    forward = Forward(network, SmoothedCrossEntropy(recipe.label_smoothing), recipe.loss_scale)
    step = TrainStep(forward, _optimizer(recipe, network, rates), recipe.ranks)
    return step.set_train()


def _optimizer(recipe: Recipe, network: InceptionV4, rates: np.ndarray) -> nn.Optimizer:
    # One rate more than steps: the optimiser's rate is still readable after the last one.
    table = ms.Tensor(np.append(rates, rates[-1]))
    common = dict(params=network.trainable_params(), learning_rate=table,
                  weight_decay=recipe.weight_decay, loss_scale=recipe.loss_scale)
    if recipe.optimizer == "adam":
        return nn.Adam(beta1=recipe.momentum, beta2=recipe.decay, eps=recipe.epsilon, **common)
    # MindSpore's RMSProp is TensorFlow's: epsilon inside the root, mean squares start at 1.
    return nn.RMSProp(decay=recipe.decay, epsilon=recipe.epsilon, momentum=recipe.momentum,
                      **common)


def state_to_save(network: InceptionV4, optimizer: nn.Optimizer) -> dict[str, ms.Parameter]:
    """What a checkpoint holds: the network's parameters under their own names, the optimiser's
    averages and step number; not the table of rates, which belongs to the recipe."""
    state = network_parameters(network)
    weights = {id(parameter) for parameter in state.values()}
    for parameter in optimizer.get_parameters():
        if id(parameter) not in weights and parameter.name != RATE_TABLE:
            state[parameter.name] = parameter
    return state
