"""What a training step costs: the seed report's rows, and the trainer against a bare loop."""

import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from benchmarks.machine import describe_machine
from benchmarks.steps.request import StepsRequest
from benchmarks.steps.training_runs import (Epoch, Workload, run_training,
                                            train_flags)
from benchmarks.synthetic import IMAGES_PER_CLASS, make_folders_and_records
from benchmarks.table import SpeedRow, SpeedTable
from benchmarks.timing import run_process
from common import jpeg
from common.cli import progress_bar
from common.host import available_cores

BARE_LOOP = ("benchmarks.steps.bare_loop",)  # the module, and what stands before its arguments
LEAST_CLASSES = 2  # that the loss of the recipe needs

BARE, FED = "bare loop, fixed batch", "trainer with its feed"
SAVING = "trainer, a checkpoint after each epoch"


class Variant(NamedTuple):
    """A row of the seed report's table, in the trainer's own flags."""

    name: str
    source: str  # "images" or "records"
    normalize_on: str
    sink: bool

    @property
    def environment(self) -> Dict[str, str]:
        """The seed's rows decode by MindSpore as it comes, see common.jpeg."""
        return {jpeg.CHOICE: "mindspore"} if self.normalize_on == "host" else {}


# What the seed report calls no optimisation, sink mode, and its row left to do; then our feed.
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


def benchmark_table(request: StepsRequest) -> SpeedTable:
    """Run each way on each number of cards ``repeats`` times, in turns, by the training command.

    The seed report's figures are of runs with the checkpoint callback (its "cb") or without. Each
    run here gives both: its steps alone, and all of its time from epoch to epoch.
    """
    data = _data(request)
    cells = [(cards, way) for cards in request.sizes.cards for way in VARIANTS]
    notes = {(cards, way): unavailable_reason(way, cards, request, data) for cards, way in cells}
    epochs = _in_turns({cell: _training(request, data, *cell) for cell in cells if not notes[cell]},
                       request)
    return _table(request, "Training in the seed report's rows",
                  [row for cards in request.sizes.cards
                   for row in _rows_of_cards(request, cards, epochs, notes)],
                  ratio="rate", average="mean")


def benchmark_trainer(request: StepsRequest) -> SpeedTable:
    """The trainer and a bare loop over the same compiled step, in turns."""
    data, workload = _data(request), request.workload(1)
    epochs = _in_turns({BARE: lambda: _bare_loop(workload, data, request.work),
                        FED: lambda: run_training(workload, _source_flags(data), request.work)},
                       request)
    rows = [_row(BARE, epochs[BARE], "steps", workload), _row(FED, epochs[FED], "steps", workload),
            _row(SAVING, epochs[FED], "whole", workload)]
    bare, fed, _ = (statistics.median(row.seconds) for row in rows)
    return _table(request, f"The trainer against a bare loop, {_label(workload)}", rows, closing=[
        f"{FED}: {100 * (fed / bare - 1):+.1f} % against the {BARE}"])


def _data(request: StepsRequest) -> Data:
    request.work.mkdir(parents=True)
    if request.images or request.records:
        return Data(request.images, request.records)
    made = request.work / "data"
    make_folders_and_records(made, max(request.images_needed, LEAST_CLASSES * IMAGES_PER_CLASS),
                             available_cores())
    return Data(made, made / "records")


def _source_flags(data: Data) -> List[object]:
    return ["--records", data.records] if data.records else ["--images", data.images]


def unavailable_reason(way: Variant, cards: int, request: StepsRequest, data: Data) -> str:
    """Why the way cannot be run here; empty where it can."""
    device = request.target
    if way.sink and not device.supports_sink:
        return f"{device.name} has no sink mode"
    if device.cards is not None and cards > device.cards:
        return f"this machine has {device.cards} {device.name} cards"
    return "" if getattr(data, way.source) else f"give --{way.source} too"


def _training(request: StepsRequest, data: Data, cards: int, way: Variant
              ) -> Callable[[], List[Epoch]]:
    return lambda: run_training(request.workload(cards), way_flags(way, data), request.work,
                                way.environment)


def way_flags(way: Variant, data: Data) -> List[object]:
    """Of ``python -m train``."""
    return [f"--{way.source}", getattr(data, way.source), "--normalize-on", way.normalize_on,
            "--sink" if way.sink else "--no-sink"]


def _bare_loop(workload: Workload, data: Data, work: Path) -> List[Epoch]:
    printed = run_process(sys.executable, "-m", *BARE_LOOP, *train_flags(workload, work / "run"),
                          *_source_flags(data))
    seconds = json.loads(printed.splitlines()[-1])
    return [Epoch(each, each, None) for each in seconds[workload.warmup_epochs:]]


def _in_turns(runs: Dict[Any, Callable[[], List[Epoch]]], request: StepsRequest
              ) -> Dict[Any, List[Epoch]]:
    """The measured epochs of each, repeat after repeat; then the work folder is empty."""
    epochs: Dict[Any, List[Epoch]] = {name: [] for name in runs}
    with progress_bar(len(runs) * request.sizes.repeats, "time training", "runs") as bar:
        for _ in range(request.sizes.repeats):
            for name, run in runs.items():
                epochs[name] += run()
                bar.update(1)
    shutil.rmtree(request.work)
    request.work.mkdir()
    return epochs


def _rows_of_cards(request: StepsRequest, cards: int,
                   epochs: Dict[Tuple[int, Variant], List[Epoch]],
                   notes: Dict[Tuple[int, Variant], str]) -> List[SpeedRow]:
    workload = request.workload(cards)
    sections = {"steps": "steps alone", "whole": "with a checkpoint after each epoch of "
                                                 f"{workload.steps_per_epoch} steps"}
    return [_row(way.name, epochs.get((cards, way), []), time, workload,
                 f"{_label(workload)}: {title}", notes[cards, way])
            for time, title in sections.items() for way in VARIANTS]


def _row(name: str, epochs: List[Epoch], time: str, workload: Workload, section: str = "",
         note: str = "") -> SpeedRow:
    """Args: time: which of an epoch's times."""
    return SpeedRow(name, [getattr(epoch, time) for epoch in epochs], note or _waiting(epochs),
                    section,
                    workload.images_per_step)


def _waiting(epochs: List[Epoch]) -> str:
    known = [epoch.waiting for epoch in epochs if epoch.waiting is not None]
    return f"{statistics.mean(known):.1%} of the steps' time waiting for data" if known else ""


def _label(workload: Workload) -> str:
    """The image size stands in it: figures of another size are others."""
    unit = "card" if workload.device != "CPU" else "process"
    many = "" if workload.cards == 1 else "s" if unit == "card" else "es"
    return (f"{workload.cards} {unit}{many}, batch {workload.batch_size}"
            f"{' each' if many else ''}, {workload.image_size} px on {workload.device}")


def _table(request: StepsRequest, title: str, rows: List[SpeedRow], **options: Any) -> SpeedTable:
    sizes = request.sizes
    settings = {"repeats": sizes.repeats, "warm-up epochs left out": sizes.warmup_epochs,
                "epochs measured": sizes.epochs, "steps an epoch": sizes.steps_per_epoch,
                "crop": f"{sizes.image_size} px",
                "data": str(request.records or request.images or "made, JPEGs of 115 KB")}
    machine = describe_machine(request.work, request.target.name)
    return SpeedTable(title, None, "images", rows, machine, settings, per_step=True, **options)
