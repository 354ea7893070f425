"""The run itself: epochs of steps, a check on the validation images, a checkpoint after each."""

import math
import time
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Optional

import mindspore as ms
import numpy as np

from common import CheckFailed, progress_bar
from convert import RecordSet
from evaluate import Evaluator, protocol_of, score
from inceptionv4 import INCEPTION_MEAN, INCEPTION_STD, CheckpointMeta, Device
from train.feed import training_feed, workers_for
from train.plan import Plan
from train.recipe import Recipe
from train.run_folder import add_checkpoint, add_history
from train.step import build_network, build_step, state_to_save


class EpochFigures(NamedTuple):
    """What one epoch's steps came to."""

    loss: float  # mean over its steps
    seconds: float
    waiting: float  # seconds of these in which the step had no data


class Trainer:
    """One rank of a run. All ranks take the same steps; rank 0 checks, logs and saves.

    Args:
        folder: the run folder, where rank 0 writes.
        validation: scored after each epoch; None leaves that out.
        keep: checkpoints that stay on the disk.
    """

    def __init__(self, recipe: Recipe, plan: Plan, records: RecordSet,
                 validation: Optional[RecordSet], device: Device, folder: Path, keep: int):
        self.recipe, self.plan, self.records, self.validation = recipe, plan, records, validation
        self.device, self.folder, self.keep = device, folder, keep
        self.network = build_network(recipe, len(records.class_names))
        self.step = build_step(recipe, self.network, plan.learning_rates)
        self.evaluator = Evaluator(self.network, protocol_of(1, recipe.image_size),
                                   INCEPTION_MEAN, INCEPTION_STD, workers=workers_for(recipe))

    def run(self) -> Path:
        """Train to the end and return the last checkpoint.

        Raises:
            CheckFailed: the loss is not a number any more; earlier checkpoints stay.
        """
        path = None
        self._compile()
        for epoch in range(1, self.plan.epochs + 1):
            figures = self._train_epoch(epoch)
            self._check_weights(epoch)
            if self.device.rank == 0:
                path = self._close_epoch(epoch, figures)
        return path

    def _compile(self) -> None:
        """Compile ahead, so that the first epoch's speed is that of its steps."""
        if self.device.rank == 0:
            print("compiling the training step (half a minute on CPU, minutes on Ascend)",
                  flush=True)
        batch, size = self.recipe.batch_size, self.recipe.image_size
        self.step.compile(ms.Tensor(np.zeros((batch, size, size, 3), np.uint8)),
                          ms.Tensor(np.zeros(batch, np.int32)))

    def _train_epoch(self, epoch: int) -> EpochFigures:
        first = (epoch - 1) * self.plan.steps_per_epoch
        done, total, waiting, start = 0, 0.0, 0.0, time.perf_counter()
        with progress_bar(self.plan.steps_per_epoch * self.plan.global_batch,
                          f"epoch {epoch}/{self.plan.epochs}", "images") as bar:
            bar.disable = self.device.rank != 0
            for done, (images, labels, waited) in enumerate(self._batches(epoch), start=1):
                loss = float(self.step(images, labels))
                self._check_finite(loss, first + done)
                total, waiting = total + loss, waiting + waited
                bar.set_postfix(loss=f"{total / done:.3f}", refresh=False,
                                lr=f"{self.plan.learning_rates[first + done - 1]:.3g}")
                bar.update(self.plan.global_batch)
        seconds = time.perf_counter() - start
        self._check_steps(epoch, done)
        return EpochFigures(total / done, seconds, waiting)

    def _batches(self, epoch: int) -> Iterator[tuple]:
        """(images, labels, seconds waited for them) of each step of the epoch."""
        feed = training_feed(self.records.files, self.recipe, epoch, self.plan.steps_per_epoch,
                             self.device.rank)
        start = time.perf_counter()
        for images, labels in feed.create_tuple_iterator(num_epochs=1):
            yield images, labels, time.perf_counter() - start
            start = time.perf_counter()

    def _check_steps(self, epoch: int, done: int) -> None:
        if done != self.plan.steps_per_epoch:
            raise RuntimeError(f"epoch {epoch} had {done} steps instead of "
                               f"{self.plan.steps_per_epoch}")

    def _check_finite(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise CheckFailed(f"the loss is {loss} at step {step}: the checkpoints of earlier "
                              f"epochs in {self.folder} are kept; try lower rates (--phases)")

    def _check_weights(self, epoch: int) -> None:
        """The last update of an epoch shows in no loss of that epoch."""
        for parameter in self.network.trainable_params():
            if not np.isfinite(parameter.asnumpy()).all():
                raise CheckFailed(f"{parameter.name} is not finite after epoch {epoch}: the "
                                  f"checkpoints of earlier epochs in {self.folder} are kept; try "
                                  "lower rates (--phases)")

    def _close_epoch(self, epoch: int, figures: EpochFigures) -> Path:
        steps = epoch * self.plan.steps_per_epoch
        line = {
            "epoch": epoch, "step": steps, "loss": figures.loss,
            "learning_rate": float(self.plan.learning_rates[steps - 1]),
            "ms_per_step": 1000 * figures.seconds / self.plan.steps_per_epoch,
            "images_per_second": self.plan.steps_per_epoch * self.plan.global_batch
            / figures.seconds,
            "waiting_for_data": figures.waiting / figures.seconds, **self._validate(),
        }
        path = add_checkpoint(self.folder, state_to_save(self.network, self.step.optimizer),
                              self._meta(epoch, steps), self.keep)
        add_history(self.folder, line)
        print(_describe(line), flush=True)
        return path

    def _validate(self) -> dict[str, Any]:
        """Single-crop errors in percent on both sets, as flat fields of the history."""
        if self.validation is None:
            return {}
        scores = score(self.evaluator.run(self.validation))
        return {f"{name}_{top}_error": getattr(found, f"{top}_error")
                for name, found in scores.items() for top in ("top1", "top5")}

    def _meta(self, epoch: int, step: int) -> CheckpointMeta:
        return CheckpointMeta(
            num_classes=len(self.records.class_names), image_size=self.recipe.image_size,
            mean=INCEPTION_MEAN, std=INCEPTION_STD,
            batch_norm_decay=self.recipe.batch_norm_decay,
            class_names_sha256=self.records.class_names_sha256, epoch=epoch, step=step)


def _describe(line: dict[str, Any]) -> str:
    text = (f"epoch {line['epoch']}: loss {line['loss']:.3f}, learning rate "
            f"{line['learning_rate']:.3g}, {line['ms_per_step']:.0f} ms/step, "
            f"{line['images_per_second']:.1f} images/s, "
            f"{100 * line['waiting_for_data']:.0f} % waiting for data")
    for name in ("full", "filtered"):
        if f"{name}_top1_error" in line:
            text += (f"; {name} set: top-1 error {line[f'{name}_top1_error']:.1f} %, "
                     f"top-5 {line[f'{name}_top5_error']:.1f} %")
    return text
