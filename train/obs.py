"""Files on OBS, Huawei Cloud's object storage, and their copies on this host: the record sets, and
the run folder, which is fetched before a run resumes and uploaded after each epoch.

OBS is reached through ``moxing``, which is installed on ModelArts only; nothing imports it unless
a path begins with ``obs://``.
"""

import contextlib
import fcntl
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterator

from common.cli import RequestError
from common.forms import CONFIG, HISTORY
from convert.records.manifest import MANIFEST_NAME, read_manifest
from convert.records.reader import open_records
from train.checkpoints import CHECKPOINTS


def is_obs(path: str) -> bool:
    return path.startswith("obs://")


def join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def call_moxing(operation: str, *paths: str, **options: Any) -> Any:
    """Call ``moxing.file.<operation>``.

    Raises:
        RequestError: moxing is missing, or whatever went wrong in it: the exceptions of its
            copies are those of many layers and have no common base.
    """
    try:
        import moxing
    except ImportError:
        raise RequestError(f"{paths[0]}: paths on OBS need the package moxing, which exists on "
                           "ModelArts only; give a local path") from None
    try:
        return getattr(moxing.file, operation)(*paths, **options)
    except Exception as error:
        raise RequestError(f"{operation} of {' to '.join(paths)} failed "
                           f"({type(error).__name__}: {error}); check the path and the job's "
                           "access to the bucket") from error


def list_names(folder: str) -> list[str]:
    """Return the names in a folder on OBS; none if there is no such folder."""
    if not call_moxing("exists", folder):
        return []
    return [name.rstrip("/") for name in call_moxing("list_directory", folder)]


@contextlib.contextmanager
def host_lock(place: Path) -> Iterator[None]:
    """Let the ranks of this host have ``place`` one after the other: the first one copies, the
    others find the copy.

    The lock is one of the process (POSIX): the helpers that moxing starts do not inherit it.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_name(f".{place.name}.lock"), "w", encoding="utf-8") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def fetch_records(source: str, place: Path) -> None:
    """Copy the record set ``source`` on OBS to ``place`` unless it is there.

    Raises:
        RequestError: ``source`` is no record set, there is no room for it, or the copy is not
            whole.
    """
    url = join(source, MANIFEST_NAME)
    if not call_moxing("exists", url):
        raise RequestError(f"{source} is not a record set: it has no {MANIFEST_NAME}; convert "
                           "into it first (python -m convert run)")
    manifest = call_moxing("read", url, binary=True)
    with host_lock(place):
        if place.exists():
            try:
                return _check_copy(place, manifest)
            except RequestError as error:
                print(f"note: copying again, since {error}", flush=True)
        _make_room(source, place, manifest)
        start = time.perf_counter()
        print(f"copying {source} to {place}", flush=True)
        call_moxing("copy_parallel", source, str(place))
        try:
            _check_copy(place, manifest)
        except RequestError as error:
            raise RequestError(f"the copy of {source} is not whole: {error}") from None
        print(f"copied {source} in {time.perf_counter() - start:.0f} s", flush=True)


def _check_copy(place: Path, manifest: bytes) -> None:
    """Raise RequestError unless ``place`` holds all files of that record set, each of its size; the
    manifest names the digest of every shard, and so differs between any two sets."""
    open_records(place)
    if (place / MANIFEST_NAME).read_bytes() != manifest:
        raise RequestError(f"{place} holds another record set, or the set was changed meanwhile")


def _make_room(source: str, place: Path, manifest: bytes) -> None:
    """Make the folder ``place`` in place of a useless copy; there may be no room for both."""
    if place.exists():
        shutil.rmtree(place)
    place.mkdir()
    (place / MANIFEST_NAME).write_bytes(manifest)
    needed = sum(shard.bytes + shard.index_bytes for shard in read_manifest(place).shards)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise RequestError(f"{place.parent} has room for {free / 1e9:.1f} GB, {source} takes "
                           f"{needed / 1e9:.1f} GB; give a larger disk with --local_dir")


class RunOnObs:
    """The run folder ``folder`` on this host and its copy on OBS, ``url``.

    A checkpoint on OBS counts once its ``.meta`` is there. History is uploaded before it, as the
    trainer writes it: resuming removes lines after the last checkpoint, but adds none.
    """

    def __init__(self, folder: Path, url: str):
        self.folder, self.url = folder, url
        self._failure = ""  # of the last upload; empty if all is on OBS
        self._thread = threading.Thread()

    def check_unused(self) -> None:
        """Raise RequestError if OBS holds a run already; a plan alone is none."""
        used = {CONFIG, HISTORY, CHECKPOINTS}.intersection(list_names(self.url))
        if used:
            raise RequestError(f"--train_url {self.url} is in use (it holds {min(used)}); give "
                               "--resume to resume that run, or another --train_url")

    def fetch(self) -> None:
        """Copy the run to this host, unless the folder here has the newest whole epoch of OBS or,
        after uploads that failed, a later one.

        Raises:
            RequestError: the folder holds another run.
        """
        with host_lock(self.folder):
            theirs = _last_whole_step(list_names(join(self.url, CHECKPOINTS)))
            if not theirs:
                return
            self._check_same_run()
            ours = [path.name for path in self.folder.glob(f"{CHECKPOINTS}/*")]
            if _last_whole_step(ours) >= theirs:
                return
            print(f"copying the run {self.url} to {self.folder}", flush=True)
            copying = self.folder.with_name(f".{self.folder.name}.copying")
            for folder in (copying, self.folder):
                shutil.rmtree(folder, ignore_errors=True)
            call_moxing("copy_parallel", self.url, str(copying))
            copying.rename(self.folder)

    def _check_same_run(self) -> None:
        """Raise RequestError unless one history is the beginning of the other."""
        ours, url = self.folder / HISTORY, join(self.url, HISTORY)
        if not ours.exists() or not call_moxing("exists", url):
            return
        lines, theirs = ours.read_bytes(), call_moxing("read", url, binary=True)
        if not lines.startswith(theirs) and not theirs.startswith(lines):
            raise RequestError(f"{self.folder} holds another run than {self.url}; remove it or "
                               "give another --local_dir")

    def start_upload(self) -> None:
        """Upload what is new in a thread, once the last upload has ended."""
        self._wait()
        # Listed here and now: while the thread copies, the trainer may be writing the next epoch.
        self._thread = threading.Thread(target=self._upload, args=[self._files()])
        self._thread.start()

    def finish(self) -> None:
        """Wait for the last upload; repeat it once if it failed.

        Raises:
            RequestError: it failed again.
        """
        self._wait()
        if self._failure:
            self._upload(self._files())
        if self._failure:
            raise RequestError(f"the run is kept in {self.folder} but {self.url} lacks its last "
                               f"files ({self._failure}); copy that folder there")

    def _wait(self) -> None:
        if self._thread.is_alive():
            self._thread.join()

    def _files(self) -> list[Path]:
        """Return what belongs on OBS, relative to the folder, in the order of uploading; hidden
        files are unfinished."""
        files = [path.relative_to(self.folder) for path in self.folder.rglob("[!.]*")
                 if path.is_file() and not path.is_symlink()  # OBS has no links
                 and not path.parent.name.startswith(".")]
        last = {".ckpt": 1, ".meta": 2}
        return sorted(files, key=lambda path: (last.get(path.suffix, 0), path))

    def _upload(self, files: list[Path]) -> None:
        """Upload ``files`` except the checkpoints that OBS has, and remove those there that are not
        among them; a failure is a warning, so that it does not end the training."""
        try:
            theirs = list_names(join(self.url, CHECKPOINTS))
            for path in files:
                if path.with_suffix(".meta").name not in theirs:
                    call_moxing("copy", str(self.folder / path), join(self.url, path.as_posix()))
            ours = {path.name for path in files}
            for name in theirs:
                if name.startswith("inceptionv4-") and name not in ours:  # else it is the user's
                    call_moxing("remove", join(self.url, f"{CHECKPOINTS}/{name}"))
            self._failure = ""
        except Exception as error:  # whatever it is: the files are safe here, and it is reported
            self._failure = f"{type(error).__name__}: {error}"
            print(f"warning: {self.folder} could not be copied to {self.url}, which is tried again "
                  f"after the next save: {error}", file=sys.stderr, flush=True)


def _last_whole_step(names: list[str]) -> int:
    """Return the step of the last checkpoint that has its ``.meta``; 0 if there is none."""
    return max([int(Path(name).stem.rsplit("_", 1)[1]) for name in names
                if name.endswith(".meta") and f"{Path(name).stem}.ckpt" in names], default=0)
