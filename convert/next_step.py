"""What to type when a record set is made or verified: the other split, the check, the training."""

import math
import shlex
import sys
from pathlib import Path
from typing import NamedTuple, Optional, Sequence

from common.cli import RequestError, make_command, module_command, without_flags
from common.options import flag_named
from convert.records.manifest import MANIFEST_NAME, Manifest, read_manifest
from convert.request import ENGINE_OPTIONS, VAL_OPTIONS, Request
from convert.sources.ilsvrc import CLASSES
from convert.sources.layouts import contains_split, has_layout
from convert.sources.misplaced import OTHER_SPLIT, folder_above

# Preset smoke makes five epochs of 32 images per step: of fewer images than these, the demo's, too
# few steps for a network to learn. Many steps of few images are no help: at 75 pixels batch norm
# sees one value per image at the end of the network, so steps are as large as the set allows.
FEWEST_FOR_SMOKE = 480
LARGEST_BATCH, STEPS_PER_EPOCH = 32, 3
STEPS, LAST_STEPS = 75, 24  # at smoke's first rate, and falling from its second one
KEPT_VARIABLES = ("RECORDS", "RUN", "CARDS", "DEVICE")  # of make, where they were typed


def commands_after(folder: Path, manifest: Manifest, request: Optional[Request] = None
                   ) -> list[str]:
    """Return the commands that come next for a record set of the one split.

    The set of the other split is looked for next to it, under the name of its split.

    Args:
        request: what the set was made by just now; None: the set was verified.
    """
    other = OTHER_SPLIT[manifest.split]
    sets = {manifest.split: folder, other: folder.parent / other}
    commands = [module_command("convert", "verify", folder)] if request else []
    if (sets[other] / MANIFEST_NAME).exists():
        trained_on = manifest if other == "val" else _readable(sets["train"])
        return [*commands, training_command(training_for(trained_on), sets["train"], sets["val"])
                if trained_on else module_command("convert", "verify", sets["train"])]
    if request and (source := _source_of(request, other)):
        commands.append(_conversion(request, source, other, sets[other]))
    elif request and other == "val":
        commands.append(training_command(training_for(manifest), folder, None))
    return commands


def target_after_verify(folder: Path) -> str:
    """Return what to type after ``make verify`` has verified both sets in the folder: the doctor
    before a training that takes days, else the training."""
    manifest = read_manifest(folder / "train")
    if len(manifest.classes) == CLASSES:
        return make_command("doctor", *KEPT_VARIABLES)
    return training_target(training_for(manifest), ranks=1)


def _readable(folder: Path) -> Optional[Manifest]:
    """Return the manifest of a record set that was not asked about; None where it is damaged."""
    try:
        return read_manifest(folder)
    except RequestError:
        return None


def _source_of(request: Request, split: str) -> Optional[Path]:
    """Return where images of the other split are: the source or, if that is the folder of one
    split, the one above it; None if neither has any."""
    places = [request.source]
    if request.source.name == request.split:
        places.append(folder_above(request.source))
    return next((place for place in places
                 if contains_split(place, split, _layout_in(place, split, request))), None)


def _layout_in(source: Path, split: str, request: Request) -> Optional[str]:
    """Return the layout that was asked for, unless the other split lies in another one, such as a
    flat val/ next to the class folders of train/."""
    layout = request.layout
    return layout if layout and has_layout(source, split, layout) else None


def finish_command() -> str:
    """Return the command that follows ``run --shard-range``: the same without what it takes not."""
    return module_command("convert", "finish", *_typed_without(["shard_range", *ENGINE_OPTIONS]))


def _conversion(request: Request, source: Path, split: str, out: Path) -> str:
    """Return the conversion of the other split, with the options that were typed for this one."""
    dropped = ["split", "out", *(VAL_OPTIONS if split == "train" else ())]
    if not _layout_in(source, split, request):
        dropped.append("layout")
    given: list[object] = []
    if source != request.source:
        dropped.append("source")
        given = ["--source", source]
    return module_command("convert", "run", *given, *_typed_without(dropped), "--split", split,
                          "--out", out)


def _typed_without(options: Sequence[str]) -> list[str]:
    """Return the words that were typed after the sub-command, without these options."""
    return without_flags(sys.argv[2:], list(map(flag_named, options)))


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
    other, with enough steps for what there are of images."""
    flags = ["--precision", precision] if precision != "float32" else []
    if len(manifest.classes) == CLASSES:
        return Training("", flags)
    return Training("smoke", small_set_flags(manifest.images, ranks) + flags)


def small_set_flags(images: int, ranks: int = 1) -> list[str]:
    """Return what preset smoke needs to learn from few training images: more epochs, and steps that
    an epoch has some of; nothing where there are enough images."""
    if images >= FEWEST_FOR_SMOKE * ranks:
        return []
    batch = max(1, min(LARGEST_BATCH, images // (STEPS_PER_EPOCH * ranks)))
    steps = max(1, images // (batch * ranks))
    return ["--batch-size", str(batch), "--phases", f"{math.ceil(STEPS / steps)}:0:0.001:1:1",
            f"{math.ceil(LAST_STEPS / steps)}:0:0.0002:0.7:1"]


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
                        PRESET=training.preset, RUN=run, ARGS=shlex.join(training.flags))


def launched_training(ranks: int, run: Path, *words: object) -> str:
    """Return the command that trains into ``run`` with these flags, by the launcher if there is
    more than one rank."""
    if ranks == 1:
        return module_command("train", *words)
    return module_command("inceptionv4.launch", "--ranks", ranks, "--log-dir", f"{run}-log",
                          "train", *words)
