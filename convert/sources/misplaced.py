"""Sources that are one folder too deep or too high, where images would get a class or a split that
is not theirs."""

import os
from pathlib import Path
from typing import Iterator, Sequence

from common.cli import RequestError
from common.text import counted, first_of
from convert.sources.listing import Scan
from convert.sources.names import is_hidden, is_training_image, official_stem, validation_id

OTHER_SPLIT = {"train": "val", "val": "train"}
_WORDS = {"train": "training", "val": "validation"}
_KAGGLE_DEPTH = ("ILSVRC", "Data", "CLS-LOC")
_NAMES_SHOWN = 3


def check_place(source: Path, split: str, scan: Scan) -> None:
    """Check class folders that lie directly in the source, as those of one split.

    Both splits of such a source are the same images: `make convert` would make a validation set of
    the training images.

    Raises:
        RequestError: by the name of the source, or of each image, they are those of the other
            split.
    """
    place, other = source.resolve(), OTHER_SPLIT[split]
    names = {place.name, source.absolute().name}  # which may be a link's
    if other in names and split not in names:
        reason = f"is a folder of {_WORDS[other]} images by its name"
    elif split not in names and scan.images and all(
            _named_like(other, image.name) for image in scan.images):
        reason = f"contains only images that are named like ILSVRC's {_WORDS[other]} images"
    else:
        return
    raise RequestError(f"source {source} {reason}, not of a {split} set; give the folder that "
                       f"train/ and val/ are in, probably --source {folder_above(place)} (make: "
                       "IMAGENET)")


def check_two_splits(source: Path, split: str, root: Path, other_root: Path) -> None:
    """Raise RequestError where the images of both splits would be those of one folder."""
    if not other_root.is_dir() or not root.samefile(other_root):
        return
    above = folder_above(source.resolve())
    if root != source:
        reason, remedy = f"{root} and {other_root} are one folder", "give each split its own"
    else:
        reason = f"{source} contains neither {OTHER_SPLIT[split]}/ nor {split}/"
        likely = any((above / name).is_dir() for name in (*OTHER_SPLIT, "ILSVRC"))
        probably = f", probably {above}" if likely else ""
        remedy = (f"give the folder that train/ and val/ are in{probably} (make: IMAGENET); or, if "
                  f"{source} is one split, convert that alone: python -m convert run --source "
                  f"{source} --split train (or val) --out FOLDER")
    raise RequestError(f"{reason}: the validation set would be made of the training images; "
                       f"{remedy}")


def check_no_image_twice(scan: Scan, root: Path, other_root: Path) -> None:
    """Check that no validation image is a training image by ImageNet's own names; names such as
    ``1.jpg`` may recur.

    Args:
        root, other_root: folders of the validation and of the training images, each in class
            folders or flat.

    Raises:
        RequestError: some are.
    """
    own = {stem: image.name for image in scan.images
           if (stem := official_stem(image.name.rsplit("/", 1)[-1]))}
    twice = sorted({own[stem] for name in _names_below(other_root, root) if own
                    if (stem := official_stem(name)) in own})
    if twice:
        raise RequestError(f"{root} and {other_root} have {counted(len(twice), 'image')} in common "
                           f"by ImageNet's own names ({first_of(twice, _NAMES_SHOWN)}): the "
                           "validation set would have training images; remove them from one of "
                           "the two folders")


def _names_below(folder: Path, other: Path) -> Iterator[str]:
    """Yield the names of the files in the folder and in its class folders, without ``other``."""
    with os.scandir(folder) as items:
        for item in items:
            if is_hidden(item.name):
                continue
            if not item.is_dir():
                yield item.name
            elif not other.samefile(item.path):
                yield from os.listdir(item.path)


def folder_above(place: Path) -> Path:
    """Return the source in which the place is the folder of one split."""
    above = place.parent
    if above.parts[-len(_KAGGLE_DEPTH):] == _KAGGLE_DEPTH:
        return above.parents[len(_KAGGLE_DEPTH) - 1]
    return above


def _named_like(split: str, name: str) -> bool:
    if split == "train":
        return is_training_image(name)
    return validation_id(name.rsplit("/", 1)[-1]) is not None


def check_several_classes(class_names: Sequence[str], root: Path, split: str, scan: Scan) -> None:
    """Raise RequestError for a single class: nothing can be learned from it, and it is rather a
    folder that the images lie in."""
    if len(class_names) > 1:
        return
    only, = class_names
    folder = root / only
    if not any("/" in image.name for image in scan.images):
        remedy = "give the labels of a set with several classes"
    elif split == "val" and any(_named_like("val", image.name) for image in scan.images):
        remedy = (f"if {folder} is a flat folder of validation images move them to {root}, or give "
                  f"--source {folder} with --ground-truth FILE")
    else:
        remedy = ("put the images into one folder per class, or give the folder that the class "
                  "folders are in with --source")
    raise RequestError(f"the {split} set in {root} has a single class, '{only}', with "
                       f"{counted(len(scan.images), 'image')}, but a set needs two; {remedy}")
