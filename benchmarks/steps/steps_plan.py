"""What is run for the tables of steps: the rows, the sizes of the runs, and on which images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, NamedTuple, Optional

from benchmarks.steps.request import (DEFAULTS, SIMULATED, STEP_SOURCES, TRAINER, StepsRequest,
                                      Target, check_for_device)
from benchmarks.steps.training_runs import Workload
from benchmarks.synthetic import IMAGES_PER_CLASS
from benchmarks.timing import MINDSPORES_DECODER
from common.cli import RequestError
from convert.records.reader import open_records
from train.source import open_class_folders

LEAST_CLASSES = 2  # the recipe's loss needs them


@dataclass(frozen=True)
class StepsPlan:
    """What will be run on the device at hand.

    Attributes:
        work: a folder that does not exist yet; what is made there is removed.
        images, records: class folders and record set of the same images; None: not given.
        images_to_make: for both, in ``work``; 0: one of them was given.
        workloads: one for each number of cards.
        steps_ms: what the step of the simulated card takes, one section for each; empty on others.
    """

    work: Path
    images: Optional[Path]
    records: Optional[Path]
    images_to_make: int
    target: Target
    workloads: tuple[Workload, ...]
    repeats: int
    steps_ms: tuple[float, ...] = ()


def plan_steps(request: StepsRequest, target: Target) -> StepsPlan:
    """Return what to run on ``target``.

    Raises:
        RequestError: values that do not belong together or to the device, too few images for an
            epoch, or a folder left from an interrupted run.
    """
    check_for_device(request, target)
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
    if target.name == SIMULATED:
        return _plan_simulated(request, target, work, workloads[0], repeats)
    needed = max(run.steps_per_epoch * run.images_per_step for run in workloads)
    if request.images or request.records:
        _check_sources(request, needed)
        return StepsPlan(work, request.images, request.records, 0, target, workloads, repeats)
    return StepsPlan(work, work / "data", work / "data" / "records",
                     max(needed, LEAST_CLASSES * IMAGES_PER_CLASS), target, workloads, repeats)


def _plan_simulated(request: StepsRequest, target: Target, work: Path, run: Workload, repeats: int
                    ) -> StepsPlan:
    """Return the plan with as many images as the steps of a run take, which are one pass over
    them: what was read for no step would be counted as work for those that were taken."""
    images = (run.warmup_epochs + run.epochs) * run.steps_per_epoch * run.batch_size
    return StepsPlan(work, work / "data", work / "data" / "records", images, target, (run,),
                     repeats, request.step_ms or tuple(STEP_SOURCES))


def _check_sources(request: StepsRequest, needed: int) -> None:
    """Compare the numbers of images; the trainer would report it only after the smaller runs."""
    for path, opened in ((request.images, open_class_folders), (request.records, open_records)):
        if path and (found := opened(path).images) < needed:
            raise RequestError(f"{path} has {found} images, an epoch of the largest run needs "
                               f"{needed}: lower --steps-per-epoch")


class Variant(NamedTuple):
    """A row of the original report's table, as flags of the trainer."""

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


# What the original report calls no optimisation, sink mode, and the row it left to do, without and
# with sink mode; then our feed.
VARIANTS = (
    Variant("no optimisation: class folders, transforms on the host", "images", "host", False),
    Variant("sink mode", "images", "host", True),
    Variant("MindRecord", "records", "host", False),
    Variant("MindRecord, sink mode", "records", "host", True),
    Variant("MindRecord, uint8 feed", "records", "device", False),
    Variant("MindRecord, uint8 feed, sink mode", "records", "device", True),
)
