"""How a source lies on disk: a description of each layout, and recognising the layout of a source.

A new layout is one more ``SourceLayout`` in ``LAYOUTS``: what it looks like, where its files are,
how it is recognised, how its images are scanned, and where validation labels come from.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from common.cli import RequestError
from convert.sources.archives import find_archive, scan_train_archive, scan_val_archive
from convert.sources.flat_tars import (fits_flat_tars, refuse_packed, scan_flat_tars,
                                       scan_names_with_wnids)
from convert.sources.folders import class_folders, scan_class_folders, scan_flat_folder
from convert.sources.ilsvrc import may_be_wnids
from convert.sources.label_lists import read_kaggle
from convert.sources.labels import find_ground_truth, read_devkit_archive, read_ground_truth
from convert.sources.listing import Entry, GroundTruth, Scan, ScanOptions, read_entry
from convert.sources.misplaced import OTHER_SPLIT
from convert.sources.names import imagenet_name, validation_id
from convert.sources.parquet import parquet_files, read_parquet, scan_parquet
from convert.sources.webdataset import scan_webdataset, webdataset_tars

SPLITS = ("train", "val")

KAGGLE_IMAGES = Path("ILSVRC", "Data", "CLS-LOC")


@dataclass(frozen=True)
class SourceLayout:
    """One arrangement of ImageNet on disk.

    Attributes:
        files: the files that it consists of, for the error that lists all layouts.
        root: source, split -> the folder that the images' names are relative to.
        fits: source, root, split -> whether the source looks like this layout.
        overrides: names of layouts that are not meant where this one fits, though they fit as well.
        scan: root, split, options -> the images of the split.
        labels: source -> the labels of validation images that are not in class folders; None if
            the source does not contain them.
        self_evident: whether it fits where its files are, and nowhere else.
        in_folders: whether its images lie in folders, which both splits may have in common.
        unnamed: the splits that nothing tells where their images lie in the source itself.
        classes_may_be_labels: whether the names of classes may come from ``--class-names``.
        read: root, an image -> its bytes.
    """

    name: str
    files: str
    root: Callable[[Path, str], Path]
    fits: Callable[[Path, Path, str], bool]
    scan: Callable[[Path, str, ScanOptions], Scan]
    labels: Callable[[Path], Optional[GroundTruth]]
    overrides: tuple[str, ...] = ()
    self_evident: bool = True
    in_folders: bool = False
    unnamed: tuple[str, ...] = ()
    classes_may_be_labels: bool = False
    read: Callable[[Path, Entry], bytes] = read_entry

    def is_in(self, source: Path, split: str) -> bool:
        """Return whether the split of the source looks like this layout."""
        return self.fits(source, self.root(source, split), split)


def choose_layout(source: Path, split: str, name: Optional[str] = None) -> SourceLayout:
    """Return the layout of that name, by default the one that the split of the source looks like.

    Raises:
        RequestError: the source is missing, fits no layout or several, or not the one named.
    """
    if not source.is_dir():
        raise RequestError(f"source {source} is not a folder; set --source (make: IMAGENET) to "
                           "the folder of the images")
    if name is not None:
        chosen = _layout(name)
        if chosen.self_evident and not chosen.is_in(source, split):
            raise RequestError(f"--layout {name}: the {split} set is not in {source} as this "
                               f"layout has it: {chosen.files}; correct --source or leave --layout "
                               "out")
        return chosen
    fitting = _fitting(source, split)
    if not fitting:
        refuse_packed(source)
        raise fits_nothing(source, split)
    if len(fitting) > 1:
        raise RequestError(f"{source} contains a {split} set in several layouts "
                           f"({', '.join(known.name for known in fitting)}); choose one with "
                           "--layout")
    return fitting[0]


def _fitting(source: Path, split: str) -> list[SourceLayout]:
    """Return the layouts that the split of the source looks like, but for overridden ones."""
    fitting = [known for known in LAYOUTS if known.is_in(source, split)]
    overridden = {other for known in fitting for other in known.overrides}
    return [known for known in fitting if known.name not in overridden]


def _layout(name: str) -> SourceLayout:
    return next(known for known in LAYOUTS if known.name == name)


def reader_of(layout: str) -> Callable[[Path, Entry], bytes]:
    """Return what reads an image under the root; a worker knows the layout by its name."""
    return _layout(layout).read


def has_layout(source: Path, split: str, name: str) -> bool:
    """Return whether the split of the source looks like the layout of that name."""
    return _layout(name).is_in(source, split)


def contains_split(source: Path, split: str, name: Optional[str] = None) -> bool:
    """Return whether the source has images of the split, and says so: images that could be those
    of either split are not counted.

    Args:
        name: the layout, see ``choose_layout``.
    """
    try:
        chosen = choose_layout(source, split, name)
    except RequestError:
        return False
    return split not in chosen.unnamed or chosen.root(source, split) != source


def fits_nothing(source: Path, split: str) -> RequestError:
    """Return the error for a source in which nothing looks like the split."""
    if _has_own_classes(source, OTHER_SPLIT[split]):
        return _lacks_split(source, split)
    names = sorted(item.name for item in source.iterdir())
    content = (f"contains {', '.join(names[:3])}{' and more' if len(names) > 3 else ''}"
               if names else "is empty")
    return RequestError(f"{source} {content}, which fits no layout of a {split} set; known "
                        "layouts: " + "; ".join(f"{known.name}: {known.files}"
                                                for known in LAYOUTS))


def _has_own_classes(source: Path, split: str) -> bool:
    """Return whether the split is in class folders that are not ImageNet's."""
    root = source / split
    return (root.is_dir() and [known.name for known in _fitting(source, split)] == ["folders"]
            and not may_be_wnids(class_folders(root)))


def _lacks_split(source: Path, split: str) -> RequestError:
    """Return the error for images of one's own without one of the splits: how ImageNet may lie is
    of no use there."""
    other = OTHER_SPLIT[split]
    lacks = (f"has class folders in {other}/ but none in {split}/" if (source / split).is_dir()
             else f"has {other}/ but no {split}/")
    remedy = "some images of each class" if split == "val" else "the training images"
    where = " (docs/own-data.md has the commands)" if split == "val" else ""
    return RequestError(f"{source} {lacks}: put {remedy} into {source / split / 'CLASS'}/{where}")


def _split_folder(source: Path, split: str) -> Path:
    return source / split if (source / split).is_dir() else source


def _parquet_folder(source: Path, split: str) -> Path:
    return source if parquet_files(source, split) else source / "data"


def _fits_folders(source: Path, root: Path, split: str) -> bool:
    """Return whether there are folders that can be classes."""
    folders = set(class_folders(root))
    if root != source:
        return bool(folders)
    # The folder of a split, of the devkit or of another layout's images: SOURCE/SPLIT is missing.
    roots = (known.root(source, split).relative_to(source).parts for known in LAYOUTS)
    not_classes = {*SPLITS, "devkit", *(parts[0] for parts in roots if parts)}
    return bool(folders) and not folders & not_classes


def _has_validation_names(root: Path) -> bool:
    return any(validation_id(item.name) is not None for item in root.iterdir())


def _has_names_with_wnids(root: Path) -> bool:
    return any(imagenet_name(item.name) is not None for item in root.iterdir())


def _devkit_labels(source: Path) -> Optional[GroundTruth]:
    """Return the labels of the devkit in the source or next to it."""
    found = find_ground_truth(source) or find_ground_truth(source.parent)
    return read_ground_truth(found) if found else None


def _archived_labels(source: Path) -> Optional[GroundTruth]:
    devkits = sorted(path for path in source.glob("ILSVRC*devkit*.tar.gz") if not path.is_dir())
    return read_devkit_archive(devkits[0]) if devkits else _devkit_labels(source)


LAYOUTS = (
    SourceLayout(
        "folders", "SOURCE/SPLIT/CLASS/IMAGE or SOURCE/CLASS/IMAGE",
        root=_split_folder, fits=_fits_folders, labels=_devkit_labels,
        self_evident=False, in_folders=True, unnamed=SPLITS,
        scan=lambda root, split, options: scan_class_folders(root, options.extensions)),
    SourceLayout(
        "flat", "(val) SOURCE/val/ILSVRC2012_val_NNNNNNNN.JPEG with the devkit's "
        "*validation_ground_truth.txt and map_clsloc.txt or meta.mat in SOURCE/*/data, or with "
        "val.txt or val_list.txt in SOURCE or SOURCE/meta; names that end in the class, as Hugging "
        "Face's, also for train",
        root=_split_folder, labels=_devkit_labels, overrides=("folders",),
        self_evident=False, in_folders=True, unnamed=("train",),
        fits=lambda source, root, split: (
            _has_validation_names if split == "val" else _has_names_with_wnids)(root),
        scan=lambda root, split, options: (
            scan_flat_folder(root) if split == "val" else scan_names_with_wnids(root))),
    SourceLayout(
        "archives", "SOURCE/ILSVRC2012_img_SPLIT.tar or SOURCE/SPLIT.tar, for val also "
        "ILSVRC2012_devkit_t12.tar.gz",
        root=lambda source, split: source, labels=_archived_labels,
        scan=lambda root, split, options: (
            scan_val_archive(find_archive(root, split), options.keep) if split == "val" else
            scan_train_archive(find_archive(root, split), options.extensions, options.keep)),
        fits=lambda source, root, split: find_archive(source, split).is_file()),
    SourceLayout(
        "kaggle", "SOURCE/ILSVRC/Data/CLS-LOC/SPLIT, for val also LOC_val_solution.csv and "
        "LOC_synset_mapping.txt",
        root=lambda source, split: source / KAGGLE_IMAGES / split, labels=read_kaggle,
        scan=lambda root, split, options: (
            scan_flat_folder(root) if split == "val" and _has_validation_names(root) else
            scan_class_folders(root, options.extensions)),
        fits=lambda source, root, split: root.is_dir(), overrides=("folders", "flat"),
        in_folders=True),
    SourceLayout(
        "parquet", "SOURCE/data/train-NNNNN-of-NNNNN.parquet, for val validation-…, as in "
        "Hugging Face's ILSVRC/imagenet-1k",
        root=_parquet_folder, labels=lambda source: None, overrides=("folders",),
        scan=scan_parquet,
        fits=lambda source, root, split: bool(parquet_files(root, split)), read=read_parquet),
    SourceLayout(
        "flat-tars", "SOURCE/train_images_0.tar.gz to train_images_4.tar.gz, for val "
        "val_images.tar.gz, as Hugging Face's; also without .gz",
        root=lambda source, split: source, labels=lambda source: None, overrides=("folders",),
        scan=lambda root, split, options: scan_flat_tars(root, split, options.keep),
        fits=lambda source, root, split: fits_flat_tars(source, split)),
    SourceLayout(
        "webdataset", "SOURCE/NAME-train-NNNN.tar, for val NAME-validation-NN.tar or "
        "NAME-val-NN.tar, of KEY.jpg and KEY.cls, as timm's",
        root=lambda source, split: source, labels=lambda source: None, overrides=("folders",),
        scan=lambda root, split, options: scan_webdataset(root, split, options.keep),
        fits=lambda source, root, split: bool(webdataset_tars(source, split)),
        classes_may_be_labels=True),
)
LAYOUT_NAMES = tuple(layout.name for layout in LAYOUTS)
