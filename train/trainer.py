"""The run itself: epochs of steps, after each one a score on the validation images and a
checkpoint. The steps and the score are work of all ranks, the checkpoint of rank 0."""

import math
import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import numpy as np

from common.cli import CheckFailed, RequestError
from common.forms import HistoryLine
from common.progress import Progress, print_above_bar, progress_bar
from convert.records.reader import RecordSet
from evaluate.evaluator import Evaluator
from evaluate.protocols import protocol_of
from evaluate.results import score
from inceptionv4.checkpoint import describe_kinds
from inceptionv4.device import COMPILING_TAKES, Device, copy_from_rank_0
from inceptionv4.meta import CheckpointMeta
from inceptionv4.precision import MOST_SKIPPED_IN_A_ROW
from train.checkpoints import LoadedCheckpoint, add_checkpoint
from train.compile_cache import cache_folder, compile_cache
from train.feed import TrainingFeed
from train.options import TrainRequest
from train.optimizer import restart_rmsprop
from train.plan import Plan
from train.profiling import UNPROFILED_STEPS, profiled
from train.recipe import Recipe
from train.run_clock import RunClock
from train.run_folder import PROFILE, add_history, add_to_tensorboard, describe_epoch
from train.step import (StepResult, TrainStep, build_network, host_steps, sink_steps,
                        training_state)


class Trainer:
    """One rank of a run. All ranks take the same steps and score together; rank 0 logs and saves.

    Args:
        validation: scored after every ``request.validate_every`` epochs; None: no scores.
        after_save: called by rank 0 when an epoch's files are written.

    Attributes:
        sink_size: 0: the host feeds each step; else sink mode, and steps between two checks of
            the loss.
    """

    def __init__(self, request: TrainRequest, recipe: Recipe, plan: Plan, feed: TrainingFeed,
                 validation: Optional[RecordSet], device: Device,
                 after_save: Callable[[], None] = lambda: None):
        if request.sink and not device.supports_sink:
            raise RequestError(f"--sink: {device.name} has no sink mode; leave it out")
        most = plan.steps_per_epoch - UNPROFILED_STEPS
        if request.profile and request.profile > most:
            raise RequestError(f"--profile {request.profile}: an epoch has {plan.steps_per_epoch} "
                               f"steps, of which the first {UNPROFILED_STEPS} are left out; give "
                               + (f"at most {most}" if most > 0 else
                                  "--steps-per-epoch or a set of images with at least "
                                  f"{UNPROFILED_STEPS + 1} steps"))
        self.recipe, self.plan, self.feed, self.validation = recipe, plan, feed, validation
        self.device, self.after_save = device, after_save
        self.folder, self.keep = request.run, request.keep
        self.request = request
        sink = device.supports_sink if request.sink is None else request.sink
        self.sink_size = request.sink_size if sink else 0
        self.clock = RunClock(plan)
        self.skipped_in_a_row = 0
        self.steps_ended: Optional[float] = None  # when the last epoch's did, by perf_counter
        self.network = build_network(recipe, len(feed.source.class_names))
        self.step = TrainStep(recipe, self.network, plan.learning_rates, device.rank,
                              feed.statistics)
        self.state = training_state(self.step)
        self.evaluator = Evaluator(self.network, protocol_of(1, recipe.image_size),
                                   *feed.statistics, workers=recipe.workers, device=device)

    def restore(self, found: LoadedCheckpoint) -> None:
        """Take over weights, averages and the number of steps, each by its name."""
        if self.state.keys() != found.state.keys():
            name = min(self.state.keys() ^ found.state.keys())
            where = "only in this version" if name in self.state else "unknown to this version"
            raise RequestError(f"{found.path}: '{name}' is {where}; resume with the version that "
                               "wrote it, or remove it to resume from an older checkpoint")
        for name, parameter in self.state.items():
            difference = describe_kinds(found.state[name], parameter)
            if difference:
                raise RequestError(f"{found.path}: '{name}' is {difference}; remove it to resume "
                                   "from an older checkpoint")
        for name, parameter in self.state.items():
            parameter.set_data(found.state[name])

    def run(self, first_epoch: int = 1) -> Optional[Path]:
        """Train to the end; rank 0 returns the last checkpoint, None where no epoch was left.

        Raises:
            CheckFailed: the loss or a weight is not a number any more, or the last epoch could
                not be saved; earlier checkpoints stay.
        """
        compile_seconds: Optional[float] = self._compile()
        path = None
        self.clock = RunClock(self.plan, first_epoch)
        for epoch in range(first_epoch, self.plan.epochs + 1):
            if self.recipe.restarts_optimizer_at(epoch):
                restart_rmsprop(self.step.optimizer)
            line = replace(self._train_epoch(epoch), compile_seconds=compile_seconds)
            compile_seconds = None
            self._check_weights(epoch)
            line = self._validate(line)
            if self.device.rank == 0:
                path = self._close_epoch(line)
        if self.device.rank == 0 and path is None and first_epoch <= self.plan.epochs:
            raise CheckFailed(f"the last epoch is not in {self.folder}: make room and "
                              "resume from the last checkpoint that is, with --resume")
        return path

    def _compile(self) -> float:
        """Compile the training step and the network for validation, which would slow the first
        epoch down; return the seconds it took."""
        if self.device.rank == 0:
            also = " and the network for validation" if self.validation is not None else ""
            print(f"compiling the training step{also} ({COMPILING_TAKES})", flush=True)
        start = time.perf_counter()
        folder = self.request.compile_cache and cache_folder(
            self.request.compile_cache, self.recipe, self.device, steps=self.plan.steps,
            classes=len(self.feed.source.class_names), jit_level=self.request.jit_level,
            deterministic=self.request.deterministic, statistics=self.feed.statistics)
        with compile_cache(folder):
            self.step.compile(*self.feed.empty_batch())
        if self.validation is not None:  # not into the cache, which is for one graph
            self.evaluator.compile()
        seconds = time.perf_counter() - start
        if self.device.rank == 0:
            print(f"compiled in {seconds:.1f} s", flush=True)
        return seconds

    def _train_epoch(self, epoch: int) -> HistoryLine:
        """Take all steps of the epoch; return its figures, still without scores.

        A loss is checked when the next step (in sink mode, the next ``sink_size`` steps) has been
        started, so that the device does not wait for the host.
        """
        steps, lag = self.plan.steps_per_epoch, max(self.sink_size, 1)
        losses: list[float] = []
        waited = 0.0
        pending: deque[StepResult] = deque()
        self.skipped_steps = 0
        start = time.perf_counter()
        # checks, scores, checkpoint and upload of the last epoch
        since_last = None if self.steps_ended is None else start - self.steps_ended
        with self._bar(epoch) as bar:
            for result in self._steps(epoch):
                pending.append(result)
                waited += result.waited
                if len(pending) > lag:
                    losses += self._checked_losses(pending, lag, epoch, len(losses), bar)
            losses += self._checked_losses(pending, len(pending), epoch, len(losses), bar)
        self.steps_ended = time.perf_counter()
        if len(losses) != steps:
            raise RuntimeError(f"epoch {epoch} had {len(losses)} steps instead of {steps}")
        finite = [loss for loss in losses if math.isfinite(loss)]  # of skipped steps, some are not
        if not finite:
            raise self._diverged(f"epoch {epoch} has no finite loss")
        seconds = self.steps_ended - start
        scale = self.step.current_loss_scale()
        return HistoryLine(
            epoch=epoch, step=epoch * steps, loss=math.fsum(finite) / len(finite),
            learning_rate=float(self.plan.learning_rates[epoch * steps - 1]),
            ms_per_step=1000 * seconds / steps,
            images_per_second=steps * self.plan.global_batch / seconds,
            waiting_for_data=None if self.sink_size else waited / seconds,
            seconds_since_last_epoch=since_last, loss_scale=scale,
            skipped_steps=None if scale is None else self.skipped_steps)

    def _steps(self, epoch: int) -> Iterator[StepResult]:
        take = sink_steps if self.sink_size else host_steps
        results = take(self.step, self.feed, epoch)
        if self.request.profile and self.steps_ended is None:  # in the first epoch of this process
            return profiled(results, self.request.profile, self.folder / PROFILE)
        return results

    def _bar(self, epoch: int) -> Progress:
        return progress_bar(self.plan.steps_per_epoch * self.plan.global_batch,
                            f"epoch {epoch}/{self.plan.epochs}", "images",
                            keep=False, shown=self.device.rank == 0)  # the epoch's line follows

    def _checked_losses(self, pending: deque[StepResult], count: int, epoch: int, done: int,
                        bar: Progress) -> list[float]:
        """Return the first ``count`` losses; ``done`` steps of the epoch came before them."""
        losses: list[float] = []
        first = (epoch - 1) * self.plan.steps_per_epoch + done
        for step in range(first + 1, first + count + 1):
            result = pending.popleft()
            losses.append(float(result.loss))
            if result.skipped:
                self._count_skipped(step)
            elif math.isfinite(losses[-1]):
                self.skipped_in_a_row = 0
            else:
                raise self._diverged(f"the loss is {losses[-1]} at step {step}")
        if losses:
            rate = self.plan.learning_rates[first + count - 1]
            bar.set_postfix_str(f"loss {losses[-1]:.3f}, rate {rate:.3g}, run ends in "
                                f"{self.clock.left(first + count)}", refresh=False)
            bar.update(self.plan.global_batch * count)
            estimate = self.clock.first_estimate(first + count)
            if estimate and self.device.rank == 0:
                print_above_bar(estimate)
        return losses

    def _count_skipped(self, step: int) -> None:
        self.skipped_steps += 1
        self.skipped_in_a_row += 1
        if self.skipped_in_a_row == MOST_SKIPPED_IN_A_ROW:
            scale = self.step.current_loss_scale()
            raise self._diverged(
                f"{self.skipped_in_a_row} steps in a row, up to step {step}, had gradients that "
                f"were not finite; the loss scale has fallen to {scale:g}")

    def _check_weights(self, epoch: int) -> None:
        """Raise CheckFailed for a weight or an average of batch norm that is no number: no loss of
        an epoch shows its last update, and a skipped step has none but moves the averages."""
        for parameter in self.network.get_parameters():
            if not np.isfinite(parameter.asnumpy()).all():
                raise self._diverged(f"{parameter.name} is not finite after epoch {epoch}")

    def _diverged(self, what: str) -> CheckFailed:
        return CheckFailed(f"{what}: the checkpoints of earlier epochs in {self.folder} "
                           "are kept; start a new run with lower rates (--phases)")

    def _close_epoch(self, line: HistoryLine) -> Optional[Path]:
        """Save and log; return the checkpoint, if it could be saved."""
        path = self._save(line)
        print(describe_epoch(line, self.plan.epochs, path, self.clock.left(line.step),
                             len(self.feed.source.class_names)), flush=True)
        self.after_save()
        return path

    def _validate(self, line: HistoryLine) -> HistoryLine:
        """Return the line with the single-crop errors in percent on both sets, if it is an epoch to
        be scored; without them where the validation images cannot be scored, which is no reason to
        lose the epoch."""
        last = line.epoch == self.plan.epochs
        if self.validation is None or (line.epoch % self.request.validate_every and not last):
            return line
        start = time.perf_counter()
        errors: dict[str, Any] = {}
        # Each rank has batch norm's moving averages of its own images; rank 0's are saved.
        copy_from_rank_0(self.device, [parameter for parameter in self.network.get_parameters()
                                       if not parameter.requires_grad])
        try:
            errors = self._errors(self.validation)
            if self.step.averages is not None:
                with self.step.averages.in_the_network():
                    errors |= {f"ema_{name}": error
                               for name, error in self._errors(self.validation).items()}
        except RequestError as error:
            if self.device.rank == 0:
                print(f"warning: epoch {line.epoch} has no score: {error}", file=sys.stderr,
                      flush=True)
        return replace(line, **errors, seconds_validating=time.perf_counter() - start)

    def _errors(self, validation: RecordSet) -> dict[str, float]:
        """Return the errors of the network as it is, by their names in a line of history."""
        return {f"{name}_{top}_error": getattr(found, f"{top}_error")
                for name, found in score(self.evaluator.run(validation)).items()
                for top in ("top1", "top5")}

    def _save(self, line: HistoryLine) -> Optional[Path]:
        """Return the new checkpoint; None, and the older ones stay, where the disk refuses it."""
        source = self.feed.source
        meta = CheckpointMeta(
            num_classes=len(source.class_names), image_size=self.recipe.image_size,
            mean=self.feed.statistics.mean, std=self.feed.statistics.std,
            batch_norm_decay=self.recipe.batch_norm_decay,
            class_names_sha256=source.class_names_sha256, class_names=tuple(source.class_names),
            class_words=tuple(source.class_words) if any(source.class_words) else (),
            epoch=line.epoch, step=line.step, ema_decay=self.recipe.ema_decay,
            top1_error=(line.ema_full_top1_error if self.recipe.ema_decay else
                        line.full_top1_error))
        path = None
        try:
            # History first: resuming removes lines after the last checkpoint, but adds none.
            add_history(self.folder, line)
            start = time.perf_counter()
            path = add_checkpoint(self.folder, self.state, meta, self.keep)
            line = replace(line, seconds_saving=time.perf_counter() - start)
            add_history(self.folder, line)
            add_to_tensorboard(self.folder, line)
        except OSError as error:
            what = f"epoch {line.epoch}" if path is None else f"the log of epoch {line.epoch}"
            print(f"warning: {what} could not be saved in {self.folder} ({error}); the run "
                  "continues, earlier checkpoints stay: make room before the next epoch ends",
                  file=sys.stderr, flush=True)
        return path
