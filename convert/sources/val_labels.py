"""The labels of validation images that are not in class folders: those in the file that was given,
or in one that the source contains."""

from pathlib import Path
from typing import Optional, Sequence

from common.cli import RequestError
from common.text import counted
from convert.sources.flat_tars import classes_in_names
from convert.sources.folders import class_folders
from convert.sources.label_lists import KAGGLE_SOLUTION, find_label_list
from convert.sources.labels import read_ground_truth
from convert.sources.listing import GroundTruth, Scan, truth_in_names


def given_truth(root: Path, split: str, ground_truth: Optional[Path],
                class_names: Optional[list[str]]) -> Optional[GroundTruth]:
    """Return the labels in the file that was given, or None if there is none."""
    if ground_truth is None:
        return None
    if split == "train":
        raise RequestError(f"--ground-truth {ground_truth} is for validation images, but training "
                           "images have their classes from class folders; leave it out")
    return read_ground_truth(ground_truth, class_names or _train_classes(root))


def found_truth(of_layout: Optional[GroundTruth], source: Path, root: Path, scan: Scan,
                class_names: Optional[list[str]]) -> GroundTruth:
    """Return the labels that the source contains: those that its layout has, else those of a label
    list, else those in the images' names.

    Raises:
        RequestError: there are none, or they are of other classes than ``class_names`` or train/
            next to them.
    """
    if of_layout is not None:
        if root != source:  # or a folder train/ next to the source may be of another set
            _check_train_classes(_train_classes(root) or (), of_layout)
        return of_layout
    found = find_label_list(source)
    classes = class_names or _train_classes(root)
    truth = read_ground_truth(found, classes) if found else truth_in_names(scan.images, root,
                                                                           classes)
    if truth is None:
        raise RequestError(f"{source} contains validation images without labels: neither the "
                           f"devkit's *_validation_ground_truth.txt in {source}/*/data nor "
                           f"Kaggle's {KAGGLE_SOLUTION}, val.txt or val_list.txt was found; give "
                           "one with --ground-truth FILE")
    return truth


def _check_train_classes(classes: Sequence[str], truth: GroundTruth) -> None:
    """Raise RequestError for a class of train/ that the labels do not have: where the class map was
    damaged, or is another set's, the same class has other labels in the two splits."""
    unknown = sorted(set(classes) - set(truth.class_names))
    if unknown:
        raise RequestError(f"{truth.origin} has not all classes of train/: {unknown[0]} is one of "
                           f"{counted(len(unknown), 'class')} that its class map does not have, so "
                           "that labels would differ; correct the map, or give the --ground-truth "
                           "of this set")


def _train_classes(root: Path) -> Optional[list[str]]:
    """Return the classes of train/ next to validation images, which its folders name, or the names
    of its images where it has none."""
    for train in (root.with_name("train"), root / "train"):
        if train.is_dir():
            return class_folders(train) or classes_in_names(train) or None
    return None
