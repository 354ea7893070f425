"""One timed run of the training command, and what its history says of each epoch."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, NamedTuple, Optional, Sequence

from benchmarks.timing import run_process
from common.cli import CheckFailed
from common.forms import HistoryLine

TRAIN = ("train",)  # the module, and what comes before its arguments


@dataclass(frozen=True)
class Workload:
    """What a run computes.

    Attributes:
        cards: ranks; more than one start through ``inceptionv4.launch``.
        batch_size: images per step on each of them.
        warmup_epochs: first ones, not measured; at least 1.
        epochs: that are measured.
    """

    cards: int
    batch_size: int
    image_size: int
    steps_per_epoch: int
    warmup_epochs: int
    epochs: int
    device: str

    @property
    def images_per_step(self) -> int:
        return self.cards * self.batch_size


class Epoch(NamedTuple):
    """One epoch as rank 0 saw it, its times in seconds divided by its number of steps."""

    steps: float  # the steps alone
    whole: float  # and what came between the last epoch's steps and these: its checkpoint
    waiting: Optional[float]  # share of ``steps`` spent waiting for data; None: not known


def run_training(workload: Workload, flags: Sequence[object], work: Path,
                 environment: Mapping[str, str] = {}) -> List[Epoch]:
    """Train in ``work`` and remove what was written there.

    Args:
        flags: of ``python -m train``, its data and how it is fed.
        environment: that replace this process's own.

    Raises:
        CheckFailed: the run failed.
    """
    from train.run_folder import read_history  # loads MindSpore
    run = work / "run"
    run_process(*command_of(workload, [*train_flags(workload, run), *flags], work / "log"),
                environment=environment)
    history = read_history(run)
    for folder in (run, work / "log"):
        shutil.rmtree(folder, ignore_errors=folder != run)  # one card has no log
    return measured_epochs(history, workload)


def train_flags(workload: Workload, run: Path) -> List[object]:
    """Return the flags of ``python -m train`` for the seed's recipe at the size of the workload."""
    return ["--run", run, "--preset", "adsl-1p" if workload.cards == 1 else "adsl-8p",
            "--device", workload.device, "--batch-size", workload.batch_size,
            "--image-size", workload.image_size, "--steps-per-epoch", workload.steps_per_epoch,
            "--epochs", workload.warmup_epochs + workload.epochs, "--keep", 1]


def command_of(workload: Workload, flags: Sequence[object], log: Path) -> List[object]:
    """Return the command that a user would start."""
    if workload.cards == 1:
        return [sys.executable, "-m", *TRAIN, *flags]
    return [sys.executable, "-m", "inceptionv4.launch", "--ranks", workload.cards, "--log-dir", log,
            *TRAIN, *flags]


def measured_epochs(history: Sequence[HistoryLine], workload: Workload) -> List[Epoch]:
    """Return the epochs after the warm-up; raise CheckFailed unless the history has each one."""
    asked = workload.warmup_epochs + workload.epochs
    if [line.epoch for line in history] != list(range(1, asked + 1)):
        raise CheckFailed(f"the history of a run of {asked} epochs has {len(history)} lines")
    return [_epoch(line, workload.steps_per_epoch) for line in history[workload.warmup_epochs:]]


def _epoch(line: HistoryLine, steps: int) -> Epoch:
    seconds = line.ms_per_step / 1000
    return Epoch(seconds, seconds + (line.seconds_since_last_epoch or 0) / steps,
                 line.waiting_for_data)
