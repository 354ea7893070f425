"""What a training step costs: the seed report's rows, and the trainer against a bare loop."""

import functools
import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from benchmarks.steps.request import TABLE, StepsPlan
from benchmarks.steps.training_runs import Epoch, Workload, run_training, train_flags
from benchmarks.synthetic import IMAGES_PER_CLASS, make_folders_and_records
from benchmarks.table import describe_machine
from benchmarks.timing import in_turns, run_process
from common import jpeg
from common.forms import SpeedRow, SpeedTable
from common.host import available_cores

BARE_LOOP = ("benchmarks.steps.bare_loop",)  # the module, and what comes before its arguments
LEAST_CLASSES = 2  # the recipe's loss needs them

BARE, FED = "bare loop, fixed batch", "trainer with its feed"
SAVING = "trainer, a checkpoint after each epoch"


class Variant(NamedTuple):
    """A row of the seed report's table, as flags of the trainer."""

    name: str
    source: str  # "images" or "records"
    normalize_on: str
    sink: bool

    @property
    def environment(self) -> Dict[str, str]:
        """The seed's rows decode with MindSpore's own decoder, see common.jpeg."""
        return {jpeg.CHOICE: "mindspore"} if self.normalize_on == "host" else {}


# What the seed report calls no optimisation, sink mode, and the row it left to do; then our feed.
VARIANTS = (
    Variant("no optimisation: class folders, transforms on the host", "images", "host", False),
    Variant("sink mode", "images", "host", True),
    Variant("MindRecord", "records", "host", False),
    Variant("MindRecord, uint8 feed", "records", "device", False),
    Variant("MindRecord, uint8 feed, sink mode", "records", "device", True),
)


class Data(NamedTuple):
    """What the runs read."""

    images: Optional[Path]  # class folders
    records: Optional[Path]


def benchmark_steps(plan: StepsPlan, rows: str) -> SpeedTable:
    """Time the ``rows`` "table" or "trainer"; what is made in ``plan.work`` is removed."""
    plan.work.mkdir(parents=True)
    data = _data(plan)
    table = benchmark_table(plan, data) if rows == TABLE else benchmark_trainer(plan, data)
    shutil.rmtree(plan.work)
    return table


def benchmark_table(plan: StepsPlan, data: Data) -> SpeedTable:
    """Run each variant on each number of cards in turns, by the training command.

    The seed report's figures are of runs with the checkpoint callback (its "cb") or without. Each
    run here gives both: its steps alone, and all of its time from epoch to epoch.
    """
    cells = [(cards, variant) for cards in plan.cards for variant in VARIANTS]
    notes = {cell: unavailable_reason(cell[1], cell[0], plan, data) for cell in cells}
    runs: Dict[Tuple[int, Variant], Callable[[], List[Epoch]]] = {
        (cards, variant): functools.partial(
            run_training, plan.workload(cards), variant_flags(variant, data), plan.work,
            variant.environment)
        for cards, variant in cells if not notes[cards, variant]}
    epochs = _measure(runs, plan)
    rows = [row for cards in plan.cards for row in _rows_of_cards(plan, cards, epochs, notes)]
    return _table(plan, "Training in the seed report's rows", rows, ratio="rate", average="mean")


def benchmark_trainer(plan: StepsPlan, data: Data) -> SpeedTable:
    """Run the trainer and a bare loop over the same compiled step, in turns."""
    workload = plan.workload(1)
    epochs = _measure({BARE: lambda: _bare_loop(workload, data, plan.work),
                       FED: lambda: run_training(workload, _source_flags(data), plan.work)}, plan)
    rows = [_row(BARE, epochs[BARE], "steps", workload), _row(FED, epochs[FED], "steps", workload),
            _row(SAVING, epochs[FED], "whole", workload)]
    bare, fed, _ = (statistics.median(row.seconds) for row in rows)
    return _table(plan, f"The trainer against a bare loop, {_label(workload)}", rows, closing=[
        f"{FED}: {100 * (fed / bare - 1):+.1f} % against the {BARE}"])


def _data(plan: StepsPlan) -> Data:
    if plan.images or plan.records:
        return Data(plan.images, plan.records)
    made = plan.work / "data"
    make_folders_and_records(made, max(plan.images_needed, LEAST_CLASSES * IMAGES_PER_CLASS),
                             available_cores())
    return Data(made, made / "records")


def _source_flags(data: Data) -> List[object]:
    return ["--records", data.records] if data.records else ["--images", data.images]


def unavailable_reason(variant: Variant, cards: int, plan: StepsPlan, data: Data) -> str:
    """Return why the variant cannot be run here; empty if it can."""
    device = plan.target
    if variant.sink and not device.supports_sink:
        return f"{device.name} has no sink mode"
    if device.cards is not None and cards > device.cards:
        return f"this machine has {device.cards} {device.name} cards"
    return "" if getattr(data, variant.source) else f"give --{variant.source} too"


def variant_flags(variant: Variant, data: Data) -> List[object]:
    """Return the flags of ``python -m train``."""
    return [f"--{variant.source}", getattr(data, variant.source),
            "--normalize-on", variant.normalize_on, "--sink" if variant.sink else "--no-sink"]


def _bare_loop(workload: Workload, data: Data, work: Path) -> List[Epoch]:
    printed = run_process(sys.executable, "-m", *BARE_LOOP, *train_flags(workload, work / "run"),
                          *_source_flags(data))
    seconds = json.loads(printed.splitlines()[-1])
    return [Epoch(each, each, None) for each in seconds[workload.warmup_epochs:]]


def _measure(runs: Mapping[Any, Callable[[], List[Epoch]]], plan: StepsPlan
             ) -> Dict[Any, List[Epoch]]:
    """Return the measured epochs of each run, repeat after repeat."""
    results = in_turns(runs, plan.repeats, "time training")
    return {name: [epoch for epochs in repeats for epoch in epochs]
            for name, repeats in results.items()}


def _rows_of_cards(plan: StepsPlan, cards: int, epochs: Mapping[Any, List[Epoch]],
                   notes: Mapping[Any, str]) -> List[SpeedRow]:
    workload = plan.workload(cards)
    sections = {"steps": "steps alone", "whole": "with a checkpoint after each epoch of "
                                                 f"{workload.steps_per_epoch} steps"}
    return [_row(variant.name, epochs.get((cards, variant), []), time, workload,
                 f"{_label(workload)}: {title}", notes[cards, variant])
            for time, title in sections.items() for variant in VARIANTS]


def _row(name: str, epochs: List[Epoch], time: str, workload: Workload, section: str = "",
         note: str = "") -> SpeedRow:
    """Return a row of each epoch's ``time``: "steps" or "whole"."""
    waiting = [epoch.waiting for epoch in epochs if epoch.waiting is not None]
    if waiting:
        note = f"{statistics.mean(waiting):.1%} of the steps' time waiting for data"
    return SpeedRow(name, [getattr(epoch, time) for epoch in epochs], note, section,
                    workload.images_per_step)


def _label(workload: Workload) -> str:
    """The image size is part of it, since figures of another size cannot be compared."""
    one, many = ("process", "processes") if workload.device == "CPU" else ("card", "cards")
    cards = (f"1 {one}, batch {workload.batch_size}" if workload.cards == 1 else
             f"{workload.cards} {many}, batch {workload.batch_size} each")
    return f"{cards}, {workload.image_size} px on {workload.device}"


def _table(plan: StepsPlan, title: str, rows: List[SpeedRow], **options: Any) -> SpeedTable:
    settings = {"repeats": plan.repeats, "warm-up epochs left out": plan.warmup_epochs,
                "epochs measured": plan.epochs, "steps per epoch": plan.steps_per_epoch,
                "crop": f"{plan.image_size} px",
                "data": str(plan.records or plan.images or "made, JPEGs of 115 KB")}
    machine = describe_machine(plan.work, plan.target.name)
    return SpeedTable(title, None, "images", rows, machine, settings, per_step=True, **options)
