"""Which training is proposed for a record set."""

import shlex
from types import SimpleNamespace

import pytest

from common.cli import UNDER_MAKE
from convert.training_proposal import (small_set_flags, training_command, training_for,
                                       training_target)


def manifest_of(classes, images):
    return SimpleNamespace(classes=[None] * classes, images=images)


@pytest.mark.parametrize("classes, ranks, preset", [
    (1000, 1, "adsl-1p"), (1000, 8, "adsl-8p"), (999, 1, "smoke"), (10, 2, "smoke")])
def test_the_preset_follows_from_classes_and_cards(classes, ranks, preset):
    training = training_for(manifest_of(classes, 960), ranks)
    words = shlex.split(training_command(training, "a b/train", "val", ranks=ranks))[2:]
    launched = ["inceptionv4.launch", "--ranks", str(ranks), "--log-dir", f"runs/{preset}-log"]
    assert words == [*(launched if ranks > 1 else []), "train", "--records", "a b/train",
                     "--val-records", "val", "--run", f"runs/{preset}", "--preset", preset]
    alone = shlex.split(training_command(training, "a b/train", None, ranks=ranks))[2:]
    assert alone == [word for word in words if word not in ("--val-records", "val")]


@pytest.mark.parametrize("images, ranks, flags", [
    (480, 1, ""), (959, 2, "32 6 2"), (960, 2, ""), (479, 1, "32 6 2"), (60, 1, "20 25 8"),
    (15, 1, "5 25 8"), (7, 1, "2 25 8"), (2, 1, "2 75 24"), (100, 8, "4 25 8"),
    (20, 8, "2 75 24"), (3, 8, "2 75 24")])
def test_a_small_set_gets_more_epochs_of_some_steps_each(images, ranks, flags):
    """75 at the first rate, 24 at falling ones; smoke's own where there are enough images."""
    batch, first, last = flags.split() if flags else [""] * 3
    assert small_set_flags(images, ranks) == ([
        "--batch-size", batch, "--phases", f"{first}:0:0.001:1:1", f"{last}:0:0.0002:0.7:1"
        ] if flags else [])


@pytest.mark.parametrize("classes, images, ranks, precision, typed, command", [
    (1000, 5, 8, "float32", "make verify", "make train-8p"),
    (1000, 5, 8, "float16", "make doctor CARDS=8 DEVICE=Ascend",
     "make train-8p ARGS='--precision float16' DEVICE=Ascend"),
    (1000, 5, 2, "float32", "make doctor ARGS='--ranks 2'", "make train-8p CARDS=2"),
    (1000, 5, 1, "float32", "make doctor CARDS=1", "make train-1p"),
    (3, 9999, 8, "float32", "make doctor RECORDS='a b' IMAGENET=c",
     "make train-8p PRESET=smoke RUN=runs/smoke RECORDS='a b'"),
    (3, 9999, 8, "float32", "make doctor RUN='it'\\''s'",
     "make train-8p PRESET=smoke RUN='it'\\''s'")])
def test_make_trains_with_what_was_typed(monkeypatch, classes, images, ranks, precision, typed,
                                         command):
    monkeypatch.setenv(UNDER_MAKE, typed)
    training = training_for(manifest_of(classes, images), ranks, precision)
    assert shlex.split(training_target(training, ranks)) == shlex.split(command)
