"""The run itself: epochs of steps, a check on the validation images, a checkpoint after each."""

import math
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Optional

import mindspore as ms
import numpy as np

from common.cli import CheckFailed, RequestError, progress_bar
from convert.records.reader import RecordSet
from evaluate.evaluator import Evaluator
from evaluate.protocols import protocol_of
from evaluate.scores import score
from inceptionv4.checkpoint import CheckpointMeta
from inceptionv4.device import Device
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
from train.checkpoints import LoadedCheckpoint, add_checkpoint
from train.feed import training_feed
from train.loop import StepResult, host_steps, next_batch, sink_steps
from train.plan import Plan
from train.recipe import Recipe
from train.run_folder import CHECKPOINTS, TENSORBOARD, add_history
from train.source import Source
from train.step import build_network, build_step, training_state
from train.watch import add_to_tensorboard, describe_epoch


@dataclass(frozen=True)
class RunOptions:
    """Where a run goes and how it is carried out; none of it changes the weights.

    Attributes:
        folder: the run folder, where rank 0 writes.
        keep: last checkpoints that stay, beside the best.
        sink_size: 0: the host feeds each step; else sink mode, and steps between two looks of
            the host at the loss.
        after_save: called by rank 0 with the folder when an epoch's files are written.
    """

    folder: Path
    keep: int
    sink_size: int
    after_save: Callable[[Path], None]


class EpochFigures(NamedTuple):
    """What one epoch's steps came to."""

    loss: float  # mean over its steps
    seconds: float
    waiting: Optional[float]  # seconds of these in which the step had no data; None: not known
    since_last: Optional[float]  # seconds since the last epoch's steps; None: the first of a start


class Trainer:
    """One rank of a run. All ranks take the same steps; rank 0 checks, logs and saves.

    Args:
        validation: scored after each epoch; None leaves that out.
    """

    def __init__(self, recipe: Recipe, plan: Plan, source: Source,
                 validation: Optional[RecordSet], device: Device, run: RunOptions):
        self.recipe, self.plan, self.source, self.validation = recipe, plan, source, validation
        self.device, self.run_options = device, run
        self.steps_ended: Optional[float] = None  # when the last epoch's did, by perf_counter
        self.network = build_network(recipe, len(source.class_names))
        self.step = build_step(recipe, self.network, plan.learning_rates, device.rank)
        self.state = training_state(self.network, self.step.optimizer)
        self.evaluator = Evaluator(self.network, protocol_of(1, recipe.image_size),
                                   INCEPTION_MEAN, INCEPTION_STD, workers=recipe.workers)

    def restore(self, found: LoadedCheckpoint) -> None:
        """Take over weights, averages and the number of steps, each by its name."""
        if self.state.keys() != found.state.keys():
            name = min(self.state.keys() ^ found.state.keys())
            raise RequestError(f"{found.path}: '{name}' is there or here only; it was written by "
                               "another version, remove it to go on from an older checkpoint")
        for name, parameter in self.state.items():
            parameter.set_data(found.state[name])

    def run(self, first_epoch: int = 1) -> Optional[Path]:
        """Train to the end; rank 0 returns the last checkpoint, None where no epoch was left.

        Raises:
            CheckFailed: the loss is not a number any more, or the last epoch could not be saved;
                earlier checkpoints stay.
        """
        path = None
        self._compile()
        for epoch in range(first_epoch, self.plan.epochs + 1):
            figures = self._train_epoch(epoch)
            self._check_weights(epoch)
            if self.device.rank == 0:
                path = self._close_epoch(epoch, figures)
        if self.device.rank == 0 and path is None and first_epoch <= self.plan.epochs:
            raise CheckFailed(f"the last epoch is not in {self.run_options.folder}: make room and "
                              "go on from the last checkpoint that is, with --resume")
        return path

    def first_batch(self) -> tuple[ms.Tensor, ms.Tensor]:
        """Images and labels as the first step of an epoch gets them."""
        feed = training_feed(self.source, self.recipe, 1, 1, self.device.rank)
        batch = next_batch(feed.create_tuple_iterator(num_epochs=1))
        assert batch is not None, "the plan has a step for it"
        return batch

    def _compile(self) -> None:
        """Compile ahead, so that the first epoch's speed is that of its steps."""
        if self.device.rank == 0:
            print("compiling the training step (half a minute on CPU, minutes on Ascend)",
                  flush=True)
        self.step.compile(*self._batch())

    def _batch(self) -> tuple[ms.Tensor, ms.Tensor]:
        """Of the shapes and types that the feed gives."""
        size = self.recipe.image_size
        images = (np.zeros((self.recipe.batch_size, size, size, 3), np.uint8)
                  if self.recipe.normalize_on == "device" else
                  np.zeros((self.recipe.batch_size, 3, size, size), np.float32))
        return ms.Tensor(images), ms.Tensor(np.zeros(self.recipe.batch_size, np.int32))

    def _steps(self, epoch: int) -> Iterator[StepResult]:
        feed = training_feed(self.source, self.recipe, epoch, self.plan.steps_per_epoch,
                             self.device.rank)
        if self.run_options.sink_size:
            return sink_steps(self.step, feed, self.plan.steps_per_epoch, self._batch())
        return host_steps(self.step, feed)

    def _train_epoch(self, epoch: int) -> EpochFigures:
        """All steps of the epoch. A loss is looked at when the next step (in sink mode, the next
        ``sink_size`` steps) has been started, so that the device does not wait for the host."""
        first, behind = (epoch - 1) * self.plan.steps_per_epoch, max(self.run_options.sink_size, 1)
        losses: list[float] = []
        waited: list[Any] = []  # seconds, or None where the device waits: see StepResult
        pending: deque[ms.Tensor] = deque()
        start = time.perf_counter()
        with self._bar(epoch) as bar:
            for taken in self._steps(epoch):
                pending.append(taken.loss)
                waited.append(taken.waited)
                if len(pending) > behind:
                    losses += self._look(pending, behind, first + len(losses), bar)
            losses += self._look(pending, len(pending), first + len(losses), bar)
        since_last = None if self.steps_ended is None else start - self.steps_ended
        self.steps_ended = time.perf_counter()
        self._check_steps(epoch, len(losses))
        waiting = None if None in waited else sum(waited)
        return EpochFigures(math.fsum(losses) / len(losses), self.steps_ended - start, waiting,
                            since_last)

    def _bar(self, epoch: int) -> Any:
        bar = progress_bar(self.plan.steps_per_epoch * self.plan.global_batch,
                           f"epoch {epoch}/{self.plan.epochs}", "images")
        bar.disable = self.device.rank != 0
        return bar

    def _look(self, pending: deque, count: int, before: int, bar: Any) -> list[float]:
        """The first ``count`` losses, checked; ``before`` is the number of steps before them."""
        losses = []
        for _ in range(count):
            losses.append(float(pending.popleft()))
            self._check_finite(losses[-1], before + len(losses))
        if losses:
            bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False,
                            lr=f"{self.plan.learning_rates[before + len(losses) - 1]:.3g}")
            bar.update(self.plan.global_batch * len(losses))
        return losses

    def _check_steps(self, epoch: int, done: int) -> None:
        if done != self.plan.steps_per_epoch:
            raise RuntimeError(f"epoch {epoch} had {done} steps instead of "
                               f"{self.plan.steps_per_epoch}")

    def _check_finite(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise CheckFailed(f"the loss is {loss} at step {step}: the checkpoints of earlier "
                              f"epochs in {self.run_options.folder} are kept; start a new "
                              "run with lower rates (--phases)")

    def _check_weights(self, epoch: int) -> None:
        """The last update of an epoch shows in no loss of that epoch."""
        for parameter in self.network.trainable_params():
            if not np.isfinite(parameter.asnumpy()).all():
                raise CheckFailed(f"{parameter.name} is not finite after epoch {epoch}: the "
                                  f"checkpoints of earlier epochs in {self.run_options.folder} "
                                  "are kept; start a new run with lower rates (--phases)")

    def _close_epoch(self, epoch: int, figures: EpochFigures) -> Optional[Path]:
        """Score, log and save. History comes before the checkpoint that makes it last: resuming
        takes back the lines behind its checkpoint."""
        line = self._line(epoch, figures)
        path = self._save(line)
        print(describe_epoch(line), flush=True)
        self.run_options.after_save(self.run_options.folder)
        return path

    def _save(self, line: dict[str, Any]) -> Optional[Path]:
        """The new checkpoint; None, and the older ones stay, where the disk does not take it."""
        folder = self.run_options.folder
        try:
            add_history(folder, line)
            path = add_checkpoint(folder / CHECKPOINTS, self.state, self._meta(line),
                                  self.run_options.keep)
            add_to_tensorboard(folder / TENSORBOARD, line)
            return path
        except OSError as error:
            print(f"warning: epoch {line['epoch']} could not be saved in {folder} ({error}); the "
                  "run goes on and earlier checkpoints stay: make room before the next epoch ends",
                  file=sys.stderr, flush=True)
            return None

    def _line(self, epoch: int, figures: EpochFigures) -> dict[str, Any]:
        """The epoch as ``history.jsonl`` has it."""
        steps, per_epoch = epoch * self.plan.steps_per_epoch, self.plan.steps_per_epoch
        return {
            "epoch": epoch, "step": steps, "loss": figures.loss,
            "learning_rate": float(self.plan.learning_rates[steps - 1]),
            "ms_per_step": 1000 * figures.seconds / per_epoch,
            "images_per_second": per_epoch * self.plan.global_batch / figures.seconds,
            "waiting_for_data": None if figures.waiting is None
            else figures.waiting / figures.seconds,
            # checks, scores, checkpoint and upload of the last epoch
            "seconds_since_last_epoch": figures.since_last, **self._validate(),
        }

    def _validate(self) -> dict[str, Any]:
        """Single-crop errors in percent on both sets, as flat fields of the history; none where
        the validation images cannot be scored, which is no reason to lose the epoch."""
        if self.validation is None:
            return {}
        try:
            scores = score(self.evaluator.run(self.validation))
        except RequestError as error:
            print(f"warning: this epoch has no score: {error}", file=sys.stderr, flush=True)
            return {}
        return {f"{name}_{top}_error": getattr(found, f"{top}_error")
                for name, found in scores.items() for top in ("top1", "top5")}

    def _meta(self, line: dict[str, Any]) -> CheckpointMeta:
        return CheckpointMeta(
            num_classes=len(self.source.class_names), image_size=self.recipe.image_size,
            mean=INCEPTION_MEAN, std=INCEPTION_STD,
            batch_norm_decay=self.recipe.batch_norm_decay,
            class_names_sha256=self.source.class_names_sha256, epoch=line["epoch"],
            step=line["step"], top1_error=line.get("full_top1_error"))
