"""What ``python -m benchmarks steps`` is asked for; what is not said follows from the device."""

import argparse
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from benchmarks.steps.devices import Target
from benchmarks.steps.training_runs import Workload
from common.cli import ArgumentParser, RequestError
from inceptionv4.options import add_device_option

TABLE, TRAINER = "table", "trainer"


@dataclass(frozen=True)
class Sizes:
    """How much is run; cards and batch_sizes go in pairs."""

    cards: Tuple[int, ...]
    batch_size: Tuple[int, ...]  # images a step on each card
    image_size: int
    steps_per_epoch: int
    warmup_epochs: int
    epochs: int
    repeats: int


MEANINGS = {
    "cards": "numbers of cards (CPU: processes), a section of the table each",
    "batch_size": "images a step on each card, one for each of --cards",
    "image_size": "pixels of a side of what the network sees",
    "steps_per_epoch": "steps of an epoch, and so from one checkpoint to the next",
    "warmup_epochs": "at the beginning of a run, not looked at",
    "epochs": "of a run behind the warm-up",
    "repeats": "times each row is run, in turns",
}

# On Ascend the seed report's: cards and batches of its note 1, repeats and epochs of its note 2.
# On CPU what two cores do in ten minutes, with the smallest images that the network takes.
DEFAULTS: Dict[Tuple[str, str], Sizes] = {
    (TABLE, "Ascend"): Sizes((1, 8), (32, 128), 299, 100, 3, 10, 3),
    (TABLE, "CPU"): Sizes((1, 2), (8, 4), 75, 10, 1, 2, 2),
    (TRAINER, "Ascend"): Sizes((1,), (32,), 299, 100, 1, 3, 3),
    (TRAINER, "CPU"): Sizes((1,), (16,), 75, 20, 1, 3, 3),
}


@dataclass(frozen=True)
class StepsRequest:
    """What to measure.

    Attributes:
        work: a folder that is not there yet; what is made there is removed.
        images, records: class folders and record set to train on; both None: made in ``work``.
    """

    work: Path
    images: Optional[Path]
    records: Optional[Path]
    target: Target
    sizes: Sizes

    def workload(self, cards: int) -> Workload:
        sizes = self.sizes
        return Workload(cards, sizes.batch_size[sizes.cards.index(cards)], sizes.image_size,
                        sizes.steps_per_epoch, sizes.warmup_epochs, sizes.epochs, self.target.name)

    @property
    def images_needed(self) -> int:
        """For an epoch of the largest run."""
        return self.sizes.steps_per_epoch * max(
            self.workload(cards).images_per_step for cards in self.sizes.cards)


def add_step_options(parser: ArgumentParser) -> None:
    parser.add_argument("--rows", choices=(TABLE, TRAINER), default=TABLE, help="the seed report's "
                        "speed table, or the trainer against a bare loop over its step")
    parser.add_argument("--out", type=Path, required=True, help="result folder; also where the "
                        "images and the runs are made and removed")
    add_device_option(parser)
    parser.add_argument("--images", type=Path, default=argparse.SUPPRESS,
                        help="class folders to train on; without --records too, images are made")
    parser.add_argument("--records", type=Path, default=argparse.SUPPRESS,
                        help="training record set of the same images")
    for item in fields(Sizes):
        several = "+" if item.name in ("cards", "batch_size") else None
        parser.add_argument("--" + item.name.replace("_", "-"), type=int, nargs=several,
                            default=argparse.SUPPRESS, help=_help(item.name))


def _help(name: str) -> str:
    values = {f"{rows} on {device}": getattr(sizes, name)
              for (rows, device), sizes in DEFAULTS.items()}
    shown = ", ".join(f"{where}: {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
                      for where, value in values.items())
    return f"{MEANINGS[name]} ({shown})"


def step_request(arguments: argparse.Namespace, target: Target) -> StepsRequest:
    """The defaults of the device with the given flags put in; RequestError for a wrong one."""
    given = vars(arguments)
    sizes = replace(DEFAULTS[arguments.rows, target.name],
                    **{item.name: _plain(given[item.name]) for item in fields(Sizes)
                       if item.name in given})
    work = arguments.out / "work"
    if work.exists():
        raise RequestError(f"{work} is left from a run that was broken off: remove it")
    _check_sizes(sizes)
    if arguments.rows == TRAINER and sizes.cards != (1,):
        raise RequestError(f"--cards {_words(sizes.cards)}: --rows {TRAINER} is for 1 card")
    request = StepsRequest(work, given.get("images"), given.get("records"), target, sizes)
    _check_source(request)
    return request


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _words(values: Tuple[int, ...]) -> str:
    return " ".join(map(str, values))


def _check_sizes(sizes: Sizes) -> None:
    for item in fields(Sizes):
        value = getattr(sizes, item.name)
        values = value if isinstance(value, tuple) else (value,)
        if min(values) < 1:
            raise RequestError(f"--{item.name.replace('_', '-')} {_words(values)}: give at least 1")
    if len(set(sizes.cards)) != len(sizes.batch_size):
        raise RequestError(f"--cards {_words(sizes.cards)} --batch-size "
                           f"{_words(sizes.batch_size)}: give different numbers of cards and a "
                           "batch size for each")


def _check_source(request: StepsRequest) -> None:
    """The trainer would say it too, after the smaller runs."""
    from convert.records.reader import open_records
    from train.source import open_class_folders
    for path, opened in ((request.images, open_class_folders), (request.records, open_records)):
        there = opened(path).images if path else request.images_needed
        if there < request.images_needed:
            raise RequestError(f"{path} has {there} images, an epoch of the largest run needs "
                               f"{request.images_needed}: lower --steps-per-epoch")
