"""The images of one split of a source, with their classes and labels, whatever its layout."""

from pathlib import Path
from typing import Optional, Sequence

from common.cli import RequestError
from convert.sources.label_lists import read_class_names
from convert.sources.layouts import SourceLayout, choose_layout, fits_nothing
from convert.sources.listing import (Entry, GroundTruth, Listing, Scan, ScanOptions,
                                     check_by_truth, entries_by_class, entries_by_truth)
from convert.sources.misplaced import (OTHER_SPLIT, check_no_image_twice, check_place,
                                       check_several_classes, check_two_splits)
from convert.sources.names import IMAGE_EXTENSIONS, in_label_order
from convert.sources.val_labels import found_truth, given_truth
from convert.sources.webdataset import (has_labels, info_class_names, name_classes,
                                        training_class_names)


def list_source(source: Path, split: str, ground_truth: Optional[Path] = None,
                extensions: tuple[str, ...] = IMAGE_EXTENSIONS, layout: Optional[str] = None,
                class_names: Optional[Path] = None, both_splits: bool = False,
                keep: Optional[Path] = None, workers: int = 1) -> Listing:
    """List the images of ``split`` in ``source``.

    Args:
        ground_truth: the devkit's labels or a label list; class folders are compared with it.
        layout: a name in ``LAYOUT_NAMES``; by default recognised from the files.
        class_names: a file with the class names that the labels of a list mean, in their order;
            the classes of folders are compared with it.
        both_splits: the other split is converted from the same source.
        keep, workers: see ``ScanOptions``.

    Raises:
        RequestError: the source is missing, empty, contradictory, or fits no layout or several.
    """
    chosen = choose_layout(source, split, layout)
    root = chosen.root(source, split)
    other_root = _other_root(source, split, layout, chosen) if both_splits else None
    scan = chosen.scan(root, split, ScanOptions(extensions, keep, workers))
    if root == source and split in chosen.unnamed:
        check_place(source, split, scan)
    if other_root and split == "val":
        check_no_image_twice(scan, root, other_root)
    if not scan.images:
        raise fits_nothing(source, split)
    labels = chosen.classes_may_be_labels and has_labels(scan)
    named_by, names = _class_names(class_names, root if labels else None, split)
    if labels:
        scan = name_classes(scan, names, named_by, root)
    truth = given_truth(root, split, ground_truth, names)
    if any("/" in image.name for image in scan.images):  # in class folders, or class tars
        classes, entries = _entries_in_folders(scan, root, split, truth)
    else:
        truth = truth or found_truth(chosen.labels(source), source, root, scan, names)
        check_several_classes(truth.class_names, root, split, scan)
        classes, entries = truth.class_names, entries_by_truth(scan.images, truth)
    _check_names(named_by, names, classes, truth.origin if truth else root)
    return Listing(split, chosen.name, root, classes, entries, sorted(scan.ignored))


def _entries_in_folders(scan: Scan, root: Path, split: str, truth: Optional[GroundTruth]
                        ) -> tuple[list[str], list[Entry]]:
    """Return the class folders in label order, and their images; labels that are given must say
    the same."""
    folders = in_label_order({image.name.split("/")[0] for image in scan.images
                              if "/" in image.name})
    check_several_classes(folders, root, split, scan)
    entries = entries_by_class(scan.images, folders, split)
    if truth is not None:
        check_by_truth(entries, folders, truth)
    return folders, entries


def _class_names(given: Optional[Path], labelled: Optional[Path], split: str
                 ) -> tuple[str, Optional[list[str]]]:
    """Return what names the classes, and the names: a file that was given, else what is in the
    folder ``labelled``, whose images have labels: its info, or the training tars for validation."""
    if given is None and labelled is not None:
        if info := info_class_names(labelled):
            return f"{info[0]}", info[1]
        if split == "val" and (names := training_class_names(labelled)):
            return f"the set of training tars in {labelled}", names
    return f"--class-names {given}", read_class_names(given) if given else None


def _check_names(named_by: str, names: Optional[Sequence[str]], classes: Sequence[str],
                 origin: object) -> None:
    if names and in_label_order(names) != list(classes):
        raise RequestError(f"{named_by} names other classes ({len(names)}) than {origin} "
                           f"has ({len(classes)}); leave it out or give the right names")


def _other_root(source: Path, split: str, layout: Optional[str], chosen: SourceLayout
                ) -> Optional[Path]:
    """Return the folder of the other split's images, None unless both lie in folders; raise
    RequestError where it is the same."""
    other_split = OTHER_SPLIT[split]
    try:
        other = choose_layout(source, other_split, layout)
    except RequestError:  # it is for the conversion of the other split to say why
        return None
    root, other_root = chosen.root(source, split), other.root(source, other_split)
    if other == chosen and chosen.in_folders:
        check_two_splits(source, split, root, other_root)
    return other_root if chosen.in_folders and other.in_folders and other_root != root else None
