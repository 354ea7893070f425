"""The images of a split inside ImageNet's own tars, which are read in place: each image is a run of
bytes at an offset.

`ILSVRC2012_img_train.tar` is a tar of 1,000 tars, `<wnid>.tar`, of `<wnid>_N.JPEG`;
`ILSVRC2012_img_val.tar` is a flat tar of the 50,000 validation images.

A tar is complete or refused. Python's tarfile ends in silence at a header that it cannot read, and
at zeros, which a download that was interrupted may leave; all that follows would be lost.
"""

import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, Iterator, NamedTuple, Optional, Sequence

from common.cli import RequestError
from common.files import naming_file
from common.progress import progress_bar
from common.text import counted
from convert.sources.listing import Scan, SourceFile, validation_scan
from convert.sources.names import WNID, check_utf8, is_hidden, training_wnid
from convert.sources.packed import (OpenArchive, open_archive, stored_archive, unpack,
                                    unused_copies)
from convert.sources.tar_headers import HEADER_BYTES, plain_member

# A tar ends with two blocks of zeros and is filled up to a whole record, 10 KB by default. GNU tar
# writes records of up to 1 MB without a complaint; more zeros than that were never downloaded.
END_BYTES = 2 * tarfile.BLOCKSIZE
MAX_RECORD_BYTES = 1 << 20

# Headers that say something about the member after them: of long names, and of pax's records.
_GNU_KINDS = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_PAX_KINDS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


class _TarMember(NamedTuple):
    name: str
    begin: int  # of its data, in bytes of the file
    end: int
    following: int  # where the next header is
    is_folder: bool


def find_archive(source: Path, split: str) -> Path:
    """Return the path of the split's archive, which may be missing.

    Raises:
        RequestError: there are two, whose images may differ.
    """
    renamed, official = (stored_archive(source / name)
                         for name in (f"{split}.tar", f"ILSVRC2012_img_{split}.tar"))
    if renamed.is_file() and official.is_file():
        raise RequestError(f"{source} contains the {split} set twice: {official.name} and "
                           f"{renamed.name}; move one of them away")
    return renamed if renamed.is_file() else official


def scan_train_archive(archive: Path, extensions: Sequence[str], keep: Optional[Path] = None
                       ) -> Scan:
    """List the images of the training tar as ``<wnid>/<wnid>_N.JPEG``.

    Args:
        keep: where an archive in gzip is unpacked, see ``packed``.

    Raises:
        RequestError: not a tar, one that is damaged or incomplete, a class without images, or an
            unsafe member.
    """
    scan, seen = Scan([], unused_copies([archive])), set()
    unpack([archive], keep)
    with open_archive(archive, keep) as opened, \
            progress_bar(archive.stat().st_size >> 20, f"list {archive.name}", "MB") as bar:
        for member, begin, end in members(opened.file, archive, 0, opened.end):
            if is_hidden(member):
                scan.ignored.append(member)
                continue
            class_name = PurePosixPath(member).stem
            if PurePosixPath(member).suffix != ".tar":
                raise RequestError(f"'{member}' in {archive} is not a class tar (<wnid>.tar); give "
                                   "ImageNet's own training archive")
            if class_name in seen:
                raise RequestError(f"'{member}' appears twice in {archive}; give "
                                   "ImageNet's own archive")
            seen.add(class_name)
            files = _images_of_class(opened, archive, member, begin, end)
            scan.add_class(files, extensions, f"'{class_name}.tar' in {archive}",
                           "fetch the archive again")
            bar.update((end >> 20) - bar.n)
    return scan


def _images_of_class(opened: OpenArchive, archive: Path, class_tar: str, begin: int, end: int
                     ) -> Iterator[SourceFile]:
    """Yield the files of a class tar; raise RequestError for an image of another class by its name:
    a damaged archive may have the headers of two images in each other's places."""
    class_name = PurePosixPath(class_tar).stem
    for member, image_begin, image_end in members(opened.file, archive, begin, end, class_tar):
        name = file_name(member)
        wnid = training_wnid(name)
        if wnid not in (None, class_name) and WNID.fullmatch(class_name):
            raise RequestError(f"'{name}' in '{class_tar}' in {archive} is of class {wnid} by its "
                               "name; fetch the archive again")
        yield SourceFile(f"{class_name}/{name}", opened.container, image_begin,
                         image_end - image_begin)


def scan_val_archive(archive: Path, keep: Optional[Path] = None) -> Scan:
    """List the images of the validation tar; ``keep`` as above.

    Raises:
        RequestError: not a tar, one that is damaged or incomplete, or an unsafe member.
    """
    scan = validation_scan(
        SourceFile(file_name(member), opened.container, begin, end - begin)
        for _, opened, member, begin, end in tar_members([archive], keep))
    scan.ignored.extend(unused_copies([archive]))
    return scan


def tar_members(archives: Sequence[Path], keep: Optional[Path] = None
                ) -> Iterator[tuple[Path, OpenArchive, str, int, int]]:
    """Yield (archive, the same opened, name, begin, end) of each regular file of the tars."""
    unpack(archives, keep)
    sizes = [path.stat().st_size for path in archives]
    with progress_bar(sum(sizes) >> 20, f"list {counted(len(archives), 'tar')}", "MB") as bar:
        for archive, size in zip(archives, sizes):
            with open_archive(archive, keep) as opened:
                for member, begin, end in members(opened.file, archive, 0, opened.end):
                    yield archive, opened, member, begin, end
            bar.update(size >> 20)


def file_name(member: str) -> str:
    """Return the name without folders, by which each layout names an image."""
    return member if is_hidden(member) else member.rstrip("/").rpartition("/")[2]


def members(file: IO[bytes], archive: Path, begin: int, end: int, within: str = ""
            ) -> Iterator[tuple[str, int, int]]:
    """Yield (name, begin, end) of each regular file of the tar in those bytes of the file.

    Args:
        within: the member of the archive that is the tar, where it is not the archive itself.

    Raises:
        RequestError: the tar is not complete, or a member is unsafe.
    """
    last, position = "", begin  # the member read last, and the byte where reading continues
    file.seek(begin)  # where tarfile starts; its offsets are those of the whole file
    try:
        with naming_file(archive), tarfile.open(fileobj=file, mode="r:") as tar:
            # A class tar without end marker ends where the next one's header begins.
            while position < end:
                member = _next_member(tar, file, position, begin, archive)
                if member is None:
                    break
                if not member.is_folder:
                    if not member.begin <= member.end <= end:
                        raise tarfile.ReadError(f"'{member.name}' continues past the end")
                    yield member.name, member.begin, member.end
                last, position = member.name, min(member.following, end)
        _check_end(file, position, begin, end)
    # A damaged extended header makes tarfile raise whatever the first wrong number leads to.
    except (tarfile.TarError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        tar_name = f"'{within}' in {archive}" if within else f"{archive}"
        after = f"after '{last}'" if last else "at its start"
        raise RequestError(f"{tar_name} is not a whole tar archive ({error}, {after}, at byte "
                           f"{position}); fetch it again") from None


def _next_member(tar: tarfile.TarFile, file: IO[bytes], position: int, begin: int, archive: Path
                 ) -> Optional[_TarMember]:
    """Return the member of the tar whose header is at that position; None if there is none."""
    if position > begin:  # tarfile has read the first member
        file.seek(position)
        plain = None if tar.pax_headers else plain_member(file.read(HEADER_BYTES))  # no defaults
        if plain:
            name, headers, size = plain
            data = position + headers
            return _TarMember(name, data, data + size,
                              data + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE, False)
        tar.offset = position
    member = tar.next()
    # It would keep all members; its type hints hide the list.
    tar.members = []  # type: ignore[attr-defined]
    if member is None:
        return None
    _check_extended_headers(file, position, member)
    if not member.isdir():
        _check_member(member, archive)
    return _TarMember(member.name, member.offset_data, member.offset_data + member.size,
                      tar.offset, member.isdir())


def _check_end(file: IO[bytes], position: int, begin: int, end: int) -> None:
    """Raise tarfile.ReadError unless there are only the zeros that end a tar from there on."""
    file.seek(position)
    rest = file.read(min(end - position, END_BYTES + MAX_RECORD_BYTES + 1))
    zeros = len(rest) - len(rest.lstrip(b"\0"))
    if zeros < min(tarfile.BLOCKSIZE, len(rest)):
        raise tarfile.ReadError("there is no tar header")
    if zeros < len(rest):
        raise tarfile.ReadError(f"zeros are followed by more data (at byte {position + zeros})")
    if zeros < END_BYTES:
        raise tarfile.ReadError("it ends without the two blocks of zeros that end a tar")
    read_all = zeros <= END_BYTES + MAX_RECORD_BYTES
    if read_all and zeros % tarfile.BLOCKSIZE:
        raise tarfile.ReadError("its size is not a multiple of 512 bytes: some are missing")
    if not read_all or zeros >= END_BYTES + _longest_record(position + zeros - begin):
        raise tarfile.ReadError("zeros begin, more than those that end a tar")


def _longest_record(size: int) -> int:
    """Return the bytes of the longest record of which a tar of that size can be a multiple."""
    blocks = size // tarfile.BLOCKSIZE
    longest = min(blocks, MAX_RECORD_BYTES // tarfile.BLOCKSIZE)
    return tarfile.BLOCKSIZE * next(k for k in range(longest, 0, -1) if blocks % k == 0)


def _check_extended_headers(file: IO[bytes], position: int, member: tarfile.TarInfo) -> None:
    """Raise tarfile.ReadError for a damaged extended header from ``position`` on: no checksum
    protects what it says, and tarfile takes the name that was cut to 100 bytes instead. An image
    that became one by a damaged type would vanish."""
    if not member.name:
        raise tarfile.ReadError("a member has no name")
    file.seek(position)
    blocks = file.read(member.offset_data - position)
    while (kind := blocks[156:157]) in (*_GNU_KINDS, *_PAX_KINDS):
        size = int(blocks[124:136].strip(b"\0 "), 8)
        content = blocks[tarfile.BLOCKSIZE:tarfile.BLOCKSIZE + size]
        is_name = kind in _GNU_KINDS and b"\0" not in content.rstrip(b"\0")
        if not (is_name or kind in _PAX_KINDS and _are_records(content)):
            raise tarfile.ReadError("an extended header is damaged")
        blocks = blocks[tarfile.BLOCKSIZE * (1 + -(-size // tarfile.BLOCKSIZE)):]


def _are_records(rest: bytes) -> bool:
    """Return whether the bytes are pax's records: ``<bytes of the record> <key>=<value>\\n``."""
    while rest:
        digits = rest[:20].split(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        if not (0 < length <= len(rest) and rest[length - 1:length] == b"\n"):
            return False
        rest = rest[length:]
    return True


def _check_member(member: tarfile.TarInfo, archive: Path) -> None:
    check_utf8(member.name, archive)
    if member.name.startswith("/") or ".." in member.name.split("/"):
        raise RequestError(f"'{member.name}' in {archive} points outside of the archive; give "
                           "ImageNet's own archive")
    if not member.isreg() or member.issparse():
        raise RequestError(f"'{member.name}' in {archive} is not a regular file (a link or a "
                           "device); give ImageNet's own archive")
