"""Files that matter: written next to their place, fsynced, then moved; read or refused."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Iterable, Iterator, Mapping, Sequence, Union

from common.cli import RequestError
from common.json_text import parse_json
from common.text import short_digest

PathLike = Union[str, os.PathLike]
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# What file systems answer that lack a call: exFAT, SMB, buckets mounted as folders, Lustre.
NOT_SUPPORTED = (errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
POLL_SECONDS = 0.1
SECONDS_TO_CLAIM = 10  # for the process that was the first to write its request


@contextlib.contextmanager
def replaced_file(path: PathLike, mode: str = "wb") -> Iterator[IO]:
    """Open a temporary file next to ``path``; on leaving, fsync it and move it onto ``path``.

    A reader sees the old file or the whole new one, never a part. On an exception the
    temporary file is removed and the old file stays. An error of a full disk names ``path``.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        fsync_folder(path.parent)
    except OSError as error:
        if error.errno in NO_ROOM and error.filename is None:  # a write does not know its file
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def naming_file(path: PathLike) -> Iterator[None]:
    """Name the file where reading it fails half-way: Python then says no more than "Input/output
    error". What fails at opening has the file's name already and is left alone.

    Raises:
        RequestError: the disk or the network file system gave an error.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise RequestError(f"{path} could not be read ({error.strerror}): the disk or network file "
                           "system that it is on failed, not the file's content; check it, then "
                           "run the same command again") from error


def open_regular(path: PathLike) -> IO[bytes]:
    """Open a file that a user named; RequestError for a FIFO or a device, which might never end."""
    place = Path(path)
    if place.is_dir():
        raise RequestError(f"{path} is a folder; give a file")
    if place.exists() and not place.is_file():
        raise RequestError(f"{path} is a FIFO, a socket or a device; give a regular file")
    return open(path, "rb")


def read_bytes(path: PathLike) -> bytes:
    """Return the bytes of a regular file; RequestError where its disk fails half-way."""
    with naming_file(path), open_regular(path) as file:
        return file.read()


def make_folder(folder: PathLike, flag: str) -> None:
    """Make the folder that ``flag`` names, unless it exists; RequestError where it cannot be
    written."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder)):
            pass
    except OSError as error:
        raise RequestError(f"{flag} {folder}: no folder that can be written ({error.strerror}); "
                           "choose another one") from None


def existing_folder(path: PathLike) -> Path:
    """Return ``path``, or the nearest folder above it that exists: that of its disk."""
    return next(each for each in (Path(path), *Path(path).absolute().parents) if each.exists())


def fsync_folder(folder: PathLike) -> None:
    """Make the names in ``folder`` durable, where the file system can: without it a moved file may
    vanish in a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise
    finally:
        os.close(descriptor)


def make_durable(path: PathLike) -> None:
    """Fsync a file that another library wrote and make it readable as umask says: MindSpore makes
    its files private."""
    with contextlib.suppress(PermissionError):  # exFAT: all files have the mode of the mount
        os.chmod(path, 0o666 & ~_umask())
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    """Return the umask; ``os.umask`` would have to set it to return it, for all threads at once."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    raise OSError("/proc/self/status has no Umask line (Linux 4.7 or newer is needed)")


def write_text(path: PathLike, text: str) -> None:
    with replaced_file(path, "w") as file:
        file.write(text)


def write_json(path: PathLike, value: object) -> None:
    """Write ``value`` as indented JSON; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: PathLike, remedy: str) -> dict[str, Any]:
    """Return the JSON object that the file holds.

    Args:
        remedy: what the user can do about a damaged file; ends the error.

    Raises:
        RequestError: the file is not a JSON object.
    """
    try:
        value = parse_json(read_bytes(path).decode("utf-8"))
    except ValueError as error:
        raise RequestError(f"{path} is damaged ({error}); {remedy}") from None
    if not isinstance(value, dict):
        raise RequestError(f"{path} does not hold a JSON object; {remedy}")
    return value


def read_lines(path: PathLike, content: str) -> list[str]:
    """Return the lines of a text file without the spaces at their ends; blank ones are kept.

    Args:
        content: what a line holds, for the errors: "image id".

    Raises:
        RequestError: there is no such file, or it is not text.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except FileNotFoundError:
        raise RequestError(f"{path} does not exist; give a text file with one {content} per line"
                           ) from None
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not a text file; put one {content} on each line") from None
    return [line.strip() for line in text.splitlines()]


def describe_difference(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the keys whose values differ: ``seed: was 0, now 7``; empty if none do. Digests are
    shortened."""
    def shown(key: str, value: Any) -> Any:
        return short_digest(value) if key.endswith("sha256") and value else value

    return ", ".join(f"{key}: was {shown(key, earlier.get(key))}, now {shown(key, now.get(key))}"
                     for key in sorted(earlier.keys() | now.keys())
                     if earlier.get(key) != now.get(key))


def claim_folder(path: PathLike, request: Mapping[str, Any], whose: str, remedy: str,
                 obsolete: Sequence[str] = ()) -> None:
    """Write ``request`` to ``path``; a request written there before has to be the same.

    Args:
        obsolete: keys that earlier versions wrote, which are not compared.

    Raises:
        RequestError: it is another; the message has ``whose``, what differs and ``remedy``.
    """
    path = Path(path)
    if not path.exists():
        own = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
        write_json(own, request)
        _move_if_first(own, path)
        own.unlink(missing_ok=True)
        fsync_folder(path.parent)
    earlier = read_json(path, f"remove {path}")
    difference = describe_difference({key: value for key, value in earlier.items()
                                      if key not in obsolete}, request)
    if difference:
        raise RequestError(f"{whose} ({difference}); {remedy}")


def _move_if_first(own: Path, path: Path) -> None:
    """Make ``own`` the file ``path``, unless another process, also on another host, did so first.
    """
    with contextlib.suppress(FileExistsError):
        try:
            os.link(own, path)
            return
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
        # No hard links here: who makes this file is the first. The others wait for the request,
        # which is missing for good if the first one was killed.
        mark = path.with_name(f"{path.name}.claimed")
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            deadline = time.monotonic() + SECONDS_TO_CLAIM
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        if not path.exists():
            os.replace(own, path)


def read_json_lines(path: PathLike) -> list[dict[str, Any]]:
    """Return an object per line; a last line that a kill cut short is left out.

    Raises:
        RequestError: another line is no JSON object.
    """
    lines, objects = read_bytes(path).split(b"\n"), []
    for number, line in enumerate(lines[:-1], start=1):  # nothing follows the last line feed
        try:
            objects.append(dict(parse_json(line)))
        except (ValueError, TypeError):
            raise RequestError(f"{path}, line {number}, is damaged; remove that line") from None
    return objects


@contextlib.contextmanager
def locked_file(path: PathLike, refusal: str, shared: bool = False, without_locks: str = ""
                ) -> Iterator[None]:
    """Hold the lock on ``path`` (created if missing); a killed process releases it.

    Args:
        without_locks: what to do on a file system that has no locks; empty: warn and do without.

    Raises:
        RequestError: with ``refusal``, if another process holds it, or with ``without_locks``.
    """
    with open(path, "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError(refusal) from None
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
            fact = f"{_file_system(path)} has no locks ({error.strerror})"
            if without_locks:
                raise RequestError(f"{fact}: {without_locks}") from None
            print(f"warning: {fact}: nothing stops another process from writing there at once",
                  file=sys.stderr, flush=True)
        yield


def _file_system(path: PathLike) -> str:
    """Return what a user knows the file system of ``path`` by: ``the file system lustre at /mnt``.
    """
    real = os.path.realpath(path)
    mounts = (line.split()[1:3] for line in
              Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines())
    above = [(place.replace("\\040", " "), kind) for place, kind in mounts]
    place, kind = max((mount for mount in above if os.path.join(real, "").startswith(
        os.path.join(mount[0], ""))), key=lambda mount: len(mount[0]))
    return f"the file system {kind} at {place}"


def sha256_of_file(path: PathLike) -> str:
    """Return the sha256 of the file's bytes, 64 hex digits."""
    with naming_file(path), open_regular(path) as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_lines(lines: Iterable[object]) -> str:
    """Return the sha256 of the lines, each ended by a line feed, in UTF-8: 64 hex digits."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
