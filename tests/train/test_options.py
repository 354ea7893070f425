"""The command line: every value of a recipe is a flag."""

from dataclasses import fields, replace

import pytest

from common.cli import ArgumentParser, RequestError
from train.options import NOT_FLAGS, add_recipe_options, recipe_from_arguments
from train.recipe import PRESETS, Phase, Recipe


def parse(*flags: str) -> Recipe:
    parser = ArgumentParser()
    add_recipe_options(parser)
    return recipe_from_arguments(parser.parse_args(flags))


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_comes_unchanged(name):
    assert parse("--preset", name) == PRESETS[name]


def test_help_names_every_value():
    parser = ArgumentParser()
    add_recipe_options(parser)
    text = parser.format_help()
    assert all(f"--{item.name.replace('_', '-')}" in text for item in fields(Recipe)
               if item.name not in NOT_FLAGS)


def test_flags_override_the_preset():
    given = parse("--preset", "adsl-1p", "--batch-size", "4", "--no-scale-lr",
                  "--optimizer", "adam", "--weight-decay", "4e-5", "--seed", "7")
    assert given == replace(PRESETS["adsl-1p"], batch_size=4, scale_lr=False, optimizer="adam",
                            weight_decay=4e-5, seed=7)


def test_phases_and_epochs():
    given = parse("--phases", "40:5:0.2:0.94:2", "35:2:0.05:0.95:1", "--epochs", "42")
    assert given.phases == (Phase(40, 5, 0.2, 0.94, 2), Phase(2, 2, 0.05, 0.95, 1))


@pytest.mark.parametrize("flags", [
    ("--preset", "adsl-9p"), ("--epochs", "0"), ("--image-size", "74"), ("--phases", "40:5:0.2"),
    ("--optimizer", "sgd"), ("--batch-size", "many"), ("--ranks", "2"), ("--phases", "0:0:1:1:1")])
def test_a_wrong_flag_is_named(flags):
    with pytest.raises(RequestError, match=flags[0]):
        parse(*flags)
