"""The files of a split: in class folders, in a flat folder, or inside ImageNet's own tars.

`ILSVRC2012_img_train.tar` is a tar of 1,000 tars, `<wnid>.tar`, of `<wnid>_N.JPEG`;
`ILSVRC2012_img_val.tar` is a flat tar of the 50,000 validation images. Both are read in place: each
image is a run of bytes at an offset.
"""

import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, Iterable, Iterator, NamedTuple, Sequence

from common.cli import RequestError, progress_bar
from convert.sources.listing import SourceFile, validation_id


class Scan(NamedTuple):
    """The files of one split in a source, not labelled yet."""

    images: list[SourceFile]
    ignored: list[str]  # files whose names are not those of images

    def add_class(self, files: Iterable[SourceFile], extensions: Sequence[str], where: str,
                  remedy: str) -> None:
        """Sort the files of a class into images and others; raise RequestError without images."""
        before = len(self.images)
        for file in files:
            if file.name.lower().endswith(tuple(extensions)):
                self.images.append(file)
            else:
                self.ignored.append(file.name)
        if len(self.images) == before:
            raise RequestError(f"{where} contains no images ({' '.join(extensions)}); {remedy}")


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
    return _validation_scan(SourceFile(item.name, item.name, 0, item.stat().st_size)
                            for item in _visible(root))


def _validation_scan(files: Iterable[SourceFile]) -> Scan:
    scan = Scan([], [])
    for file in files:
        if validation_id(file.name) is None:
            scan.ignored.append(file.name)
        else:
            scan.images.append(file)
    return scan


def _visible(folder: Path) -> Iterator[os.DirEntry]:
    """Yield what is not hidden; hidden files (.DS_Store, .nfs…) belong to the system."""
    with os.scandir(folder) as items:
        for item in items:
            if not item.name.startswith("."):
                _check_utf8(item.name, folder)
                yield item


def scan_train_archive(archive: Path, extensions: Sequence[str]) -> Scan:
    """List the images of the training tar as ``<wnid>/<wnid>_N.JPEG``.

    Raises:
        RequestError: not a tar, a truncated tar, a class without images, or an unsafe member.
    """
    scan, seen = Scan([], []), set()
    size = archive.stat().st_size
    with open(archive, "rb") as file, \
            progress_bar(size >> 20, f"list {archive.name}", "MB") as bar:
        for member, begin, end in _members(file, archive, 0, size):
            class_name = PurePosixPath(member).stem
            if PurePosixPath(member).suffix != ".tar":
                raise RequestError(f"'{member}' in {archive} is not a class tar (<wnid>.tar); give "
                                   "ImageNet's own training archive")
            if class_name in seen:
                raise RequestError(f"'{member}' appears twice in {archive}; give "
                                   "ImageNet's own archive")
            seen.add(class_name)
            files = (SourceFile(f"{class_name}/{PurePosixPath(image).name}", archive.name,
                                image_begin, image_end - image_begin)
                     for image, image_begin, image_end in _members(file, archive, begin, end))
            scan.add_class(files, extensions, f"'{class_name}.tar' in {archive}",
                           "fetch the archive again")
            bar.update((end >> 20) - bar.n)
    return scan


def scan_val_archive(archive: Path) -> Scan:
    """List the images of the validation tar.

    Raises:
        RequestError: not a tar, a truncated tar, or an unsafe member.
    """
    with open(archive, "rb") as file:
        return _validation_scan(
            SourceFile(PurePosixPath(member).name, archive.name, begin, end - begin)
            for member, begin, end in _members(file, archive, 0, archive.stat().st_size))


def _members(file: IO[bytes], archive: Path, begin: int, end: int
             ) -> Iterator[tuple[str, int, int]]:
    """Yield (name, begin, end) of each regular file of the tar in those bytes of the file."""
    file.seek(begin)  # where tarfile starts; its offsets are those of the whole file
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                # tarfile would keep all members, 1.3 million; its type hints hide the list.
                tar.members = []  # type: ignore[attr-defined]
                if member.offset >= end:  # a class tar without end marker: the next one's header
                    break
                if member.isdir():
                    continue
                _check_member(member, archive)
                if member.offset_data + member.size > end:
                    raise tarfile.ReadError(f"'{member.name}' continues past the end")
                yield member.name, member.offset_data, member.offset_data + member.size
    except tarfile.TarError as error:
        raise RequestError(f"{archive} is not a whole tar archive ({error}); "
                           "fetch it again") from None


def _check_member(member: tarfile.TarInfo, archive: Path) -> None:
    _check_utf8(member.name, archive)
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise RequestError(f"'{member.name}' in {archive} points outside of the archive; give "
                           "ImageNet's own archive")
    if not member.isreg() or member.issparse():
        raise RequestError(f"'{member.name}' in {archive} is not a regular file (a link or a "
                           "device); give ImageNet's own archive")


def _check_utf8(name: str, place: Path) -> None:
    """Raise RequestError for a name that is not UTF-8: a record could not hold it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise RequestError(f"'{shown}' in {place} is not a UTF-8 name; rename it") from None
