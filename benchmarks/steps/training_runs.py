"""One timed run, in processes of its own: of the training command, or of its step in a bare loop.

``python -m benchmarks.steps.training_runs`` is the bare loop: the training step called on one
batch, with no feed, no log, no checkpoint. It takes the arguments of ``python -m train``, so that
both have the same recipe, and prints the seconds per step of each epoch as JSON.
"""

import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional

from common.signals import take_signals_from_mindspore

if __name__ == "__main__":
    take_signals_from_mindspore()

from benchmarks.timing import run_process
from common.cli import run_command
from common.forms import read_history
from train.options import parse


@dataclass(frozen=True)
class Workload:
    """What a run computes.

    Attributes:
        device: "CPU", "Ascend" or "simulated" (see ``simulated_card``).
        precision: as ``common.options.precision_option``.
        cards: ranks; more than one start through ``inceptionv4.launch``.
        batch_size: images per step on each of them.
        image_size: side in pixels of the network's input.
        warmup_epochs: first ones, not measured; at least 1.
        epochs: that are measured.
    """

    device: str
    precision: str
    cards: int
    batch_size: int
    image_size: int
    steps_per_epoch: int
    warmup_epochs: int
    epochs: int

    @property
    def images_per_step(self) -> int:
        return self.cards * self.batch_size


class Epoch(NamedTuple):
    """One epoch as rank 0 saw it, its times in seconds divided by its number of steps."""

    steps: float  # the steps alone
    whole: float  # and what came between the last epoch's steps and these: its checkpoint
    waiting: Optional[float] = None  # share of ``steps`` spent waiting for data; None: not known


def run_training(workload: Workload, data: list[object], work: Path,
                 environment: Mapping[str, str] = {}) -> list[Epoch]:
    """Train in ``work``, remove what was written there, and return the epochs after the warm-up.

    Args:
        data: flags of ``python -m train``, its data and how it is fed.
        environment: variables that replace this process's own.

    Raises:
        CheckFailed: the run failed.
    """
    run, log = work / "run", work / "log"
    launcher = ([] if workload.cards == 1 else
                ["inceptionv4.launch", "--ranks", workload.cards, "--log-dir", log])
    run_process(sys.executable, "-m", *launcher, "train", *train_flags(workload, run), *data,
                environment=environment)
    history = read_history(run)
    shutil.rmtree(run)
    shutil.rmtree(log, ignore_errors=True)  # one card has none
    return [Epoch(line.ms_per_step / 1000, line.ms_per_step / 1000 +
                  (line.seconds_since_last_epoch or 0) / workload.steps_per_epoch,
                  line.waiting_for_data) for line in history[workload.warmup_epochs:]]


def run_bare_loop(workload: Workload, data: list[object], work: Path) -> list[Epoch]:
    """Return the epochs of the bare loop, for as many steps as ``run_training`` would train."""
    printed = run_process(sys.executable, "-m", "benchmarks.steps.training_runs",
                          *train_flags(workload, work / "run"), *data)
    seconds = json.loads(printed.splitlines()[-1])
    return [Epoch(each, each) for each in seconds[workload.warmup_epochs:]]


def train_flags(workload: Workload, run: Path) -> list[object]:
    """Return flags of ``python -m train``: the original report's recipe at the workload's size."""
    return ["--run", run, "--preset", "adsl-1p" if workload.cards == 1 else "adsl-8p",
            "--device", workload.device, "--precision", workload.precision,
            "--batch-size", workload.batch_size, "--image-size", workload.image_size,
            "--steps-per-epoch", workload.steps_per_epoch,
            "--epochs", workload.warmup_epochs + workload.epochs, "--keep", 1,
            "--compile-cache", run.with_name("compiled")]  # for the repeats


def main() -> None:
    request, recipe = parse()
    from inceptionv4.device import setup_device
    from train.feed import TrainingFeed
    from train.plan import make_plan
    from train.source import open_data
    from train.trainer import Trainer
    device = setup_device(request.device, recipe.seed, recipe.precision)
    source, _ = open_data(request)
    plan = make_plan(recipe, source, request.keep)
    feed = TrainingFeed(source, recipe, plan.steps_per_epoch)
    step = Trainer(request, recipe, plan, feed, None, device).step
    batch = next(feed.epoch(1).create_tuple_iterator(num_epochs=1))
    step.compile(*batch)
    print(json.dumps([_seconds_per_step(step, batch, plan.steps_per_epoch)
                      for _ in range(plan.epochs)]))


def _seconds_per_step(step: Any, batch: Any, steps: int) -> float:
    """Fetch each loss when the next step has been started, as the trainer does."""
    start = time.perf_counter()
    loss, _ = step(*batch)
    for _ in range(steps - 1):
        next_loss, _ = step(*batch)
        float(loss)
        loss = next_loss
    float(loss)
    return (time.perf_counter() - start) / steps


if __name__ == "__main__":
    sys.exit(run_command(main))
