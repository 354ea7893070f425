"""The command line of ``python -m train``: what to train on, where, how and with which recipe."""

import argparse
import os
from dataclasses import Field, dataclass
from pathlib import Path
from typing import Optional, Sequence

from common.cli import ArgumentParser, RequestError
from common.options import CheckedOptions, add_options, device_option, from_arguments, option
from train.recipe import DYNAMIC, PRESETS, Recipe, with_epochs


@dataclass(frozen=True)
class TrainRequest(CheckedOptions):
    """What to train on, where and how; of its own values, only the data changes the weights."""

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
        None, "check everything, print the plan for RANKS ranks, train nothing (without RANKS: the "
              "preset's)", low=0, bare=0, metavar="RANKS")
    preset: Optional[str] = option(None, "recipe whose values hold where no flag says otherwise",
                                   choices=sorted(PRESETS))
    epochs: Optional[int] = option(
        None, "total number of epochs: ends the schedule early or extends its last phase", low=1,
        metavar="N")
    validate_every: int = option(
        1, "score the validation images only after every so many epochs, and after the last one",
        low=1, metavar="EPOCHS")
    jit_level: Optional[str] = option(
        None, "MindSpore's level of compilation; O0: kernel by kernel, O1: fused, O2: the whole "
        "graph (default: the device's own; on CPU all are the same)", choices=("O0", "O1", "O2"))
    deterministic: bool = option(
        False, "let equal runs end alike on Ascend, too, at the cost of speed")
    profile: Optional[int] = option(
        None, "let MindSpore's profiler measure so many steps of the first epoch, into the folder "
        "'profile' of the run; the epoch's own times mean little then", low=1, metavar="STEPS")
    compile_cache: Optional[Path] = option(
        None, "folder that keeps the compiled step, for runs of the same recipe, such as the "
        "resumed one; several may share it")


def train_parser() -> ArgumentParser:
    """Return the parser of the whole command line of ``python -m train``."""
    parser = ArgumentParser(prog="python -m train", description="Train Inception-v4 on records.")
    data = ("records", "images")
    add_options(parser.add_mutually_exclusive_group(required=True), TrainRequest, only=data)
    add_options(parser, TrainRequest, leave_out=(*data, "epochs"))
    recipe = parser.add_argument_group("recipe", "each flag overrides a value of the preset")
    add_options(recipe, TrainRequest, only=["epochs"])
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
    if request.preset is None:
        raise RequestError(f"--preset is missing: give one of {', '.join(PRESETS)}; --help shows "
                           "their values")
    preset = vars(PRESETS[request.preset])
    if vars(arguments).get("precision") == "float16":
        preset = {**preset, "loss_scale": DYNAMIC}
    recipe = from_arguments(Recipe, arguments, **{name: value for name, value in preset.items()
                                                  if name not in vars(arguments)})
    if request.epochs is not None:
        recipe = with_epochs(recipe, request.epochs)
    if recipe.workers > (os.cpu_count() or 1):
        raise RequestError(f"--workers {recipe.workers}: MindSpore takes at most one per core of "
                           f"this host, {os.cpu_count()}")
    if request.images and recipe.shuffle == "shard":
        raise RequestError("--shuffle shard is for --records; class folders have no shards: "
                           "leave it out")
    return request, recipe
