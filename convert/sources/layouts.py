"""Recognising how a source is laid out, by looking."""

from pathlib import Path
from typing import List, Optional, Sequence

from common.cli import RequestError
from convert.sources.archives import scan_train_archive, scan_val_archive
from convert.sources.folders import Scan, scan_class_folders, scan_flat_folder
from convert.sources.labels import (KAGGLE_SOLUTION, GroundTruth,
                                    find_ground_truth, read_devkit_archive,
                                    read_ground_truth, read_kaggle)
from convert.sources.listing import Listing, entries_by_class, entries_by_truth
from convert.sources.naming import IMAGE_EXTENSIONS, validation_id

SPLITS = ("train", "val")
LAYOUTS = ("folders", "flat", "archives", "kaggle")

KAGGLE_IMAGES = Path("ILSVRC", "Data", "CLS-LOC")

_NEEDS = """known layouts of SOURCE: \
folders: SOURCE/SPLIT/CLASS/IMAGE or SOURCE/CLASS/IMAGE; \
flat (val): SOURCE/val/ILSVRC2012_val_NNNNNNNN.JPEG with the devkit's *validation_ground_truth.txt \
and map_clsloc.txt or meta.mat in SOURCE/*/data; \
archives: SOURCE/ILSVRC2012_img_SPLIT.tar, for val also ILSVRC2012_devkit_t12.tar.gz; \
kaggle: SOURCE/ILSVRC/Data/CLS-LOC/SPLIT, for val also LOC_val_solution.csv and \
LOC_synset_mapping.txt"""


def list_source(source: Path, split: str, ground_truth: Optional[Path] = None,
                extensions: Sequence[str] = IMAGE_EXTENSIONS, layout: Optional[str] = None
                ) -> Listing:
    """List the images of ``split`` in ``source``.

    Args:
        ground_truth: the devkit's labels, where they are not found beside the images.
        layout: one of LAYOUTS; by default recognised by looking.

    Raises:
        RequestError: the source is missing, empty, fits no layout or several, or contradicts
            itself.
    """
    if not source.is_dir():
        raise RequestError(f"source {source} is not a folder; set --source (make: IMAGENET) to "
                           "where the images are")
    layout = layout or _recognise(source, split)
    root = _root(source, split, layout)
    images = _scan(root, split, layout, extensions)
    if not images.found:
        raise _fits_nothing(source, split)
    if images.class_names:
        if ground_truth is not None:
            raise RequestError(f"--ground-truth {ground_truth} is for validation images without "
                               f"class folders, but {root} has class folders; leave it out")
        class_names = images.class_names
        entries = entries_by_class(images.found, class_names, split)
    else:
        truth = _truth(source, layout, ground_truth)
        class_names, entries = truth.class_names, entries_by_truth(images.found, truth)
    return Listing(split, layout, root, class_names, entries, sorted(images.ignored))


def _recognise(source: Path, split: str) -> str:
    fitting = [layout for layout in LAYOUTS if _fits(source, split, layout)]
    if not fitting:
        raise _fits_nothing(source, split)
    if len(fitting) > 1:
        raise RequestError(f"{source} holds a {split} set in several layouts "
                           f"({', '.join(fitting)}); choose with --layout")
    return fitting[0]


def _fits(source: Path, split: str, layout: str) -> bool:
    root = _root(source, split, layout)
    if layout == "archives":
        return _archive(root, split).is_file()
    if layout == "kaggle":
        return root.is_dir()
    if (source / KAGGLE_IMAGES).is_dir() or not root.is_dir():
        return False
    flat = split == "val" and _has_numbered_images(root)
    return flat if layout == "flat" else not flat and _has_class_folders(source, root)


def _root(source: Path, split: str, layout: str) -> Path:
    if layout == "archives":
        return source
    if layout == "kaggle":
        return source / KAGGLE_IMAGES / split
    return source / split if (source / split).is_dir() else source


def _archive(root: Path, split: str) -> Path:
    return root / f"ILSVRC2012_img_{split}.tar"


def _has_numbered_images(root: Path) -> bool:
    return any(validation_id(item.name) is not None for item in root.iterdir())


def _has_class_folders(source: Path, root: Path) -> bool:
    """Folders named like splits or devkits are not classes: then SOURCE/SPLIT is missing."""
    not_classes = {*SPLITS, "devkit"} if root == source else set()
    folders = {item.name for item in root.iterdir() if item.is_dir() and item.name[0] != "."}
    return bool(folders) and not folders & not_classes


def _scan(root: Path, split: str, layout: str, extensions: Sequence[str]) -> Scan:
    if layout == "archives":
        archive = _archive(root, split)
        return (scan_val_archive(archive) if split == "val"
                else scan_train_archive(archive, extensions))
    if layout == "flat" or (layout == "kaggle" and split == "val"):
        return scan_flat_folder(root)
    return scan_class_folders(root, extensions)


def _truth(source: Path, layout: str, given: Optional[Path]) -> GroundTruth:
    if given is not None:
        return read_ground_truth(given)
    if layout == "kaggle":
        return read_kaggle(source)
    devkits: List[Path] = sorted(source.glob("ILSVRC*devkit*.tar.gz"))
    if layout == "archives" and devkits:
        return read_devkit_archive(devkits[0])
    found = find_ground_truth(source) or find_ground_truth(source.parent)
    if found is None:
        raise RequestError(f"{source} holds validation images whose labels are in the devkit's "
                           f"*_validation_ground_truth.txt (or Kaggle's {KAGGLE_SOLUTION}): none "
                           f"found in {source}/*/data; give it with --ground-truth FILE")
    return read_ground_truth(found)


def _fits_nothing(source: Path, split: str) -> RequestError:
    names = sorted(item.name for item in source.iterdir())
    held = f"{len(names)} things ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
    return RequestError(f"{source} holds {held if names else 'nothing'}, which fits no layout of a "
                        f"{split} set; {_NEEDS}")
