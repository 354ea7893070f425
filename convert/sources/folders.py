"""The images of a split in class folders, or in one flat folder."""

import os
import stat
from pathlib import Path
from typing import Iterator, Sequence

from common.cli import RequestError
from common.text import counted
from convert.sources.listing import Scan, SourceFile, validation_scan
from convert.sources.names import (IMAGE_EXTENSIONS, check_utf8, in_label_order, is_hidden,
                                   shown_name)


def scan_class_folders(root: Path, extensions: Sequence[str]) -> Scan:
    """List a folder of class folders; names are ``<class>/<file>``. Files next to the class
    folders, such as a class tar that was not unpacked, are ignored.

    Raises:
        RequestError: a class without images, a folder inside a class folder, a bad name, or
            something that is neither a file nor a folder.
    """
    scan, names = Scan([], []), []
    for item in visible(root, scan.ignored):
        if item.is_dir():
            names.append(item.name)
        else:
            file_size(item)
            scan.ignored.append(item.name)
    for name in in_label_order(names):
        files = _class_files(root, name, scan.ignored)
        scan.add_class(files, extensions, f"class folder {root / name}", "fill it or remove it")
    return scan


def class_folders(root: Path) -> list[str]:
    """Return the names of the folders in ``root`` that are classes, in label order: those that are
    not hidden, whose list would shift every label."""
    with os.scandir(root) as items:
        return in_label_order(item.name for item in items
                              if not is_hidden(item.name) and item.is_dir())


def _class_files(root: Path, class_name: str, ignored: list[str]) -> Iterator[SourceFile]:
    for item in visible(root / class_name, ignored, f"{class_name}/"):
        if item.is_dir():
            raise RequestError(f"{item.path} is a folder inside a class folder, which may contain "
                               f"images only; move it, or give --source {root / class_name} if "
                               "that is where the class folders are")
        name = f"{class_name}/{item.name}"
        yield SourceFile(name, name, 0, file_size(item))


def scan_flat_folder(root: Path) -> Scan:
    """List a flat folder of ``ILSVRC2012_val_NNNNNNNN.JPEG``.

    Raises:
        RequestError: see ``flat_files`` and ``validation_scan``.
    """
    passed_over: list[str] = []
    scan = validation_scan(flat_files(root, passed_over, other_split="train"))
    scan.ignored.extend(passed_over)
    return scan


def flat_files(root: Path, ignored: list[str], other_split: str) -> Iterator[SourceFile]:
    """Yield the files of a flat folder of images. The files of a folder in it, such as a devkit,
    are added to ``ignored``, unless it is the other split's: images may lie in the source itself.

    Raises:
        RequestError: a folder in it has images, which would be lost.
    """
    for item in visible(root, ignored):
        if not item.is_dir():
            yield SourceFile(item.name, item.name, 0, file_size(item))
        elif item.name != other_split:
            files = sorted(files_below(root, item.name))
            images = [name for name in files
                      if name.lower().endswith(IMAGE_EXTENSIONS) and not is_hidden(name)]
            if images:
                raise RequestError(
                    f"{item.path} is a folder with {counted(len(images), 'image')} "
                    f"('{shown_name(images[0])}') next to the images of {root}, which is read as a "
                    "flat folder: move them next to the others, or, if the images are being sorted "
                    "into class folders, all others into theirs; or move the folder away")
            ignored += map(shown_name, files)


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
    """Yield what is not hidden. Hidden files, and all files of hidden folders, are added to
    ``ignored``, named after ``prefix``; none is opened."""
    with os.scandir(folder) as items:
        for item in items:
            if not is_hidden(item.name):
                check_utf8(item.name, folder)
                yield item
            elif item.is_dir(follow_symlinks=False):
                ignored += [prefix + shown_name(name) for name in files_below(folder, item.name)]
            else:
                ignored.append(prefix + shown_name(item.name))


def files_below(folder: Path, name: str) -> list[str]:
    """Return the paths, from the folder on, of all files in its subfolder of that name."""
    return [path.relative_to(folder).as_posix() for path in (folder / name).rglob("*")
            if not path.is_dir()]
