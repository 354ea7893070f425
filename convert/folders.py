"""Pictures that lie in folders: one folder a class, or one flat folder of validation images."""

import os
from pathlib import Path
from typing import Iterator, List, NamedTuple, Sequence

from common import RequestError
from convert.listing import Found
from convert.naming import checked_name, validation_id


class Pictures(NamedTuple):
    """What a source holds of one split."""

    found: List[Found]
    class_names: List[str]  # sorted; empty where the pictures do not lie by class
    ignored: List[str]  # files that are not pictures by their name


def scan_class_folders(root: Path, extensions: Sequence[str]) -> Pictures:
    """List a folder of class folders.

    Raises:
        RequestError: a class without pictures, a folder inside a class folder, a bad name.
    """
    pictures = Pictures([], [], [])
    for name in sorted(item.name for item in _visible(root) if item.is_dir()):
        before = len(pictures.found)
        _scan_class(root, name, tuple(extensions), pictures)
        if len(pictures.found) == before:
            raise RequestError(f"class folder {root / name} holds no pictures "
                               f"({' '.join(extensions)}); fill it or remove it")
        pictures.class_names.append(name)
    return pictures


def _scan_class(root: Path, class_name: str, extensions: tuple, pictures: Pictures) -> None:
    for item in _visible(root / class_name):
        if item.is_dir():
            raise RequestError(f"{item.path} is a folder inside a class folder; class folders hold "
                               "pictures only: move it or give another --source")
        name = f"{class_name}/{item.name}"
        if item.name.lower().endswith(extensions):
            pictures.found.append(Found(name, name, 0, item.stat().st_size))
        else:
            pictures.ignored.append(name)


def scan_flat_folder(root: Path) -> Pictures:
    """List a flat folder of ``ILSVRC2012_val_NNNNNNNN.JPEG``."""
    pictures = Pictures([], [], [])
    for item in _visible(root):
        if validation_id(item.name) is None:
            pictures.ignored.append(item.name)
        else:
            pictures.found.append(Found(item.name, item.name, 0, item.stat().st_size))
    return pictures


def _visible(folder: Path) -> Iterator[os.DirEntry]:
    """The visible things in a folder; hidden ones (.DS_Store, .nfs…) belong to the system."""
    with os.scandir(folder) as items:
        for item in items:
            if not item.name.startswith("."):
                checked_name(item.name, folder)
                yield item
