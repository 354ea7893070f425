"""The command line of ``python -m train``: what to train on, where, how and with which recipe."""

import argparse
import os
import sys
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

from common.cli import ArgumentParser, RequestError, add_version
from common.files import read_json
from common.options import CheckedOptions, add_options, device_option, from_arguments, option
from convert.records.manifest import MANIFEST_NAME
from train.phases import Phase, parse_phase
from train.recipe import PRESETS, Recipe, parse_loss_scale, with_epochs, with_precision

# What a config.json holds next to the recipe.
ABOUT_A_RUN = ("data", "data_sha256", "val_records", "val_records_sha256", "init", "init_sha256",
               "mean", "std", "device", "arithmetic", "argv", "made")


@dataclass(frozen=True)
class TrainRequest(CheckedOptions):
    """What to train on, where and how; of its own values, only data and ``init`` change
    the weights."""

    run: Path = option(help="folder for the run, a new one unless with --resume")
    records: Optional[Path] = option(None, "folder of the training record set")
    images: Optional[Path] = option(
        None, "folder of class folders with images instead, slow on slow storage")
    val_records: Optional[Path] = option(
        None, "folder of the validation record set, scored with one crop after each epoch "
              "(default: no scores)")
    init: Optional[Path] = option(
        None, "checkpoint whose weights and input statistics a new run starts from; its classifier "
              "is left out where the number of classes is another", metavar="CKPT")
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
    config: Optional[Path] = option(
        None, "config.json of a run: its recipe, in place of --preset, and its records and "
              "--init hold where no flag says otherwise")
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
    add_options(parser.add_mutually_exclusive_group(), TrainRequest, only=data)
    add_options(parser, TrainRequest, leave_out=(*data, "epochs"))
    recipe = parser.add_argument_group("recipe", "each flag overrides a value of the preset")
    add_options(recipe, TrainRequest, only=["epochs"])
    add_options(recipe, Recipe, leave_out=["ranks"], suppress_defaults=True,
                describe=_help_with_presets)
    return parser


def read_config_of_run(path: Path) -> dict[str, Any]:
    """Return what a run's ``config.json`` holds.

    Raises:
        RequestError: it cannot be read, or another version wrote it.
    """
    values = read_json(path, "give the config.json of a run")
    known = {item.name for item in fields(Recipe)} | set(ABOUT_A_RUN)
    for name in sorted(known ^ values.keys()):
        what = "has no" if name in known else "has the unknown key"
        raise RequestError(f"{path} {what} '{name}': another version wrote it; give its recipe by "
                           "--preset and flags")
    return values


def recipe_values(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a recipe that the config holds, each of its own kind."""
    values = {}
    for name, default in vars(PRESETS["adsl-8p"]).items():
        value = config[name]
        try:
            if name == "phases":
                value = _phases_in(value)
            elif name == "preset":
                value = PRESETS[value].preset
            elif name == "loss_scale":
                value = parse_loss_scale(str(value))
            elif type(value) is not type(default):
                raise TypeError
        except (TypeError, KeyError, RequestError):
            raise _not_as_written(path, name, value) from None
        values[name] = value
    return values


def _phases_in(values: Sequence[Mapping[str, Any]]) -> tuple[Phase, ...]:
    if not values:
        raise TypeError("a run has a phase")
    return tuple(parse_phase(":".join(map(str, vars(Phase(**phase)).values())))
                 for phase in values)


def _not_as_written(path: Optional[Path], name: str, value: Any) -> RequestError:
    return RequestError(f"{path}: '{name}' cannot be {value!r}; give the config.json of a run as "
                        "it was written")


def with_data_of(request: TrainRequest, config: Mapping[str, Any]) -> TrainRequest:
    """Return the request with the records or images of the config, and what that run started from,
    where it has none."""
    if request.preset is not None:
        raise RequestError(f"--preset {request.preset}: --config {request.config} holds a recipe; "
                           "give one of both")
    for name in ("data", "val_records", "init"):
        if not isinstance(config[name], str) and (name == "data" or config[name] is not None):
            raise _not_as_written(request.config, name, config[name])
    data, validation = config["data"], config["val_records"]
    if request.records is None and request.images is None:
        is_records = Path(data, MANIFEST_NAME).exists()
        request = (replace(request, records=Path(data)) if is_records else
                   replace(request, images=Path(data)))
    if request.val_records is None and validation is not None:
        request = replace(request, val_records=Path(validation))
    if request.init is None and config["init"] is not None:
        request = replace(request, init=Path(config["init"]))
    return request


def _with_preset(request: TrainRequest) -> tuple[TrainRequest, Recipe]:
    """Return the request with its data, and the recipe whose values hold without a flag."""
    if request.config is not None:
        config = read_config_of_run(request.config)
        return (with_data_of(request, config),
                Recipe(**recipe_values(request.config, config)))
    if request.records is None and request.images is None:
        raise RequestError("--records is missing: give the record set to train on, or --images")
    if request.preset is None:
        raise RequestError(f"--preset is missing: give one of {', '.join(PRESETS)}, whose values "
                           "--help shows, or --config")
    return request, PRESETS[request.preset]


def _help_with_presets(item: Field) -> str:
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
    words = sys.argv[1:] if words is None else words
    parser = train_parser()
    add_version(parser)
    if words and not words[0].startswith("-"):
        parser.error(f"'{words[0]}' is no flag, and there are no sub-commands; begin with --preset")
    return requested(parser.parse_args(words))


def requested(arguments: argparse.Namespace) -> tuple[TrainRequest, Recipe]:
    """Return request and recipe from what ``train_parser()`` parsed."""
    request = from_arguments(TrainRequest, arguments)
    request, preset = _with_preset(request)
    if "precision" in vars(arguments):
        preset = with_precision(preset, arguments.precision)
    recipe = from_arguments(Recipe, arguments, **{
        name: value for name, value in vars(preset).items()
        if name == "preset" or name not in vars(arguments)})
    if request.epochs is not None:
        recipe = with_epochs(recipe, request.epochs)
    if recipe.workers > (os.cpu_count() or 1):
        raise RequestError(f"--workers {recipe.workers}: MindSpore takes at most one per core of "
                           f"this host, {os.cpu_count()}")
    if request.images and recipe.shuffle == "shard":
        raise RequestError("--shuffle shard is for --records; class folders have no shards: "
                           "leave it out")
    return request, recipe
