"""What ``python -m benchmarks steps`` measures; sizes that are not given follow from the device."""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

from benchmarks.steps.training_runs import Workload
from benchmarks.synthetic import IMAGES_PER_CLASS
from common.cli import RequestError
from common.options import check_values, device_option, option

TABLE, TRAINER = "table", "trainer"
LEAST_CLASSES = 2  # the recipe's loss needs them

# On Ascend the seed report's: cards and batches of its note 1, repeats and epochs of its note 2.
# On CPU what two cores do in ten minutes, with the smallest images that the network takes.
DEFAULTS: Dict[Tuple[str, str], Dict[str, Any]] = {
    (TABLE, "Ascend"): dict(cards=(1, 8), batch_size=(32, 128), image_size=299,
                            steps_per_epoch=100, warmup_epochs=3, epochs=10, repeats=3),
    (TABLE, "CPU"): dict(cards=(1, 2), batch_size=(8, 4), image_size=75, steps_per_epoch=10,
                         warmup_epochs=1, epochs=2, repeats=2),
    (TRAINER, "Ascend"): dict(cards=(1,), batch_size=(32,), image_size=299, steps_per_epoch=100,
                              warmup_epochs=1, epochs=3, repeats=3),
    (TRAINER, "CPU"): dict(cards=(1,), batch_size=(16,), image_size=75, steps_per_epoch=20,
                           warmup_epochs=1, epochs=3, repeats=3),
}


def _size(name: str, meaning: str) -> Any:
    """Return a field that is None, or at least 1; its help lists the defaults."""
    shown = []
    for (rows, device), sizes in DEFAULTS.items():
        value = sizes[name]
        words = " ".join(map(str, value)) if isinstance(value, tuple) else value
        shown.append(f"{rows} on {device}: {words}")
    return option(None, f"{meaning} ({', '.join(shown)})", low=1)


@dataclass(frozen=True)
class StepsRequest:
    """The arguments of ``python -m benchmarks steps``; None: the default of the device."""

    out: Path = option(help="result folder; also where the images and the runs are made and "
                            "removed")
    rows: str = option(TABLE, "the original report's speed table, or the trainer against a bare "
                       "loop over its step", choices=(TABLE, TRAINER))
    device: str = device_option()
    images: Optional[Path] = option(None, "class folders to train on; without --records too, "
                                          "images are made")
    records: Optional[Path] = option(None, "training record set of the same images")
    cards: Optional[Tuple[int, ...]] = _size(
        "cards", "numbers of cards (CPU: processes), one section of the table for each")
    batch_size: Optional[Tuple[int, ...]] = _size(
        "batch_size", "images per step on each card, one for each of --cards")
    image_size: Optional[int] = _size("image_size", "side in pixels of the network's input")
    steps_per_epoch: Optional[int] = _size(
        "steps_per_epoch", "steps per epoch, and so from one checkpoint to the next")
    warmup_epochs: Optional[int] = _size("warmup_epochs", "first epochs of a run, not measured")
    epochs: Optional[int] = _size("epochs", "epochs of a run that are measured")
    repeats: Optional[int] = _size("repeats", "repeats of each row, in turns with the others")

    def __post_init__(self) -> None:
        check_values(self)


class Target(NamedTuple):
    """The device that training runs will get, and what limits them there."""

    name: str  # "CPU" or "Ascend"
    supports_sink: bool
    cards: Optional[int]  # of this machine; None: ranks are processes that share the CPU


def find_device(choice: str) -> Target:
    """Return the device that ``choice`` means here.

    Raises:
        RequestError: it cannot be used here.
    """
    # In a process of its own: one that has opened a card would keep it from the runs.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _silence) as process:
        return process.submit(_target, choice).result()


def _silence() -> None:
    """Hide what MindSpore warns of where Ascend is missing: the error says what to do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _target(choice: str) -> Target:
    import mindspore as ms

    from inceptionv4.device import setup_device
    device = setup_device(choice)
    cards = ms.device_context.ascend.device_count() if device.name == "Ascend" else None
    return Target(device.name, device.supports_sink, cards)


@dataclass(frozen=True)
class StepsPlan:
    """What will be run on the device at hand.

    Attributes:
        work: a folder that does not exist yet; what is made there is removed.
        images, records: class folders and record set of the same images; None: not given.
        images_to_make: for both, in ``work``; 0: one of them was given.
        workloads: one for each number of cards.
    """

    work: Path
    images: Optional[Path]
    records: Optional[Path]
    images_to_make: int
    target: Target
    workloads: Tuple[Workload, ...]
    repeats: int


def plan_steps(request: StepsRequest, target: Target) -> StepsPlan:
    """Return what to run on ``target``.

    Raises:
        RequestError: sizes that do not belong together, too few images for an epoch, or a folder
            left from an interrupted run.
    """
    work = request.out / "work"
    if work.exists():
        raise RequestError(f"{work} is left from an interrupted run: remove it")
    sizes = {name: default if getattr(request, name) is None else getattr(request, name)
             for name, default in DEFAULTS[request.rows, target.name].items()}
    cards, batches, repeats = (sizes.pop(name) for name in ("cards", "batch_size", "repeats"))
    shown = f"--cards {' '.join(map(str, cards))}"
    if not len(set(cards)) == len(cards) == len(batches):
        raise RequestError(f"{shown} --batch-size {' '.join(map(str, batches))}: give different "
                           "numbers of cards and a batch size for each")
    if request.rows == TRAINER and cards != (1,):
        raise RequestError(f"{shown}: --rows {TRAINER} is for 1 card")
    workloads = tuple(Workload(target.name, *run, **sizes) for run in zip(cards, batches))
    needed = max(run.steps_per_epoch * run.images_per_step for run in workloads)
    if request.images or request.records:
        _check_sources(request, needed)
        return StepsPlan(work, request.images, request.records, 0, target, workloads, repeats)
    return StepsPlan(work, work / "data", work / "data" / "records",
                     max(needed, LEAST_CLASSES * IMAGES_PER_CLASS), target, workloads, repeats)


def _check_sources(request: StepsRequest, needed: int) -> None:
    """Compare the numbers of images; the trainer would report it only after the smaller runs."""
    from convert.records.reader import open_records
    from train.source import open_class_folders
    for path, opened in ((request.images, open_class_folders), (request.records, open_records)):
        if path and (found := opened(path).images) < needed:
            raise RequestError(f"{path} has {found} images, an epoch of the largest run needs "
                               f"{needed}: lower --steps-per-epoch")
