"""Pictures that lie in folders: one folder a class, or one flat folder of validation images."""

import os
import re
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

from common import RequestError
from convert.listing import Entry, Listing, check_unique_ids, checked_name

PICTURE_EXTENSIONS = (".jpeg", ".jpg", ".png")

_VALIDATION_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


def validation_id(file_name: str) -> Optional[int]:
    """The number in ``ILSVRC2012_val_NNNNNNNN.JPEG``, or None for any other name."""
    match = _VALIDATION_NAME.fullmatch(file_name)
    return int(match.group(1)) if match else None


def list_class_folders(root: Path, split: str, extensions: Sequence[str]) -> Listing:
    """List a folder of class folders; ids are positions in sorted file-name order.

    Validation pictures that bear ILSVRC's names keep its ids and are listed by their bare names,
    as in the official archive, so that every layout gives the same records.

    Raises:
        RequestError: a class without pictures, a folder inside a class folder, a bad name.
    """
    class_names, found, ignored = [], [], []
    for folder in _sorted_folders(root):
        pictures, others = _pictures_of_class(root / folder, extensions)
        if not pictures:
            raise RequestError(f"class folder {root / folder} holds no pictures "
                               f"({' '.join(extensions)}); fill it or remove it")
        label = len(class_names)
        class_names.append(folder)
        found += [(f"{folder}/{name}", size, label) for name, size in pictures]
        ignored += [f"{folder}/{name}" for name in others]
    entries = _entries_of_classes(found, split)
    check_unique_ids(entries)
    return Listing(split, "class folders", root, class_names, entries, ignored)


def _entries_of_classes(found: List[Tuple[str, int, int]], split: str) -> List[Entry]:
    found.sort()
    ids = [validation_id(os.path.basename(path)) for path, _, _ in found]
    if split == "val" and all(image_id is not None for image_id in ids):
        entries = [Entry(os.path.basename(path), label, image_id, path, 0, size)
                   for (path, size, label), image_id in zip(found, ids) if image_id is not None]
        return sorted(entries, key=lambda entry: entry.image_id)
    return [Entry(path, label, position, path, 0, size)
            for position, (path, size, label) in enumerate(found, start=1)]


def list_flat_validation(root: Path, labels: Sequence[int], class_names: List[str],
                         truth: Path) -> Listing:
    """List a flat folder of ``ILSVRC2012_val_NNNNNNNN.JPEG``.

    Args:
        labels: the 0-based label of validation image k at position k - 1.
        truth: the file the labels came from, for messages.

    Raises:
        RequestError: an image without a label, or a label without an image.
    """
    found, ignored = _numbered_pictures(root)
    for image_id, name, _ in found:
        if not 1 <= image_id <= len(labels):
            raise RequestError(f"{root / name} has no label: {truth} holds {len(labels)} labels; "
                               "give the ground truth of this set")
    if len(found) != len(labels):
        present = {image_id for image_id, _, _ in found}
        missing = next(k for k in range(1, len(labels) + 1) if k not in present)
        raise RequestError(f"{truth} holds {len(labels)} labels but {root} holds {len(found)} "
                           f"validation images (ILSVRC2012_val_{missing:08d}.JPEG is missing); "
                           "complete the folder or give the ground truth of this set")
    entries = [Entry(name, labels[image_id - 1], image_id, name, 0, size)
               for image_id, name, size in found]
    check_unique_ids(entries)
    return Listing("val", "flat validation folder", root, class_names, entries, ignored)


def _numbered_pictures(root: Path) -> Tuple[List[Tuple[int, str, int]], List[str]]:
    found, ignored = [], []
    for item in _scan(root):
        image_id = validation_id(item.name)
        if image_id is None:
            ignored.append(item.name)
        else:
            found.append((image_id, item.name, item.stat().st_size))
    return sorted(found), sorted(ignored)


def _sorted_folders(root: Path) -> List[str]:
    return sorted(item.name for item in _scan(root) if item.is_dir())


def _pictures_of_class(folder: Path, extensions: Sequence[str]
                       ) -> Tuple[List[Tuple[str, int]], List[str]]:
    pictures, ignored = [], []
    for item in _scan(folder):
        if item.is_dir():
            raise RequestError(f"{item.path} is a folder inside a class folder; class folders hold "
                               "pictures only: move it or give another --source")
        if item.name.lower().endswith(tuple(extensions)):
            pictures.append((item.name, item.stat().st_size))
        else:
            ignored.append(item.name)
    return pictures, ignored


def _scan(folder: Path) -> Iterator[os.DirEntry]:
    """The visible things in a folder; hidden ones (.DS_Store, .nfs…) belong to the system."""
    with os.scandir(folder) as items:
        for item in items:
            if not item.name.startswith("."):
                checked_name(item.name, folder)
                yield item
