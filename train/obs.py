"""Files on OBS, Huawei Cloud's object storage, and their copies on the disk of this host.

OBS is reached through ``moxing``, which is installed on ModelArts only; nothing imports it unless
a path begins with ``obs://``.

Several processes of a host want the same files at the same time. One copies, the others wait for
a lock that the kernel takes from a process that dies. It is a lock of the process (POSIX), not of
the open file (flock): moxing starts processes of its own, and one that outlived a killed copier
would go on holding an flock and keep all others waiting.
"""

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import Any, Iterator

from common.cli import RequestError
from common.files import fsync_folder
from convert.records.manifest import MANIFEST_NAME, read_manifest
from convert.records.reader import open_records

SCHEME = "obs://"


def is_obs(path: str) -> bool:
    return path.startswith(SCHEME)


def join(folder: str, *names: str) -> str:
    return "/".join([folder.rstrip("/"), *names])


def call_moxing(operation: str, *paths: str) -> Any:
    """Call ``moxing.file.<operation>``.

    Raises:
        RequestError: moxing is missing, or whatever went wrong in it: the exceptions of its
            copies are those of many layers and have no common base.
    """
    try:
        import moxing
    except ImportError:
        raise RequestError(f"{paths[0]}: paths on OBS need the package moxing, which is there on "
                           "ModelArts only; give a local path") from None
    try:
        return getattr(moxing.file, operation)(*paths)
    except Exception as error:
        raise RequestError(f"{operation} of {' to '.join(paths)} failed "
                           f"({type(error).__name__}: {error}); check the path and the job's "
                           "access to the bucket") from error


def list_names(folder: str) -> list[str]:
    """Names in a folder on OBS, sorted; none when there is no such folder."""
    if not call_moxing("exists", folder):
        return []
    return sorted(name.rstrip("/") for name in call_moxing("list_directory", folder))


@contextlib.contextmanager
def host_lock(place: Path) -> Iterator[None]:
    """Have ``place``, a path on this host's disk, to oneself among the host's processes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_name(f".{place.name}.lock"), "w", encoding="utf-8") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def replaced_folder(place: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``place`` and move it there on leaving; needs its lock.

    What earlier copiers left half-done is removed. The folder bears the process's number, since
    helpers of a killed copier may still be writing into that one's folder.
    """
    for leftover in place.parent.glob(f".{place.name}.*.copying"):
        shutil.rmtree(leftover)
    folder = place.with_name(f".{place.name}.{os.getpid()}.copying")
    folder.mkdir()
    try:
        yield folder
        _remove(place)
        os.replace(folder, place)
        fsync_folder(place.parent)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def bring_records(source: str, place: Path) -> None:
    """See that ``place`` holds the record set ``source`` on OBS; one process of the host copies.

    A copy that is there already is known by its manifest, which names the digest of every shard
    and so differs between any two sets, and by the sizes of its files; any other is replaced.

    Raises:
        RequestError: no record set there, no room for it here, or a copy that is not whole.
    """
    with host_lock(place), _fetched_manifest(source, place) as manifest:
        if _is_copy(place, manifest):
            return
        _remove(place)  # of no use to this job, and there may be no room for both
        _check_room(source, place, manifest.parent)
        _copy_records(source, place, manifest)


@contextlib.contextmanager
def _fetched_manifest(source: str, place: Path) -> Iterator[Path]:
    folder = place.with_name(f".{place.name}.manifest")
    folder.mkdir(exist_ok=True)
    url, manifest = join(source, MANIFEST_NAME), folder / MANIFEST_NAME
    try:
        if not call_moxing("exists", url):
            raise RequestError(f"{source} is not a record set: it has no {MANIFEST_NAME}; convert "
                               "into it first (python -m convert run)")
        call_moxing("copy", url, str(manifest))
        yield manifest
    finally:
        shutil.rmtree(folder)


def _is_copy(place: Path, manifest: Path) -> bool:
    own = place / MANIFEST_NAME
    if not own.exists() or own.read_bytes() != manifest.read_bytes():
        return False
    try:
        open_records(place)
    except RequestError as error:  # files were removed or cut
        print(f"note: copying again, since {error}", flush=True)
        return False
    return True


def _check_room(source: str, place: Path, manifest_folder: Path) -> None:
    needed = sum(shard.bytes + shard.index_bytes
                 for shard in read_manifest(manifest_folder).shards)
    free = shutil.disk_usage(place.parent).free
    if needed > free:
        raise RequestError(f"{place.parent} has room for {free / 1e9:.1f} GB, {source} takes "
                           f"{needed / 1e9:.1f} GB; give a larger disk with --local_dir")


def _copy_records(source: str, place: Path, manifest: Path) -> None:
    start = time.perf_counter()
    print(f"copying {source} to {place}", flush=True)
    with replaced_folder(place) as folder:
        call_moxing("copy_parallel", source, str(folder))
        _check_copy(source, folder, manifest)
    print(f"copied {source} in {time.perf_counter() - start:.0f} s", flush=True)


def _check_copy(source: str, folder: Path, manifest: Path) -> None:
    try:
        if open_records(folder) and (folder / MANIFEST_NAME).read_bytes() == manifest.read_bytes():
            return
    except RequestError as error:
        raise RequestError(f"the copy of {source} is not whole: {error}") from None
    raise RequestError(f"{source} was changed while it was copied; start again")
