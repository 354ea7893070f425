"""Images that lie in folders: one folder per class, or one flat folder of validation images."""

import os
from pathlib import Path
from typing import Iterator, Sequence

from common.cli import RequestError
from convert.sources.listing import Scan, SourceFile, checked_name, validation_id


def scan_class_folders(root: Path, extensions: Sequence[str]) -> Scan:
    """List a folder of class folders.

    Raises:
        RequestError: a class without images, a folder inside a class folder, a bad name.
    """
    scan = Scan([], [], [])
    for name in sorted(item.name for item in _visible(root) if item.is_dir()):
        before = len(scan.files)
        _scan_class(root, name, tuple(extensions), scan)
        if len(scan.files) == before:
            raise RequestError(f"class folder {root / name} contains no images "
                               f"({' '.join(extensions)}); fill it or remove it")
        scan.class_names.append(name)
    return scan


def _scan_class(root: Path, class_name: str, extensions: tuple, scan: Scan) -> None:
    for item in _visible(root / class_name):
        if item.is_dir():
            raise RequestError(f"{item.path} is a folder inside a class folder, which may contain "
                               "images only; move it or give another --source")
        name = f"{class_name}/{item.name}"
        if item.name.lower().endswith(extensions):
            scan.files.append(SourceFile(name, name, 0, item.stat().st_size))
        else:
            scan.ignored.append(name)


def scan_flat_folder(root: Path) -> Scan:
    """List a flat folder of ``ILSVRC2012_val_NNNNNNNN.JPEG``."""
    scan = Scan([], [], [])
    for item in _visible(root):
        if validation_id(item.name) is None:
            scan.ignored.append(item.name)
        else:
            scan.files.append(SourceFile(item.name, item.name, 0, item.stat().st_size))
    return scan


def _visible(folder: Path) -> Iterator[os.DirEntry]:
    """Yield what is not hidden; hidden files (.DS_Store, .nfs…) belong to the system."""
    with os.scandir(folder) as items:
        for item in items:
            if not item.name.startswith("."):
                checked_name(item.name, folder)
                yield item
