"""One training step as one graph, pixels to new weights, and the two ways to feed it: by the host,
or in sink mode through a queue on the device."""

import time
from typing import Iterator, NamedTuple

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore import nn, ops

from inceptionv4.checkpoint import network_parameters
from inceptionv4.device import exact_rmsprop
from inceptionv4.dropout import mix_bits
from inceptionv4.network import InceptionV4
from inceptionv4.preprocess import Preprocess
from train.feed import next_batch
from train.recipe import Recipe

RATE_TABLE = "learning_rate"  # the name that MindSpore's optimisers give their table of rates


class SmoothedCrossEntropy(nn.Cell):
    """Softmax cross-entropy with smoothed labels, the mean over the batch.

    The label gets 1 - smoothing and every other class smoothing / (classes - 1), as
    ``SoftmaxCrossEntropyWithLogits(smooth_factor=0.1)`` did in the MindSpore of the ADSL report.
    (``nn.CrossEntropyLoss(label_smoothing)`` shares it among all classes, the label included.)

    Args:
        smoothing: from 0 to 1.

    construct: logits float32 (N, classes) with classes >= 2, labels int32 (N,) -> float32 ().
    """

    def __init__(self, smoothing: float):
        super().__init__()
        self.smoothing = smoothing
        self.cross_entropy = nn.SoftmaxCrossEntropyWithLogits(sparse=False, reduction="mean")

    def construct(self, logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        classes = logits.shape[1]
        targets = ops.one_hot(labels, classes, ms.Tensor(1 - self.smoothing, ms.float32),
                              ms.Tensor(self.smoothing / (classes - 1), ms.float32))
        return self.cross_entropy(logits, targets)


class RowKeys(nn.Cell):
    """Dropout's keys: from the step's number, int32 (1,), to int32 (batch_size,), one per image.

    An image's key follows from seed, step and its place in the global batch, of which rank r of
    n has the rows r, r + n, r + 2n and so on, as the feed distributes them.
    """

    def __init__(self, seed: int, batch_size: int, rank: int, ranks: int):
        super().__init__()
        self.seed = ms.Tensor([seed], ms.int32)
        self.rows = ms.Tensor(rank + ranks * np.arange(batch_size), ms.int32)

    def construct(self, step: ms.Tensor) -> ms.Tensor:
        return mix_bits(mix_bits(mix_bits(self.seed) + step) + self.rows)


class TrainStep(nn.Cell):
    """The whole step, in training mode; ``construct`` takes images and labels int32 (N,) of this
    rank, updates the weights and returns the loss, float32 ().

    Loss and gradients are means over the ranks, so that every rank makes the same update.

    Args:
        network: float32 (N, 3, H, W), keys int32 (N,) -> logits (N, classes).
        rates: learning rate of every step of the run, float32 (steps,).
        rank: this process's, 0 to recipe.ranks - 1.
    """

    def __init__(self, recipe: Recipe, network: nn.Cell, rates: np.ndarray, rank: int = 0):
        super().__init__(auto_prefix=False)  # keeps the names of the network's parameters
        if recipe.precision == "mixed":
            for _, cell in network.cells_and_names():
                if isinstance(cell, (nn.Conv2d, nn.Dense)):  # all else stays in float32
                    cell.to_float(ms.float16)
        self.preprocess = Preprocess() if recipe.normalize_on == "device" else nn.Identity()
        self.network = network
        self.loss = SmoothedCrossEntropy(recipe.label_smoothing)
        self.loss_scale = recipe.loss_scale
        self.keys = RowKeys(recipe.seed, recipe.batch_size, rank, recipe.ranks)
        self.optimizer = _optimizer(recipe, network, rates)
        self.loss_and_gradients = ops.value_and_grad(self.scaled_loss, None,
                                                     self.optimizer.parameters)
        self.unscale = 1.0 / (recipe.loss_scale * recipe.ranks)
        self.mean_gradients = ops.identity
        self.sum_over_ranks = ops.identity
        if recipe.ranks > 1:
            self.mean_gradients = nn.DistributedGradReducer(self.optimizer.parameters, True,
                                                            recipe.ranks)
            self.sum_over_ranks = ops.AllReduce()
        self.set_train()

    def scaled_loss(self, images: ms.Tensor, labels: ms.Tensor, keys: ms.Tensor) -> ms.Tensor:
        logits = self.network(self.preprocess(images), keys).astype(ms.float32)
        return self.loss(logits, labels) * self.loss_scale

    def construct(self, images: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        keys = self.keys(self.optimizer.global_step)  # counts the steps, and is in checkpoints
        loss, gradients = self.loss_and_gradients(images, labels, keys)
        updated = self.optimizer(self.mean_gradients(gradients))
        return ops.depend(self.sum_over_ranks(loss) * self.unscale, updated)


def build_network(recipe: Recipe, num_classes: int) -> InceptionV4:
    """Return the network with fresh weights, drawn from the seed that ``setup_device`` got."""
    return InceptionV4(num_classes, recipe.batch_norm_decay, recipe.dropout_keep)


def _optimizer(recipe: Recipe, network: nn.Cell, rates: np.ndarray) -> nn.Optimizer:
    # One rate more than steps: the optimiser's rate is still readable after the last one.
    table = ms.Tensor(np.append(rates, rates[-1]))
    common = dict(params=network.trainable_params(), learning_rate=table,
                  weight_decay=recipe.weight_decay, loss_scale=recipe.loss_scale)
    if recipe.optimizer == "adam":
        return nn.Adam(beta1=recipe.momentum, beta2=recipe.decay, eps=recipe.epsilon, **common)
    # MindSpore's RMSProp is TensorFlow's: epsilon inside the root, mean squares start at 1.
    return exact_rmsprop(nn.RMSProp(decay=recipe.decay, epsilon=recipe.epsilon,
                                    momentum=recipe.momentum, **common))


def restart_rmsprop(optimizer: nn.RMSProp) -> None:
    """Set the averages to what a new optimiser has; the number of steps, and so the rates, stay."""
    for mean_square, moment in zip(optimizer.ms, optimizer.moment):
        ops.assign(mean_square, ops.ones_like(mean_square))
        ops.assign(moment, ops.zeros_like(moment))


def training_state(network: nn.Cell, optimizer: nn.Optimizer) -> dict[str, ms.Parameter]:
    """Return what a checkpoint holds: the network's parameters under their own names, the
    optimiser's averages and step number; not the table of rates, which belongs to the recipe."""
    state = network_parameters(network)
    weights = {id(parameter) for parameter in state.values()}
    for parameter in optimizer.get_parameters():
        if id(parameter) not in weights and parameter.name != RATE_TABLE:
            state[parameter.name] = parameter
    return state


class StepResult(NamedTuple):
    """A step that was started; its loss may still be on its way from the device."""

    loss: ms.Tensor  # float32 ()
    waited: float  # seconds that the host waited for its data; 0 in sink mode


def host_steps(step: TrainStep, feed: ds.Dataset) -> Iterator[StepResult]:
    """Hand each batch of ``feed`` to ``step``, one after the other."""
    batches = feed.create_tuple_iterator(num_epochs=1)
    while True:
        start = time.perf_counter()
        batch = next_batch(batches)
        if batch is None:
            return
        waited = time.perf_counter() - start
        yield StepResult(step(*batch), waited)


def sink_steps(step: TrainStep, feed: ds.Dataset, steps: int, batch: tuple[ms.Tensor, ms.Tensor]
               ) -> Iterator[StepResult]:
    """Let the device take the batches itself from a queue that MindSpore fills meanwhile.

    The step's own graph stays the one that was compiled, whatever queue an epoch has; a graph
    with the queue in it would be compiled anew for each epoch, minutes on Ascend.

    Args:
        batch: any batch of the shapes and types that ``feed`` gives.
    """
    feed.__total_batch__ = steps  # else the queue is filled on with the epoch's beginning
    take = ms.data_sink(step, feed, sink_size=1, input_signature=batch)
    try:
        for _ in range(steps):
            yield StepResult(take(), 0.0)
    finally:  # as mindspore.train.Model ends: else threads and up to 2 GB of batches stay
        feed.__transfer_dataset__.stop_send()
        feed.__transfer_dataset__.release()
