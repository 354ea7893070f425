"""The command line of ``python -m train``: every value of the recipe is a flag."""

import argparse
import os
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

from common.cli import ArgumentParser, RequestError
from inceptionv4.options import add_device_option
from train.recipe import PRESETS, Phase, Recipe, check_recipe, with_epochs

NOT_FLAGS = ("preset", "phases", "ranks")  # have flags of their own, or are the launcher's to say


def train_parser() -> ArgumentParser:
    """The whole command line."""
    parser = ArgumentParser(prog="python -m train", description="Train Inception-v4 on records.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--records", type=Path, help="folder of the training record set")
    source.add_argument("--images", type=Path,
                        help="folder of class folders with images instead, slow on slow storage")
    parser.add_argument("--val-records", type=Path, help="folder of the validation record set, "
                        "scored with one crop after each epoch (default: no scores)")
    parser.add_argument("--run", type=Path, required=True, help="folder for the run, a new one "
                                                                "unless with --resume")
    parser.add_argument("--resume", action="store_true",
                        help="go on from the newest complete checkpoint of --run")
    add_device_option(parser)
    parser.add_argument("--sink", action=argparse.BooleanOptionalAction, default=None,
                        help="let the device take its batches itself (default: where it can)")
    parser.add_argument("--sink-size", type=int, default=100, metavar="STEPS",
                        help="in sink mode, steps between two looks at the loss")
    parser.add_argument("--keep", type=int, default=3,
                        help="last checkpoints that stay on the disk, beside the best")
    parser.add_argument("--dry-run", type=int, nargs="?", const=0, metavar="RANKS",
                        help="check all, print the plan for so many ranks, train nothing "
                             "(default: the preset's ranks)")
    add_recipe_options(parser)
    return parser


def checked_recipe(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the arguments give; RequestError for a value outside its range."""
    for flag, value, least in (("--keep", arguments.keep, 1),
                               ("--sink-size", arguments.sink_size, 1)):
        if value < least:
            raise RequestError(f"{flag} {value}: give at least {least}")
    if arguments.dry_run is not None and arguments.dry_run < 0:
        raise RequestError(f"--dry-run {arguments.dry_run}: give at least 1 rank")
    recipe = recipe_from_arguments(arguments)
    if recipe.workers > (os.cpu_count() or 1):
        raise RequestError(f"--workers {recipe.workers}: MindSpore takes at most one a core of "
                           f"this host, {os.cpu_count()}")
    if arguments.images and recipe.shuffle == "shard":
        raise RequestError("--shuffle shard is for --records; class folders have no shards: "
                           "leave it out")
    return recipe


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset``, ``--phases``, ``--epochs`` and a flag for every other value."""
    parser.add_argument("--preset", choices=sorted(PRESETS), default="smoke",
                        help="recipe whose values hold where no flag says otherwise")
    group = parser.add_argument_group("recipe", "each flag overrides a value of the preset")
    group.add_argument("--epochs", type=int, default=argparse.SUPPRESS, metavar="N",
                       help="end the schedule there, or prolong its last phase to there")
    group.add_argument("--phases", type=_phase, nargs="+", default=argparse.SUPPRESS,
                       metavar="EPOCHS:WARMUP:PEAK:DECAY:EVERY",
                       help="learning rates, phase by phase: epochs, epochs of these in which the "
                            "rate rises, its peak, then the factor it falls by every so many "
                            "epochs; e.g. 40:5:0.2:0.94:2 (default: the preset's)")
    for item in fields(Recipe):
        if item.name not in NOT_FLAGS:
            _add_flag(group, item)


def _add_flag(group: Any, item: Field) -> None:
    flag, meaning = "--" + item.name.replace("_", "-"), _meaning(item)
    if item.type is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, help=meaning,
                           default=argparse.SUPPRESS)
    else:
        group.add_argument(flag, type=item.type, choices=item.metadata.get("choices"),
                           help=meaning, default=argparse.SUPPRESS)


def _meaning(item: Field) -> str:
    values = {name: getattr(recipe, item.name) for name, recipe in PRESETS.items()}
    if len(set(values.values())) == 1:
        return f"{item.metadata['help']} (default: {item.default})"
    return item.metadata["help"] + " (" + ", ".join(
        f"{name}: {value}" for name, value in values.items()) + ")"


def _phase(text: str) -> Phase:
    epochs, warmup_epochs, peak, decay, every = text.split(":")
    return Phase(int(epochs), int(warmup_epochs), float(peak), float(decay), int(every))


def recipe_from_arguments(arguments: argparse.Namespace) -> Recipe:
    """The preset with the given flags put in; RequestError for a value outside its range."""
    given = vars(arguments)
    names = {item.name for item in fields(Recipe)} & given.keys() - {"preset"}
    recipe = replace(PRESETS[arguments.preset], **{name: given[name] for name in names})
    check_recipe(recipe)
    if "epochs" not in given:
        return recipe
    if arguments.epochs < 1:
        raise RequestError(f"--epochs {arguments.epochs}: give at least 1")
    return with_epochs(recipe, arguments.epochs)
