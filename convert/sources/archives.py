"""The images of a split inside ImageNet's own tars, which are read in place: each image is a run of
bytes at an offset.

`ILSVRC2012_img_train.tar` is a tar of 1,000 tars, `<wnid>.tar`, of `<wnid>_N.JPEG`;
`ILSVRC2012_img_val.tar` is a flat tar of the 50,000 validation images.
"""

import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, Iterator, Sequence

from common.cli import RequestError, progress_bar
from common.files import naming_file
from convert.sources.listing import Scan, SourceFile, check_utf8, validation_scan


def scan_train_archive(archive: Path, extensions: Sequence[str]) -> Scan:
    """List the images of the training tar as ``<wnid>/<wnid>_N.JPEG``.

    Raises:
        RequestError: not a tar, a truncated tar, a class without images, or an unsafe member.
    """
    scan, seen = Scan([], []), set()
    size = archive.stat().st_size
    with open(archive, "rb") as file, \
            progress_bar(size >> 20, f"list {archive.name}", "MB") as bar:
        for member, begin, end in members(file, archive, 0, size):
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
                     for image, image_begin, image_end in members(file, archive, begin, end))
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
        return validation_scan(
            SourceFile(PurePosixPath(member).name, archive.name, begin, end - begin)
            for member, begin, end in members(file, archive, 0, archive.stat().st_size))


def members(file: IO[bytes], archive: Path, begin: int, end: int
            ) -> Iterator[tuple[str, int, int]]:
    """Yield (name, begin, end) of each regular file of the tar in those bytes of the file."""
    file.seek(begin)  # where tarfile starts; its offsets are those of the whole file
    try:
        with naming_file(archive), tarfile.open(fileobj=file, mode="r:") as tar:
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
    check_utf8(member.name, archive)
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise RequestError(f"'{member.name}' in {archive} points outside of the archive; give "
                           "ImageNet's own archive")
    if not member.isreg() or member.issparse():
        raise RequestError(f"'{member.name}' in {archive} is not a regular file (a link or a "
                           "device); give ImageNet's own archive")
