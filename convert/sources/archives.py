"""Images inside ImageNet's own tars, read in place: each is a run of bytes at an offset.

`ILSVRC2012_img_train.tar` is a tar of 1,000 tars, `<wnid>.tar`, of `<wnid>_N.JPEG`;
`ILSVRC2012_img_val.tar` is a flat tar of the 50,000 validation images.
"""

import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, Iterator, Sequence, Tuple

from common.cli import RequestError, progress_bar
from convert.sources.listing import Scan, SourceFile, checked_name, validation_id


def scan_train_archive(archive: Path, extensions: Sequence[str]) -> Scan:
    """List the images of the training tar as ``<wnid>/<wnid>_N.JPEG``.

    Raises:
        RequestError: not a tar, a truncated tar, a class without images, or an unsafe member.
    """
    scan = Scan([], [], [])
    with open(archive, "rb") as file, \
            progress_bar(archive.stat().st_size >> 20, f"list {archive.name}", "MB") as bar:
        for inner, offset, size in _members(file, archive, 0, archive.stat().st_size):
            class_name = PurePosixPath(inner).stem
            if PurePosixPath(inner).suffix != ".tar":
                raise RequestError(f"'{inner}' in {archive} is not a class tar (<wnid>.tar); give "
                                   "ImageNet's own training archive")
            if class_name in scan.class_names:
                raise RequestError(f"'{inner}' appears twice in {archive}; give "
                                   "ImageNet's own archive")
            _scan_class_archive(file, archive, class_name, (offset, size), tuple(extensions), scan)
            bar.update((offset + size >> 20) - bar.n)
    scan.class_names.sort()
    return scan


def _scan_class_archive(file: IO[bytes], archive: Path, class_name: str, part: Tuple[int, int],
                        extensions: tuple, scan: Scan) -> None:
    before = len(scan.files)
    for member, offset, size in _members(file, archive, *part):
        name = f"{class_name}/{PurePosixPath(member).name}"
        if name.lower().endswith(extensions):
            scan.files.append(SourceFile(name, archive.name, offset, size))
        else:
            scan.ignored.append(name)
    if len(scan.files) == before:
        raise RequestError(f"'{class_name}.tar' in {archive} contains no images "
                           f"({' '.join(extensions)}); fetch the archive again")
    scan.class_names.append(class_name)


def scan_val_archive(archive: Path) -> Scan:
    """List the images of the validation tar.

    Raises:
        RequestError: not a tar, a truncated tar, or an unsafe member.
    """
    scan = Scan([], [], [])
    with open(archive, "rb") as file:
        for member, offset, size in _members(file, archive, 0, archive.stat().st_size):
            name = PurePosixPath(member).name
            if validation_id(name) is None:
                scan.ignored.append(name)
            else:
                scan.files.append(SourceFile(name, archive.name, offset, size))
    return scan


class _Part:
    """A read-only view of ``size`` bytes of a file from ``start`` on, for tarfile."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int) -> int:
        self._at = offset
        return offset

    def read(self, size: int) -> bytes:
        self._file.seek(self._start + self._at)
        data = self._file.read(min(size, max(0, self._size - self._at)))
        self._at += len(data)
        return data


def _members(file: IO[bytes], archive: Path, start: int, size: int
             ) -> Iterator[Tuple[str, int, int]]:
    """Yield (name, absolute offset, size) of each regular file of the tar in that part."""
    try:
        with tarfile.open(fileobj=_Part(file, start, size), mode="r:") as tar:  # type: ignore
            for member in tar:
                tar.members = []  # tarfile would keep all of them, 1.3 million
                if member.isdir():
                    continue
                _check_member(member, archive)
                if member.offset_data + member.size > size:
                    raise tarfile.ReadError(f"'{member.name}' continues past the end")
                yield member.name, start + member.offset_data, member.size
    except tarfile.TarError as error:
        raise RequestError(f"{archive} is not a whole tar archive ({error}); "
                           "fetch it again") from None


def _check_member(member: tarfile.TarInfo, archive: Path) -> None:
    checked_name(member.name, archive)
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise RequestError(f"'{member.name}' in {archive} points outside of the archive; give "
                           "ImageNet's own archive")
    if not member.isreg() or member.issparse():
        raise RequestError(f"'{member.name}' in {archive} is not a regular file (a link or a "
                           "device); give ImageNet's own archive")
