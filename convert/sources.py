"""Recognising how a source is laid out, by looking."""

from pathlib import Path
from typing import Optional, Sequence

from common import RequestError
from convert.folders import (PICTURE_EXTENSIONS, list_class_folders, list_flat_validation,
                             validation_id)
from convert.ground_truth import find_ground_truth, read_ground_truth
from convert.listing import Listing

SPLITS = ("train", "val")

LAYOUTS = """\
  class folders:          SOURCE/<split>/<class>/<picture> or SOURCE/<class>/<picture>
  flat validation folder: SOURCE/val/ILSVRC2012_val_NNNNNNNN.JPEG, with the devkit's
                          *_validation_ground_truth.txt and map_clsloc.txt in SOURCE/*/data/
                          or named by --ground-truth"""


def list_source(source: Path, split: str, ground_truth: Optional[Path] = None,
                extensions: Sequence[str] = PICTURE_EXTENSIONS) -> Listing:
    """List the pictures of ``split`` in ``source``.

    Raises:
        RequestError: the source is missing, empty, fits no layout, or contradicts itself.
    """
    if not source.is_dir():
        raise RequestError(f"source {source} is not a folder; set --source (make: IMAGENET) to "
                           "where the pictures are")
    root = source / split if (source / split).is_dir() else source
    if split == "val" and _has_numbered_pictures(root):
        return _list_flat(source, root, ground_truth)
    if any(item.is_dir() for item in root.iterdir()):
        if ground_truth is not None:
            raise RequestError(f"--ground-truth {ground_truth} is for a flat validation folder, "
                               f"but {root} has class folders; leave it out")
        return list_class_folders(root, split, extensions)
    raise RequestError(f"{root} holds {_what_is_in(root)}, which fits no layout of a {split} set; "
                       f"known layouts: {LAYOUTS}")


def _list_flat(source: Path, root: Path, ground_truth: Optional[Path]) -> Listing:
    truth = ground_truth or find_ground_truth(source) or find_ground_truth(source.parent)
    if truth is None:
        raise RequestError(f"{root} is a flat validation folder, whose labels are in the devkit's "
                           f"*_validation_ground_truth.txt: none found in {source}/*/data; give it "
                           "with --ground-truth FILE")
    labels, class_names = read_ground_truth(truth)
    return list_flat_validation(root, labels, class_names, truth)


def _has_numbered_pictures(root: Path) -> bool:
    return any(validation_id(item.name) is not None for item in root.iterdir())


def _what_is_in(root: Path) -> str:
    names = sorted(item.name for item in root.iterdir())
    if not names:
        return "nothing"
    return f"{len(names)} files ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
