"""Which training is proposed for a record set: the preset, what it needs for few images, and the
command."""

import math
import shlex
from pathlib import Path
from typing import NamedTuple, Optional

from common.cli import make_command, module_command
from convert.records.manifest import Manifest
from convert.sources.ilsvrc import CLASSES

# Of preset smoke (train/recipe.py): images per step, and the rates that it begins and ends with.
SMOKE_BATCH, FIRST_RATE, LAST_RATE = 32, "0.001", "0.0002"
# Below 480 images, the number of the demo, smoke's five epochs are too few steps to learn from.
# Many steps of few images are no help: at 75 pixels batch norm sees one value per image at the end
# of the network, so steps are as large as the set allows.
FEWEST_FOR_SMOKE = 480
SMALL_SET_STEPS_PER_EPOCH = 3
FEWEST_PER_STEP = 2  # on each rank: batch norm has no variance of a single value
FIRST_STEPS = 75  # at the first rate; smoke takes as many in all for the demo
LAST_STEPS = 24  # at rates that fall from the last one
DEFAULT_CARDS = 8  # of make
KEPT_VARIABLES = ("RECORDS", "RUN", "DEVICE")  # of make, where they were typed


class Training(NamedTuple):
    """How to train on a record set.

    Attributes:
        preset: empty: ADSL's recipe for the number of ranks.
        flags: after the preset.
    """

    preset: str
    flags: list[str]


def training_for(manifest: Manifest, ranks: int = 1, precision: str = "float32") -> Training:
    """Return ADSL's recipe for a training set of as many classes as ImageNet, the small one for any
    other, with enough steps for its number of images."""
    flags = ["--precision", precision] if precision != "float32" else []
    if len(manifest.classes) == CLASSES:
        return Training("", flags)
    return Training("smoke", small_set_flags(manifest.images, ranks) + flags)


def small_set_flags(images: int, ranks: int = 1) -> list[str]:
    """Return what preset smoke needs to learn from few training images: more epochs, and steps that
    an epoch has some of; nothing where there are enough images."""
    if images >= FEWEST_FOR_SMOKE * ranks:
        return []
    batch = max(FEWEST_PER_STEP, min(SMOKE_BATCH, images // (SMALL_SET_STEPS_PER_EPOCH * ranks)))
    steps = max(1, images // (batch * ranks))
    first, last = (math.ceil(number / steps) for number in (FIRST_STEPS, LAST_STEPS))
    return ["--batch-size", str(batch), "--phases", f"{first}:0:{FIRST_RATE}:1:1",
            f"{last}:0:{LAST_RATE}:0.7:1"]


def training_command(training: Training, train: Path, val: Optional[Path],
                     run: Optional[Path] = None, ranks: int = 1) -> str:
    """Return the command of a training on the two record sets.

    Args:
        val: None: there is none.
        run: None: a folder named after the preset.
    """
    preset = training.preset or ("adsl-1p" if ranks == 1 else "adsl-8p")
    run = run or Path("runs", preset)
    validation = [] if val is None else ["--val-records", val]
    return launched_training(ranks, run, "--records", train, *validation, "--run", run,
                             "--preset", preset, *training.flags)


def training_target(training: Training, ranks: int) -> str:
    """Return make's target for the same, with the variables that were typed. A small training gets
    a run folder of its own."""
    run = Path("runs", training.preset) if training.preset else ""
    return make_command("train-1p" if ranks == 1 else "train-8p", *KEPT_VARIABLES,
                        CARDS="" if ranks in (1, DEFAULT_CARDS) else ranks,
                        PRESET=training.preset, RUN=run, ARGS=shlex.join(training.flags))


def launched_training(ranks: int, run: Path, *words: object) -> str:
    """Return the command that trains into ``run`` with these flags, by the launcher if there is
    more than one rank."""
    if ranks == 1:
        return module_command("train", *words)
    return module_command("inceptionv4.launch", "--ranks", ranks, "--log-dir", f"{run}-log",
                          "train", *words)
