"""What to type when a record set is made or verified: the other split, the check, the training."""

import os
import sys
from pathlib import Path
from typing import Optional, Sequence

from common.cli import RequestError, make_command, module_command, without_flags
from common.options import flag_named
from convert.records.manifest import MANIFEST_NAME, Manifest, read_manifest
from convert.request import ENGINE_OPTIONS, VAL_OPTIONS, Request
from convert.sources.ilsvrc import CLASSES
from convert.sources.layouts import contains_split, has_layout
from convert.sources.misplaced import OTHER_SPLIT, folder_above
from convert.training_proposal import (KEPT_VARIABLES, training_command, training_for,
                                       training_target)


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
    if os.path.exists(sets[other] / MANIFEST_NAME):  # False, too, where the folder is closed to us
        found = _read_or_none(sets[other])
        if found is None or found.split != other:
            return [*commands, module_command("convert", "verify", sets[other])]
        training = training_for(manifest if other == "val" else found)
        return [*commands, training_command(training, sets["train"], sets["val"])]
    if request and (source := _source_of(request, other)):
        commands.append(_conversion(request, source, other, sets[other]))
    elif request and other == "val":
        commands.append(training_command(training_for(manifest), folder, None))
    return commands


def target_after_verify(train: Manifest) -> str:
    """Return what to type after ``make verify`` has verified both sets: the doctor before a
    training that takes days, else the training."""
    if len(train.classes) == CLASSES:
        return make_command("doctor", *KEPT_VARIABLES)
    return training_target(training_for(train), ranks=1)


def _read_or_none(folder: Path) -> Optional[Manifest]:
    """Return the manifest of the other split's set, None if it cannot be read."""
    try:
        return read_manifest(folder)
    except (RequestError, OSError):
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
