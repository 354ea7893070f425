"""What a training step costs: the ADSL report's rows, and the trainer against a bare loop.

Sizes that are not given follow from the device.
"""

import multiprocessing
import os
import shutil
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Optional

from benchmarks.steps.training_runs import Epoch, Workload, run_bare_loop, run_training
from benchmarks.synthetic import IMAGES_PER_CLASS, make_folders_and_records
from benchmarks.table import describe_machine
from benchmarks.timing import MINDSPORES_DECODER, in_turns
from common.cli import RequestError
from common.forms import SpeedRow, SpeedTable
from common.host import available_cores
from common.options import CheckedOptions, device_option, option, precision_option
from convert.records.reader import open_records
from inceptionv4 import IMAGE_SIZE, SMALLEST_IMAGE
from train.source import open_class_folders

TABLE, TRAINER = "table", "trainer"
BARE, FED = "bare loop, fixed batch", "trainer with its feed"
SAVING = "trainer, a checkpoint after each epoch"
LEAST_CLASSES = 2  # the recipe's loss needs them

# On Ascend the ADSL report's: cards and batches of its note 1, repeats and epochs of its note 2.
# On CPU what two cores do in ten minutes, with the smallest images that the network takes.
DEFAULTS: dict[tuple[str, str], dict[str, Any]] = {
    (TABLE, "Ascend"): dict(cards=(1, 8), batch_size=(32, 128), image_size=IMAGE_SIZE,
                            steps_per_epoch=100, warmup_epochs=3, epochs=10, repeats=3),
    (TABLE, "CPU"): dict(cards=(1, 2), batch_size=(8, 4), image_size=SMALLEST_IMAGE,
                         steps_per_epoch=10, warmup_epochs=1, epochs=2, repeats=2),
    (TRAINER, "Ascend"): dict(cards=(1,), batch_size=(32,), image_size=IMAGE_SIZE,
                              steps_per_epoch=100, warmup_epochs=1, epochs=3, repeats=3),
    (TRAINER, "CPU"): dict(cards=(1,), batch_size=(16,), image_size=SMALLEST_IMAGE,
                           steps_per_epoch=20, warmup_epochs=1, epochs=3, repeats=3),
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
class StepsRequest(CheckedOptions):
    """The arguments of ``python -m benchmarks steps``; None: the default of the device."""

    out: Path = option(help="result folder; also where the images and the runs are made and "
                            "removed")
    rows: str = option(TABLE, "the ADSL report's speed table, or the trainer against a bare "
                       "loop over its step", choices=(TABLE, TRAINER))
    device: str = device_option()
    images: Optional[Path] = option(None, "class folders to train on; without --records too, "
                                          "images are made")
    records: Optional[Path] = option(None, "training record set of the same images")
    cards: Optional[tuple[int, ...]] = _size(
        "cards", "numbers of cards (CPU: processes), one section of the table for each")
    batch_size: Optional[tuple[int, ...]] = _size(
        "batch_size", "images per step on each card, one for each of --cards")
    image_size: Optional[int] = _size("image_size", "side in pixels of the network's input")
    steps_per_epoch: Optional[int] = _size(
        "steps_per_epoch", "steps per epoch, and so from one checkpoint to the next")
    warmup_epochs: Optional[int] = _size("warmup_epochs", "first epochs of a run, not measured")
    epochs: Optional[int] = _size("epochs", "epochs of a run that are measured")
    repeats: Optional[int] = _size("repeats", "repeats of each row, in turns with the others")
    precision: str = precision_option()


class Target(NamedTuple):
    """The device that training runs will get, and what limits them there."""

    name: str  # "CPU" or "Ascend"
    supports_sink: bool
    cards: Optional[int]  # of this machine; None: ranks are processes that share the CPU
    arithmetic: str


def find_device(choice: str, precision: str) -> Target:
    """Return the device that ``choice`` means here.

    Raises:
        RequestError: it cannot be used here, or not in this precision.
    """
    # In a process of its own: one that has opened a card would keep it from the runs.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _silence) as process:
        return process.submit(_target, choice, precision).result()


def _silence() -> None:
    """Hide what MindSpore warns of where Ascend is missing: the error says what to do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _target(choice: str, precision: str) -> Target:
    import mindspore as ms

    from inceptionv4.device import setup_device
    device = setup_device(choice, precision=precision)
    cards = ms.device_context.ascend.device_count() if device.name == "Ascend" else None
    return Target(device.name, device.supports_sink, cards, device.arithmetic)


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
    workloads: tuple[Workload, ...]
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
    sizes = {name: getattr(request, name) or default
             for name, default in DEFAULTS[request.rows, target.name].items()}
    cards, batches, repeats = (sizes.pop(name) for name in ("cards", "batch_size", "repeats"))
    shown = f"--cards {' '.join(map(str, cards))}"
    if not len(set(cards)) == len(cards) == len(batches):
        raise RequestError(f"{shown} --batch-size {' '.join(map(str, batches))}: give different "
                           "numbers of cards and a batch size for each")
    if request.rows == TRAINER and cards != (1,):
        raise RequestError(f"{shown}: --rows {TRAINER} is for 1 card")
    workloads = tuple(Workload(target.name, request.precision, *run, **sizes)
                      for run in zip(cards, batches))
    needed = max(run.steps_per_epoch * run.images_per_step for run in workloads)
    if request.images or request.records:
        _check_sources(request, needed)
        return StepsPlan(work, request.images, request.records, 0, target, workloads, repeats)
    return StepsPlan(work, work / "data", work / "data" / "records",
                     max(needed, LEAST_CLASSES * IMAGES_PER_CLASS), target, workloads, repeats)


def _check_sources(request: StepsRequest, needed: int) -> None:
    """Compare the numbers of images; the trainer would report it only after the smaller runs."""
    for path, opened in ((request.images, open_class_folders), (request.records, open_records)):
        if path and (found := opened(path).images) < needed:
            raise RequestError(f"{path} has {found} images, an epoch of the largest run needs "
                               f"{needed}: lower --steps-per-epoch")


class Variant(NamedTuple):
    """A row of the ADSL report's table, as flags of the trainer."""

    name: str
    source: str  # "images" or "records"
    normalize_on: str
    sink: bool

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the choice of decoder: the report's rows have MindSpore's own, see common.jpeg."""
        return MINDSPORES_DECODER if self.normalize_on == "host" else {}

    def flags(self, plan: StepsPlan) -> list[object]:
        """Return the flags of ``python -m train``."""
        return [f"--{self.source}", getattr(plan, self.source),
                "--normalize-on", self.normalize_on, "--sink" if self.sink else "--no-sink"]

    def unavailable_reason(self, cards: int, plan: StepsPlan) -> str:
        """Return why it cannot be run on so many cards here; empty if it can."""
        device = plan.target
        if self.sink and not device.supports_sink:
            return f"{device.name} has no sink mode"
        if device.cards is not None and cards > device.cards:
            return f"this machine has {device.cards} {device.name} cards"
        return "" if getattr(plan, self.source) else f"give --{self.source} too"


# What the ADSL report calls no optimisation, sink mode, and the row it left to do; then our feed.
VARIANTS = (
    Variant("no optimisation: class folders, transforms on the host", "images", "host", False),
    Variant("sink mode", "images", "host", True),
    Variant("MindRecord", "records", "host", False),
    Variant("MindRecord, uint8 feed", "records", "device", False),
    Variant("MindRecord, uint8 feed, sink mode", "records", "device", True),
)


def benchmark_steps(request: StepsRequest) -> SpeedTable:
    """Time the rows asked for in turns; what is made in ``request.out`` is removed."""
    plan = plan_steps(request, find_device(request.device, request.precision))
    plan.work.mkdir(parents=True)
    if plan.images_to_make:
        make_folders_and_records(plan.work / "data", plan.images_to_make, available_cores())
    table = _compare_variants(plan) if request.rows == TABLE else _compare_with_bare_loop(plan)
    shutil.rmtree(plan.work)
    return table


def _compare_variants(plan: StepsPlan) -> SpeedTable:
    """Run each variant on each number of cards, by the training command.

    The ADSL report's figures are of runs with the checkpoint callback (its "cb") or without. Each
    run here gives both: its steps alone, and all of its time from epoch to epoch.
    """
    reasons = {(workload, variant): variant.unavailable_reason(workload.cards, plan)
               for workload in plan.workloads for variant in VARIANTS}
    epochs = _measure({(workload, variant): partial(run_training, workload, variant.flags(plan),
                                                    plan.work, variant.environment)
                       for (workload, variant), reason in reasons.items() if not reason},
                      plan.repeats)
    rows = []
    for workload in plan.workloads:
        saving = f"with a checkpoint after each epoch of {workload.steps_per_epoch} steps"
        for time, title in (("steps", "steps alone"), ("whole", saving)):
            rows += [_row(variant.name, epochs.get((workload, variant), []), time, workload,
                          f"{_label(workload)}: {title}", reasons[workload, variant])
                     for variant in VARIANTS]
    return _table(plan, "Training in the ADSL report's rows", rows, ratio="rate", average="mean")


def _compare_with_bare_loop(plan: StepsPlan) -> SpeedTable:
    """Run the trainer and a bare loop over the same compiled step."""
    workload, = plan.workloads
    data: list[object] = (["--records", plan.records] if plan.records else
                          ["--images", plan.images])
    epochs = _measure({BARE: partial(run_bare_loop, workload, data, plan.work),
                       FED: partial(run_training, workload, data, plan.work)}, plan.repeats)
    rows = [_row(BARE, epochs[BARE], "steps", workload), _row(FED, epochs[FED], "steps", workload),
            _row(SAVING, epochs[FED], "whole", workload)]
    bare, fed, _ = (statistics.median(row.seconds) for row in rows)
    return _table(plan, f"The trainer against a bare loop, {_label(workload)}", rows, closing=[
        f"{FED}: {100 * (fed / bare - 1):+.1f} % against the {BARE}"])


def _measure(runs: Mapping[Any, Callable[[], list[Epoch]]], repeats: int
             ) -> dict[Any, list[Epoch]]:
    """Return the measured epochs of each run, repeat after repeat."""
    return {name: [epoch for epochs in results for epoch in epochs]
            for name, results in in_turns(runs, repeats, "time training").items()}


def _row(name: str, epochs: list[Epoch], time: str, workload: Workload, section: str = "",
         note: str = "") -> SpeedRow:
    """Return a row of each epoch's ``time``: "steps" or "whole"."""
    waiting = [epoch.waiting for epoch in epochs if epoch.waiting is not None]
    if waiting:
        note = f"{statistics.mean(waiting):.1%} of the steps' time waiting for data"
    return SpeedRow(name, [getattr(epoch, time) for epoch in epochs], note, section,
                    workload.images_per_step)


def _label(workload: Workload) -> str:
    """Return what the rows share; the image size too: figures of another one cannot be compared."""
    one, many = ("process", "processes") if workload.device == "CPU" else ("card", "cards")
    cards = (f"1 {one}, batch {workload.batch_size}" if workload.cards == 1 else
             f"{workload.cards} {many}, batch {workload.batch_size} each")
    return f"{cards}, {workload.image_size} px on {workload.device}"


def _table(plan: StepsPlan, title: str, rows: list[SpeedRow], **options: Any) -> SpeedTable:
    run = plan.workloads[0]  # all have these in common
    data = "made, JPEGs of 115 KB" if plan.images_to_make else str(plan.records or plan.images)
    settings = {"repeats": plan.repeats, "warm-up epochs left out": run.warmup_epochs,
                "epochs measured": run.epochs, "steps per epoch": run.steps_per_epoch,
                "crop": f"{run.image_size} px", "arithmetic": plan.target.arithmetic, "data": data}
    machine = describe_machine(plan.work, plan.target.name)
    return SpeedTable(title, None, "images", rows, machine, settings, per_step=True, **options)
