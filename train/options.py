"""The recipe on the command line: every value is a flag that overrides the preset's."""

import argparse
from dataclasses import Field, fields, replace
from typing import Any

from common import RequestError
from train.recipe import PRESETS, Phase, Recipe, check_recipe, with_epochs

NOT_FLAGS = ("preset", "phases", "ranks")  # have flags of their own, or are the launcher's to say


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset``, ``--phases``, ``--epochs`` and a flag for every other value."""
    parser.add_argument("--preset", choices=sorted(PRESETS), default="smoke",
                        help="recipe whose values hold where no flag says otherwise")
    group = parser.add_argument_group("recipe", "each flag overrides a value of the preset")
    group.add_argument("--epochs", type=int, default=argparse.SUPPRESS, metavar="N",
                       help="end the schedule there, or prolong its last phase to there")
    group.add_argument("--phases", type=_phase, nargs="+", default=argparse.SUPPRESS,
                       metavar="EPOCHS:WARMUP:PEAK:DECAY:EVERY",
                       help="epochs, epochs of warm-up, peak rate, factor, epochs per factor")
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
