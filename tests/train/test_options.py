"""The command line: request and recipe, every value of the recipe a flag."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from common.cli import RequestError
from train.options import TrainRequest, parse, train_parser
from train.recipe import PRESETS, Phase, Recipe

NEEDED = ("--records", "r", "--run", "x")


def recipe_of(*flags: str) -> Recipe:
    return parse([*NEEDED, *flags])[1]


def test_a_request_has_these_defaults():
    assert parse(NEEDED) == (
        TrainRequest(Path("x"), records=Path("r"), images=None, val_records=None, resume=False,
                     device="auto", sink=None, sink_size=100, keep=3, dry_run=None),
        PRESETS["smoke"])


def test_flags_fill_the_request():
    words = ("--images", "i", "--run", "x", "--val-records", "v", "--resume", "--device", "CPU",
             "--no-sink", "--sink-size", "7", "--keep", "2", "--dry-run", "4")
    assert parse(words)[0] == TrainRequest(
        Path("x"), None, Path("i"), Path("v"), True, "CPU", False, 7, 2, 4)
    assert parse([*NEEDED, "--dry-run"])[0].dry_run == 0  # as many ranks as the preset


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_comes_unchanged(name):
    assert recipe_of("--preset", name) == PRESETS[name] and PRESETS[name].preset == name


def test_help_names_every_value_and_what_it_is_in_each_preset():
    text = " ".join(train_parser().format_help().split())
    assert all(f"--{item.name.replace('_', '-')}" in text for item in fields(Recipe)
               if item.name != "ranks")
    assert "images per step on each rank (adsl-8p: 128, adsl-1p: 32, smoke: 16)" in text
    assert "(default: float32)" in text and "(default: the preset's)" in text
    assert "--resume" in text and "(default: 100)" in text


def test_flags_override_the_preset():
    given = recipe_of("--preset", "adsl-1p", "--batch-size", "4", "--no-scale-lr", "--optimizer",
                      "adam", "--momentum", "0.9", "--weight-decay", "4e-5", "--seed", "7")
    assert given == replace(PRESETS["adsl-1p"], batch_size=4, scale_lr=False, optimizer="adam",
                            momentum=0.9, weight_decay=4e-5, seed=7)


def test_phases_and_epochs():
    given = recipe_of("--phases", "40:5:0.2:0.94:2", "35:2:0.05:0.95:1", "--epochs", "42")
    assert given.phases == (Phase(40, 5, 0.2, 0.94, 2), Phase(2, 2, 0.05, 0.95, 1))
    assert recipe_of("--epochs", "9").phases[-1] == replace(PRESETS["smoke"].phases[-1], epochs=4)


@pytest.mark.parametrize("flags", [
    ("--preset", "adsl-9p"), ("--epochs", "0"), ("--image-size", "74"), ("--phases", "40:5:0.2"),
    ("--phases", "40:5:x:1:1"), ("--phases", "1.5:0:1:1:1"), ("--phases", "1:0:nan:1:1"),
    ("--phases", "1:0:inf:1:1"), ("--phases", "1:0:1e+39:1:1"), ("--phases", "0:0:1:1:1"),
    ("--weight-decay", "inf"), ("--decay", "nan"), ("--decay", "1"), ("--momentum", "0"),
    ("--optimizer", "sgd"), ("--batch-size", "many"), ("--ranks", "2"), ("--keep", "0"),
    ("--sink-size", "0"), ("--device", "GPU")])
def test_a_wrong_flag_is_named(flags):
    named = f"{flags[0]}.*{re.escape(flags[1])}|unrecognized arguments: {flags[0]}"
    with pytest.raises(RequestError, match=named):
        recipe_of(*flags)


def test_adams_values_are_checked_for_adam_alone():
    """RMSProp allows a momentum of 0 and a decay of 1; Adam divides by one minus its betas."""
    assert recipe_of("--preset", "adsl-1p", "--decay", "1").decay == 1
    for flags in (("--momentum", "1"), ("--decay", "0")):
        with pytest.raises(RequestError, match=f"{flags[0]} {flags[1]}.0: with --optimizer adam"):
            recipe_of(*flags)
    with pytest.raises(RequestError, match="--momentum 0.0: with --optimizer adam"):
        recipe_of("--preset", "adsl-8p", "--optimizer", "adam")
