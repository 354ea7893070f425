"""One training step as one graph, pixels to new weights, and the two ways to feed it: by the host,
or in sink mode through a queue on the device."""

import time
from typing import Iterator, NamedTuple, Optional, Union

import mindspore as ms
import numpy as np
from mindspore import amp, nn, ops

from inceptionv4.checkpoint import network_parameters
from inceptionv4.dropout import mix_bits, mixed_array
from inceptionv4.network import InceptionV4
from inceptionv4.precision import DynamicLossScale, cast_cells
from inceptionv4.preprocess import InputStatistics, Preprocess
from train.accumulation import GradientSums
from train.averages import AveragedWeights
from train.feed import TrainingFeed, wait_until_sent
from train.optimizer import build_optimizer
from train.recipe import DYNAMIC, Recipe

RATE_TABLE = "learning_rate"  # the name that MindSpore's optimisers give their table of rates


def smoothed_targets(smoothing: float, classes: int) -> tuple[float, float]:
    """Return the probabilities that the label and that every other class should get.

    As ``SoftmaxCrossEntropyWithLogits(smooth_factor=0.1)`` did in the original report's MindSpore;
    ``nn.CrossEntropyLoss(label_smoothing)`` shares it among all classes, the label included.
    """
    return 1 - smoothing, smoothing / (classes - 1)


class SmoothedCrossEntropy(nn.Cell):
    """Softmax cross-entropy with ``smoothed_targets``, the mean over the batch.

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
        of_label, of_others = smoothed_targets(self.smoothing, classes)
        targets = ops.one_hot(labels, classes, ms.Tensor(of_label, ms.float32),
                              ms.Tensor(of_others, ms.float32))
        return self.cross_entropy(logits, targets)


class RowKeys(nn.Cell):
    """Dropout's keys: from the step's number, int32 (1,), and the number of the batch within the
    step, int32 (), to int32 (batch_size,), one per image.

    An image's key follows from seed, step and its place in the global batch, of which rank r of
    n has the rows r, r + n, r + 2n and so on, as the feed distributes them, batch after batch.
    """

    def __init__(self, seed: int, batch_size: int, rank: int, ranks: int):
        super().__init__()
        self.seed = ms.Tensor(mixed_array(np.array([seed])))
        self.rows = ms.Tensor(rank + ranks * np.arange(batch_size), ms.int32)
        self.rows_per_part = ranks * batch_size

    def construct(self, step: ms.Tensor, part: Union[int, ms.Tensor] = 0) -> ms.Tensor:
        return mix_bits(mix_bits(self.seed + step) + (self.rows + self.rows_per_part * part))


class TrainStep(nn.Cell):
    """The whole step, in training mode; ``construct`` takes images and labels int32 (N,) of this
    rank, updates the weights and returns the loss, float32 (), and whether the update was skipped,
    bool (), which happens with a dynamic loss scale alone.

    Loss and gradients are means over the ranks, so that every rank makes the same update. With
    ``recipe.accumulate`` n, n batches make a step: they are handed over one by one, the last one
    makes the update, and what it returns is the step's; the others return the loss so far.

    Args:
        network: float32 (N, 3, H, W), keys int32 (N,) -> logits (N, classes).
        rates: learning rate of every step of the run, float32 (steps,).
        rank: this process's, 0 to recipe.ranks - 1.
        statistics: what the images are normalised with, unless the host does it.

    Attributes:
        loss_scale: None where the recipe has a number.
        averages: None where the recipe keeps none.
    """

    def __init__(self, recipe: Recipe, network: nn.Cell, rates: np.ndarray, rank: int = 0,
                 statistics: InputStatistics = InputStatistics()):
        super().__init__(auto_prefix=False)  # keeps the names of the network's parameters
        self.preprocess = (Preprocess(*statistics) if recipe.normalize_on == "device" else
                           nn.Identity())
        self.network = cast_cells(network, recipe.precision)
        self.loss = SmoothedCrossEntropy(recipe.label_smoothing)
        dynamic = recipe.loss_scale == DYNAMIC
        self.loss_scale = DynamicLossScale() if dynamic else None
        self.fixed_scale = 1.0 if dynamic else float(recipe.loss_scale)
        self.ranks = recipe.ranks
        self.keys = RowKeys(recipe.seed, recipe.batch_size, rank, recipe.ranks)
        self.optimizer = build_optimizer(recipe, network, rates, self.fixed_scale)
        self.loss_and_gradients = ops.value_and_grad(self.scaled_loss, None,
                                                     self.optimizer.parameters)
        weights = self.optimizer.parameters
        self.sums = GradientSums(weights, recipe.accumulate) if recipe.accumulate > 1 else None
        self.averages = AveragedWeights(network, recipe.ema_decay) if recipe.ema_decay else None
        self.map = ops.HyperMap()
        self.mean_gradients = ops.identity
        self.sum_over_ranks = ops.identity
        if recipe.ranks > 1:
            self.mean_gradients = nn.DistributedGradReducer(self.optimizer.parameters, True,
                                                            recipe.ranks)
            self.sum_over_ranks = ops.AllReduce()
        self.set_train()

    def current_loss_scale(self) -> Optional[float]:
        """Return the dynamic loss scale, None where it is not dynamic; wait for the last step."""
        return None if self.loss_scale is None else float(self.loss_scale.scale.asnumpy())

    def scaled_loss(self, images: ms.Tensor, labels: ms.Tensor, keys: ms.Tensor,
                    scale: Union[float, ms.Tensor]) -> ms.Tensor:
        logits = self.network(self.preprocess(images), keys).astype(ms.float32)
        return self.loss(logits, labels) * scale

    def construct(self, images: ms.Tensor, labels: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        # Which case holds is known when the graph is compiled, but for ``last``.
        scale = self.fixed_scale if self.loss_scale is None else self.loss_scale.scale.value()
        step = self.optimizer.global_step  # counts the steps, and is in checkpoints
        if self.sums is None:
            loss, gradients = self.loss_and_gradients(images, labels, self.keys(step), scale)
            return self.update(loss, gradients, scale)
        part = self.sums.part.value()
        loss, gradients = self.loss_and_gradients(images, labels, self.keys(step, part), scale)
        loss, gradients = self.sums(loss, gradients)
        skipped = ms.Tensor(False)
        if part == self.sums.parts - 1:
            loss, skipped = self.update(loss, gradients, scale)
            self.sums.clear()
        return loss, skipped

    def update(self, loss: ms.Tensor, gradients: tuple[ms.Tensor, ...],
               scale: Union[float, ms.Tensor]) -> tuple[ms.Tensor, ms.Tensor]:
        """Update the weights with this rank's gradients; both results are as ``construct``'s."""
        gradients = self.mean_gradients(gradients)
        loss = self.sum_over_ranks(loss) * (1 / (scale * self.ranks))
        if self.loss_scale is None:
            self.update_weights(gradients)
            return loss, ms.Tensor(False)
        finite = self.finite_on_all_ranks(gradients)
        if finite:
            self.update_weights(self.map(ops.partial(_times, 1 / scale), gradients))
        else:
            # The batch is lost: rates and dropout masks stay those of the step's number.
            ops.assign_add(self.optimizer.global_step, ms.Tensor([1], ms.int32))
        self.loss_scale(finite)
        return loss, ops.logical_not(finite)

    def update_weights(self, gradients: tuple[ms.Tensor, ...]) -> None:
        self.optimizer(gradients)
        if self.averages is not None:
            self.averages(self.optimizer.global_step)

    def finite_on_all_ranks(self, gradients: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Return a bool (), the same on all ranks, whose gradients here are alike. On the first 910
        overflows are no infinities but a flag of the card on which they happened."""
        finite = amp.all_finite(gradients).astype(ms.float32)
        return self.sum_over_ranks(finite) == self.ranks


def _times(factor: ms.Tensor, gradient: ms.Tensor) -> ms.Tensor:
    return gradient * factor


def build_network(recipe: Recipe, num_classes: int) -> InceptionV4:
    """Return the network with fresh weights, drawn from the seed that ``setup_device`` got."""
    return InceptionV4(num_classes, recipe.batch_norm_decay, recipe.dropout_keep)


def training_state(step: TrainStep) -> dict[str, ms.Parameter]:
    """Return what a checkpoint holds: the network's parameters under their own names, the
    optimiser's averages and step number, a dynamic loss scale, averages of the weights; not the
    table of rates, which belongs to the recipe, nor sums of gradients, empty between steps."""
    state = network_parameters(step.network)
    left_out = {id(parameter) for parameter in state.values()}
    if step.sums is not None:
        left_out |= {id(parameter) for parameter in step.sums.get_parameters()}
    for parameter in step.get_parameters():
        if id(parameter) not in left_out and parameter.name != RATE_TABLE:
            state[parameter.name] = parameter
    return state


class StepResult(NamedTuple):
    """A step that was started; what it returns may still be on its way from the device."""

    loss: ms.Tensor  # float32 ()
    skipped: ms.Tensor  # bool (): no update was made
    waited: float  # seconds that the host waited for its data; 0 in sink mode


def host_steps(step: TrainStep, feed: TrainingFeed, epoch: int) -> Iterator[StepResult]:
    """Hand the batches of the epoch to ``step``, one after the other; yield a result for each
    whole step."""
    batches = feed.batches(epoch)
    while True:
        waited = 0.0
        for _ in range(feed.recipe.accumulate):
            start = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            waited += time.perf_counter() - start
            loss, skipped = step(*batch)
        yield StepResult(loss, skipped, waited)


def sink_steps(step: TrainStep, feed: TrainingFeed, epoch: int) -> Iterator[StepResult]:
    """Let the device take the batches itself from a queue that MindSpore fills meanwhile.

    The step's own graph stays the one that was compiled, whatever queue an epoch has; a graph
    with the queue in it would be compiled anew for each epoch, minutes on Ascend.
    """
    with feed.naming_failure():
        rows = feed.epoch(epoch)
        # Else the queue is filled on with the beginning of the epoch.
        rows.__total_batch__ = feed.batches_per_epoch
        take = ms.data_sink(step, rows, sink_size=1, input_signature=feed.empty_batch())
    queue = rows.__transfer_dataset__
    try:
        for number in range(1, feed.batches_per_epoch + 1):
            with feed.naming_failure():
                wait_until_sent(queue, number)
            loss, skipped = take()
            if number % feed.recipe.accumulate == 0:
                yield StepResult(loss, skipped, 0.0)
    finally:  # as mindspore.train.Model ends: else threads and up to 2 GB of batches stay
        ms.runtime.synchronize()  # steps that were started still read from the queue
        queue.stop_send()
        queue.release()
