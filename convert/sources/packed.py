"""Tars in gzip, such as Hugging Face's `train_images_0.tar.gz`.

gzip can be read from its beginning only, and shards need images from anywhere. So a conversion
unpacks each archive once, into the folder that it builds its shards in: a conversion that resumes
finds it there, and it is removed with that folder when the record set is complete. Where nothing
may be written (``--list``), the archive is read once from beginning to end.
"""

import contextlib
import gzip
import os
import shutil
import sys
import tarfile
import zlib
from pathlib import Path
from typing import IO, Any, Iterator, NamedTuple, Optional, Sequence, cast

from common.cli import RequestError
from common.files import (existing_folder, locked_file, naming_file, open_regular, replaced_file,
                          sha256_of_lines)
from common.progress import progress_bar
from common.text import counted

GZIP_MAGIC = b"\x1f\x8b"
BLOCK_BYTES = 1 << 20
# tarfile goes back to headers that it has read, and an archive's end is looked for in 1 MB.
WINDOW_BYTES = 4 * BLOCK_BYTES
SIZE_MODULUS = 1 << 32  # gzip's trailer has the size modulo this
SMALLEST_SHARE = 0.999  # of its size that data can be packed to, if they are no smaller: JPEGs


class OpenArchive(NamedTuple):
    """A tar that is open for listing."""

    file: IO[bytes]
    end: int  # no byte of the tar is at this position or after it
    container: str  # the file that images are read from, for ``SourceFile``


def stored_archive(path: Path) -> Path:
    """Return the path, or that of the archive in gzip where there is no other."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.is_file() and not path.is_file() else path


@contextlib.contextmanager
def open_archive(archive: Path, keep: Optional[Path]) -> Iterator[OpenArchive]:
    """Open a tar, which ``unpack`` has unpacked if it is in gzip and there is a ``keep``."""
    if not _is_packed(archive):
        with open_regular(archive) as file:
            yield OpenArchive(file, archive.stat().st_size, archive.name)
    elif keep is None:
        stream = _Stream(archive)
        yield OpenArchive(cast(IO[bytes], stream), sys.maxsize, archive.name)
    else:
        place = _unpacked(archive, keep)
        with open_regular(place) as file:
            yield OpenArchive(file, place.stat().st_size, str(place.absolute()))


def state_of_files(source: Path, extensions: Sequence[str]) -> str:
    """Return a digest of the names, sizes and times of the files in a source with archives in gzip,
    and of the endings of images in them: by these a finished conversion is known without reading
    the archives once more. Empty where there are none."""
    if not any(source.glob("*.gz")):
        return ""
    states = ((path.name, path.stat()) for path in sorted(source.iterdir()) if path.is_file())
    return sha256_of_lines([" ".join(extensions),
                            *(f"{name} {state.st_size} {state.st_mtime_ns}"
                              for name, state in states)])


def unpack(archives: Sequence[Path], keep: Optional[Path]) -> None:
    """Unpack those of the archives that are in gzip into the folder ``keep``, unless they are there
    from an earlier attempt; without ``keep``, do nothing.

    Raises:
        RequestError: an archive is damaged or incomplete, the disk has too little room, or another
            conversion is unpacking there.
    """
    packed = [path for path in archives if keep is not None and _is_packed(path)]
    if keep is None or not packed:
        return
    keep.mkdir(parents=True, exist_ok=True)
    with locked_file(keep / "lock", f"{keep}: another conversion is unpacking archives there; "
                     "start this one again when it has done so"):
        for unfinished in keep.glob(".*.tmp"):  # left by a conversion that was killed
            unfinished.unlink()
        todo = [path for path in packed if not _is_unpacked(path, keep)]
        if todo:
            _check_room(todo, keep)
        with progress_bar(sum(path.stat().st_size for path in todo) >> 20,
                          f"unpack {counted(len(todo), 'archive')}", "MB") as bar:
            for archive in todo:
                _unpack(archive, keep, bar)


def _unpacked(archive: Path, keep: Path) -> Path:
    return keep / archive.stem


def _is_packed(archive: Path) -> bool:
    """Return whether it is in gzip: a browser may have unpacked it under its old name.

    Raises:
        RequestError: it is in gzip, but its name says that it is not.
    """
    with naming_file(archive), open_regular(archive) as file:
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    if packed and archive.suffix != ".gz":
        raise RequestError(f"{archive} is in gzip, although its name does not say so; rename it to "
                           f"{archive.name}.gz")
    return packed


def _is_unpacked(archive: Path, keep: Path) -> bool:
    """Return whether it was unpacked as it is now: what is unpacked gets the archive's time."""
    place = _unpacked(archive, keep)
    return place.exists() and int(place.stat().st_mtime) == int(archive.stat().st_mtime)


def _check_room(archives: Sequence[Path], keep: Path) -> None:
    needed = sum(map(_unpacked_bytes, archives))
    free = shutil.disk_usage(existing_folder(keep)).free
    what = counted(len(archives), "archive")
    if free < 2 * needed:
        raise RequestError(f"{keep}: {what} ({archives[0].name} …) would be unpacked there during "
                           f"the conversion, {_gigabytes(needed)}, and the record set needs as "
                           f"much, but the disk has {_gigabytes(free)} free; make room, give "
                           "another --out, or unpack them elsewhere with gunzip -k")
    print(f"{what} in gzip: unpacked to {keep}, about {_gigabytes(needed)} until the record set is "
          "complete", file=sys.stderr)


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:,.1f} GB"


def _unpacked_bytes(archive: Path) -> int:
    """Return the bytes that it will have, by its trailer: of a tar of JPEGs, about as many."""
    size = archive.stat().st_size
    with naming_file(archive), open_regular(archive) as file:
        file.seek(max(0, size - 4))
        last = int.from_bytes(file.read(4), "little")
    return last + max(0, -(-(int(size * SMALLEST_SHARE) - last) // SIZE_MODULUS)) * SIZE_MODULUS


def _unpack(archive: Path, keep: Path, bar: Any) -> None:
    before = bar.n
    with replaced_file(_unpacked(archive, keep)) as target:
        for block, read in _blocks(archive):
            target.write(block)
            bar.update(before + (read >> 20) - bar.n)
        target.flush()
        status = archive.stat()
        os.utime(target.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))


def _blocks(archive: Path) -> Iterator[tuple[bytes, int]]:
    """Yield what is in the gzip file, and how many of its bytes have been read.

    Raises:
        RequestError: it is damaged, or ends without its trailer.
    """
    try:
        with naming_file(archive), open_regular(archive) as stored, \
                gzip.GzipFile(fileobj=stored) as file:
            while block := file.read(BLOCK_BYTES):
                yield block, stored.tell()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RequestError(f"{archive} is not a whole gzip file ({error}); fetch it again"
                           ) from None


class _Stream:
    """What is in a gzip file, for a reader that only goes back by less than the window."""

    def __init__(self, archive: Path) -> None:
        self._blocks = _blocks(archive)
        self._window = b""
        self._end = 0  # the position at which the window ends
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        self._read_to(position)
        self._position = position

    def read(self, size: int) -> bytes:
        self._read_to(self._position + size)
        begin = self._position - (self._end - len(self._window))
        if begin < 0:
            raise tarfile.ReadError(f"a header is longer than {WINDOW_BYTES:,} bytes")
        data = self._window[begin:begin + size]
        self._position += len(data)
        return data

    def _read_to(self, position: int) -> None:
        while self._end < position:
            block, _ = next(self._blocks, (b"", 0))
            if not block:
                return
            self._window = (self._window + block)[-WINDOW_BYTES:]
            self._end += len(block)
