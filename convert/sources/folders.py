"""The images of a split in class folders, or in one flat folder."""

import os
import stat
from pathlib import Path
from typing import Iterator, Sequence

from common.cli import RequestError
from convert.sources.listing import Scan, SourceFile, validation_scan
from convert.sources.names import MACOS_FOLDER, check_utf8, is_companion


def scan_class_folders(root: Path, extensions: Sequence[str]) -> Scan:
    """List a folder of class folders; names are ``<class>/<file>``. Files next to the class
    folders, such as a class tar that was not unpacked, are ignored.

    Raises:
        RequestError: a class without images, a folder inside a class folder, a bad name, or
            something that is neither a file nor a folder.
    """
    scan, class_names = Scan([], []), []
    for item in visible(root, scan.ignored):
        if item.is_dir():
            class_names.append(item.name)
        else:
            file_size(item)
            scan.ignored.append(item.name)
    for name in sorted(class_names):
        files = _class_files(root, name, scan.ignored)
        scan.add_class(files, extensions, f"class folder {root / name}", "fill it or remove it")
    return scan


def _class_files(root: Path, class_name: str, ignored: list[str]) -> Iterator[SourceFile]:
    for item in visible(root / class_name, ignored, f"{class_name}/"):
        if item.is_dir():
            raise RequestError(f"{item.path} is a folder inside a class folder, which may contain "
                               f"images only; move it, or give --source {root / class_name} if "
                               "that is where the class folders are")
        name = f"{class_name}/{item.name}"
        yield SourceFile(name, name, 0, file_size(item))


def scan_flat_folder(root: Path) -> Scan:
    """List a flat folder of ``ILSVRC2012_val_NNNNNNNN.JPEG``."""
    companions: list[str] = []
    scan = validation_scan(
        SourceFile(item.name, item.name, 0, 0 if item.is_dir() else file_size(item))
        for item in visible(root, companions))
    scan.ignored.extend(companions)
    return scan


def file_size(item: os.DirEntry) -> int:
    """Return the bytes of a file; raise RequestError for what would hang a reader, or is gone."""
    try:
        status = item.stat()
    except FileNotFoundError:
        raise RequestError(f"{item.path} is a link to something that does not exist; complete "
                           "the source or remove the link") from None
    if not stat.S_ISREG(status.st_mode):
        raise RequestError(f"{item.path} is neither a file nor a folder (a FIFO, a socket or a "
                           "device); remove it")
    return status.st_size


def visible(folder: Path, ignored: list[str], prefix: str = "") -> Iterator[os.DirEntry]:
    """Yield what is not hidden; hidden files (.DS_Store, .nfs…) belong to the system. What macOS
    left next to the images is added to ``ignored``, named after ``prefix``."""
    with os.scandir(folder) as items:
        for item in items:
            if item.name == MACOS_FOLDER and item.is_dir():
                ignored += [prefix + path.relative_to(folder).as_posix()
                            for path in Path(item.path).rglob("*") if not path.is_dir()]
            elif is_companion(item.name):
                ignored.append(prefix + item.name)
            elif not item.name.startswith("."):
                check_utf8(item.name, folder)
                yield item
