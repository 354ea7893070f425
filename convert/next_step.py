"""What to type when a record set is made or verified: the other split, the check, the training."""

import os
import sys
from pathlib import Path
from typing import Optional, Sequence

from common.cli import RequestError, make_command, module_command, without_flags
from common.options import flag_named
from convert.records.manifest import (MANIFEST_NAME, Manifest, difference_of_classes,
                                      read_manifest)
from convert.request import ENGINE_OPTIONS, VAL_OPTIONS, Request
from convert.sources.ilsvrc import CLASSES
from convert.sources.layouts import contains_split, has_layout
from convert.sources.misplaced import OTHER_SPLIT, folder_above
from convert.training_proposal import (KEPT_VARIABLES, training_command, training_for,
                                       training_target)


def commands_after(folder: Path, manifest: Manifest, request: Optional[Request] = None
                   ) -> list[str]:
    """Return the commands that come next for a record set of the one split.

    Args:
        request: what the set was made by just now; None: the set was verified.
    """
    other = OTHER_SPLIT[manifest.split]
    sets = {manifest.split: folder, other: _other_set(folder, manifest.split)}
    commands = [module_command("convert", "verify", folder)] if request else []
    if _is_record_set(sets[other]):
        found = _read_or_none(sets[other])
        if found is None or found.split != other:
            return [*commands, module_command("convert", "verify", sets[other])]
        if found.class_names != manifest.class_names:
            return commands  # as ``other_classes_next_to`` says
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
        return make_command("doctor", *KEPT_VARIABLES, "CARDS")
    return training_target(training_for(train), ranks=1)


def other_classes_next_to(folder: Path, manifest: Manifest) -> str:
    """Return how the classes of the other split's set differ from those of this one; empty where
    they are the same, or where there is no such set."""
    place = _other_set(folder, manifest.split)
    found = _read_or_none(place) if _is_record_set(place) else None
    if found is None or found.split == manifest.split:
        return ""
    (train, of_train), (val, of_val) = sorted([(folder, manifest), (place, found)],
                                              key=lambda each: each[1].split)
    return difference_of_classes(train, of_train.class_names, val, of_val.class_names)


def _other_set(folder: Path, split: str) -> Path:
    """Return where the other split's record set is or is to be made: next to this one, under the
    name of its split or, if this one has a name of its own, rather under that and its split."""
    folder, other = _with_a_name(folder), OTHER_SPLIT[split]
    stem = folder.name.removesuffix(f"-{split}") or folder.name
    named = folder.with_name(f"{stem}-{other}")
    if folder.name == split:
        places = [folder.with_name(other), named]
    else:  # ``stem``: this one may have been made as the other of that
        places = [named, folder.with_name(stem), folder.with_name(other)]
    return next((place for place in places if place != folder and _is_record_set(place)), places[0])


def _with_a_name(folder: Path) -> Path:
    """Return the folder, ``.`` and ``..`` with their names, from the root on."""
    return folder if folder.name not in ("", "..") else Path(os.path.abspath(folder))


def _is_record_set(folder: Path) -> bool:
    return os.path.exists(folder / MANIFEST_NAME)  # False, too, where the folder is closed to us


def _read_or_none(folder: Path) -> Optional[Manifest]:
    """Return the manifest of the other split's set, None if it cannot be read."""
    try:
        return read_manifest(folder)
    except (RequestError, OSError):
        return None


def _source_of(request: Request, split: str) -> Optional[Path]:
    """Return where images of the other split are: the source or, if that is the folder of one
    split, the one above it; None if neither has any."""
    places, source = [request.source], _with_a_name(request.source)
    if source.name == request.split:
        places.append(folder_above(source))
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
