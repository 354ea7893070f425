"""The command line of ``python -m train``: the request, and a flag for each value of a recipe."""

import argparse
import os
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Optional, Sequence

from common.cli import ArgumentParser, RequestError
from common.options import add_options, check_values, device_option, from_arguments, option
from train.recipe import PRESETS, Recipe, with_epochs


@dataclass(frozen=True)
class TrainRequest:
    """What to train on, where and how; none of it but the data changes the weights."""

    run: Path = option(help="folder for the run, a new one unless with --resume")
    records: Optional[Path] = option(None, "folder of the training record set")
    images: Optional[Path] = option(
        None, "folder of class folders with images instead, slow on slow storage")
    val_records: Optional[Path] = option(
        None, "folder of the validation record set, scored with one crop after each epoch "
              "(default: no scores)")
    resume: bool = option(False, "resume from the newest complete checkpoint of --run")
    device: str = device_option()
    sink: Optional[bool] = option(
        None, "let the device take its batches itself (default: where it can)", negatable=True)
    sink_size: int = option(100, "in sink mode, steps between two checks of the loss", low=1,
                            metavar="STEPS")
    keep: int = option(3, "number of last checkpoints that stay on the disk, next to the best",
                       low=1)
    dry_run: Optional[int] = option(
        None, "check everything, print the plan for RANKS ranks, train nothing (default: the "
              "preset's ranks)", low=0)

    def __post_init__(self) -> None:
        check_values(self)


def train_parser() -> ArgumentParser:
    """Return the parser of the whole command line."""
    parser = ArgumentParser(prog="python -m train", description="Train Inception-v4 on records.")
    data = ("records", "images")
    add_options(parser.add_mutually_exclusive_group(required=True), TrainRequest, only=data)
    add_options(parser, TrainRequest, leave_out=(*data, "dry_run"))
    dry_run = next(item for item in fields(TrainRequest) if item.name == "dry_run")
    parser.add_argument("--dry-run", type=int, nargs="?", const=0, metavar="RANKS",
                        help=dry_run.metadata["help"])
    parser.add_argument("--preset", choices=sorted(PRESETS), default="smoke",
                        help="recipe whose values hold where no flag says otherwise")
    recipe = parser.add_argument_group("recipe", "each flag overrides a value of the preset")
    recipe.add_argument("--epochs", type=int, metavar="N",
                        help="total number of epochs: ends the schedule early or extends its "
                             "last phase")
    add_options(recipe, Recipe, leave_out=["ranks"], suppress_defaults=True,
                describe=_with_presets)
    return parser


def _with_presets(item: Field) -> str:
    """Return the help of a recipe's value with what it is in each preset."""
    if item.name == "phases":
        return item.metadata["help"]
    values = {name: getattr(recipe, item.name) for name, recipe in PRESETS.items()}
    shown = (f"default: {item.default}" if len(set(values.values())) == 1 else
             ", ".join(f"{name}: {value}" for name, value in values.items()))
    return f"{item.metadata['help']} ({shown})"


def parse(words: Optional[Sequence[str]] = None) -> tuple[TrainRequest, Recipe]:
    """Return what the words of the command line ask for; by default, those of this process.

    Raises:
        RequestError: an unknown flag, or a value outside its range.
    """
    return requested(train_parser().parse_args(words))


def requested(arguments: argparse.Namespace) -> tuple[TrainRequest, Recipe]:
    """Return request and recipe from what ``train_parser()`` parsed."""
    request = from_arguments(TrainRequest, arguments)
    changes = {item.name: getattr(arguments, item.name) for item in fields(Recipe)
               if item.name in vars(arguments)}
    if "phases" in changes:
        changes["phases"] = tuple(changes["phases"])
    recipe = replace(PRESETS[arguments.preset], **changes)
    if arguments.epochs is not None:
        if arguments.epochs < 1:
            raise RequestError(f"--epochs {arguments.epochs}: give at least 1")
        recipe = with_epochs(recipe, arguments.epochs)
    if recipe.workers > (os.cpu_count() or 1):
        raise RequestError(f"--workers {recipe.workers}: MindSpore takes at most one per core of "
                           f"this host, {os.cpu_count()}")
    if request.images and recipe.shuffle == "shard":
        raise RequestError("--shuffle shard is for --records; class folders have no shards: "
                           "leave it out")
    return request, recipe
