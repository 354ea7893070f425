"""The images of a split in class folders, or in one flat folder."""

import os
from pathlib import Path
from typing import Iterator, Sequence

from common.cli import RequestError
from convert.sources.listing import Scan, SourceFile, check_utf8, validation_scan


def scan_class_folders(root: Path, extensions: Sequence[str]) -> Scan:
    """List a folder of class folders; names are ``<class>/<file>``.

    Raises:
        RequestError: a class without images, a folder inside a class folder, a bad name.
    """
    scan = Scan([], [])
    for name in sorted(item.name for item in _visible(root) if item.is_dir()):
        scan.add_class(_class_files(root, name), extensions, f"class folder {root / name}",
                       "fill it or remove it")
    return scan


def _class_files(root: Path, class_name: str) -> Iterator[SourceFile]:
    for item in _visible(root / class_name):
        if item.is_dir():
            raise RequestError(f"{item.path} is a folder inside a class folder, which may contain "
                               "images only; move it or give another --source")
        name = f"{class_name}/{item.name}"
        yield SourceFile(name, name, 0, item.stat().st_size)


def scan_flat_folder(root: Path) -> Scan:
    """List a flat folder of ``ILSVRC2012_val_NNNNNNNN.JPEG``."""
    return validation_scan(SourceFile(item.name, item.name, 0, item.stat().st_size)
                           for item in _visible(root))


def _visible(folder: Path) -> Iterator[os.DirEntry]:
    """Yield what is not hidden; hidden files (.DS_Store, .nfs…) belong to the system."""
    with os.scandir(folder) as items:
        for item in items:
            if not item.name.startswith("."):
                check_utf8(item.name, folder)
                yield item
