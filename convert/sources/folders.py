"""Scan that lie in folders: one folder a class, or one flat folder of validation images."""

import os
from pathlib import Path
from typing import Iterator, List, NamedTuple, Sequence

from common.cli import RequestError
from convert.sources.listing import SourceFile
from convert.sources.naming import checked_name, validation_id


class Scan(NamedTuple):
    """What a source holds of one split."""

    found: List[SourceFile]
    class_names: List[str]  # sorted; empty where the images do not lie by class
    ignored: List[str]  # files that are not images by their name


def scan_class_folders(root: Path, extensions: Sequence[str]) -> Scan:
    """List a folder of class folders.

    Raises:
        RequestError: a class without images, a folder inside a class folder, a bad name.
    """
    images = Scan([], [], [])
    for name in sorted(item.name for item in _visible(root) if item.is_dir()):
        before = len(images.found)
        _scan_class(root, name, tuple(extensions), images)
        if len(images.found) == before:
            raise RequestError(f"class folder {root / name} holds no images "
                               f"({' '.join(extensions)}); fill it or remove it")
        images.class_names.append(name)
    return images


def _scan_class(root: Path, class_name: str, extensions: tuple, images: Scan) -> None:
    for item in _visible(root / class_name):
        if item.is_dir():
            raise RequestError(f"{item.path} is a folder inside a class folder; class folders hold "
                               "images only: move it or give another --source")
        name = f"{class_name}/{item.name}"
        if item.name.lower().endswith(extensions):
            images.found.append(SourceFile(name, name, 0, item.stat().st_size))
        else:
            images.ignored.append(name)


def scan_flat_folder(root: Path) -> Scan:
    """List a flat folder of ``ILSVRC2012_val_NNNNNNNN.JPEG``."""
    images = Scan([], [], [])
    for item in _visible(root):
        if validation_id(item.name) is None:
            images.ignored.append(item.name)
        else:
            images.found.append(SourceFile(item.name, item.name, 0, item.stat().st_size))
    return images


def _visible(folder: Path) -> Iterator[os.DirEntry]:
    """The visible things in a folder; hidden ones (.DS_Store, .nfs…) belong to the system."""
    with os.scandir(folder) as items:
        for item in items:
            if not item.name.startswith("."):
                checked_name(item.name, folder)
                yield item
