"""The output folder while a conversion is under way: what was asked for, what is finished.

    out/.building/request.json    what this conversion was asked for
    out/.building/source/         archives in gzip, unpacked, and what listing Parquet files found
    out/.building/00003/          a finished shard with its report, fsynced, moved here at once
    out/.building/00004.<host>.<process>.tmp/       a shard being built

``out`` itself stays empty until every shard is finished; then they are moved up and the manifest is
written last. A conversion killed at any moment resumes from its finished shards. Hosts that convert
one range of shards each share the folder; any other command has it alone.
"""

import contextlib
import dataclasses
import errno
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator, Optional

from common.cli import RequestError
from common.files import claim_folder, fsync_folder, locked_file, read_json, write_json
from convert.records.manifest import MANIFEST_NAME, FileNote, Manifest, Shard

BUILDING = ".building"
REPORT_NAME = "report.json"
_REQUEST = "request.json"
_LOCK = "lock"
OF_SOURCE = "source"
_OBSOLETE = ("page_bytes",)  # of a request: compared shard by shard now
WITHOUT_LOCKS = ("mount it with them (Lustre: -o flock), give another --out, or do without with "
                 "--no-lock while nothing else writes there")


@dataclass(frozen=True)
class ShardReport:
    """The contents of a finished shard; ``bad`` images are not in it."""

    entries_sha256: str  # of what it was planned to hold
    shard: Shard
    image_bytes: int
    shrunk: int  # images
    bytes_saved: int  # by shrinking them
    repaired: list[FileNote]
    bad: list[FileNote]


@dataclass(frozen=True)
class Workspace:
    """The folder ``out`` of a conversion under way. Workers get a copy of it."""

    out: Path

    @property
    def building(self) -> Path:
        return self.out / BUILDING

    def _finished(self, index: int) -> Path:
        return self.building / f"{index:05d}"

    @contextlib.contextmanager
    def unfinished_folder(self, index: int) -> Iterator[Path]:
        """Yield a new folder to build a shard in, which no other process on any host has; on
        leaving, it is removed unless ``keep`` has moved it."""
        folder = self.building / f"{index:05d}.{socket.gethostname()}.{os.getpid()}.tmp"
        shutil.rmtree(folder, ignore_errors=True)  # left by a killed process of the same number
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, index: int, folder: Path, report: ShardReport) -> None:
        """Make the shard built in ``folder`` a finished one."""
        write_json(folder / REPORT_NAME, dataclasses.asdict(report))
        try:
            os.replace(folder, self._finished(index))
        except OSError as error:
            # Another host may have built the shard meanwhile: then its files, the same, stay.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        fsync_folder(self.building)

    def is_finished(self, index: int) -> bool:
        """Return whether the shard was finished, whatever has become of it or its images since."""
        return self._finished(index).exists()

    def finished_report(self, index: int, entries_sha256: str) -> Optional[ShardReport]:
        """Return the report of a shard that is finished and whole, or None.

        What is left of a damaged shard is removed, so that it can be built again; so is a shard of
        other images than those planned now, since the source was changed.
        """
        if not self.is_finished(index):
            return None
        folder = self._finished(index)
        report = _read_report(folder / REPORT_NAME)
        # A kill between the moves to the final places leaves files in either folder.
        if (report is not None and report.entries_sha256 == entries_sha256
                and not report.shard.faults(folder, self.out)):
            return report
        self.discard(index)
        return None

    def discard(self, index: int) -> None:
        """Remove a finished shard, so that it is built again."""
        shutil.rmtree(self._finished(index))

    def publish(self, indices: Iterable[int], reports: Iterable[ShardReport]) -> None:
        """Move shards to their final places; what was moved before stays there."""
        for index, report in zip(indices, reports):
            for name in (report.shard.index_file, report.shard.file):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self._finished(index) / name, self.out / name)
        fsync_folder(self.out)

    def publish_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, which says that the record set is complete. It is made in the
        building folder, so that a kill leaves nothing in ``out`` that would not be removed."""
        manifest.write(self.building)
        os.replace(self.building / MANIFEST_NAME, self.out / MANIFEST_NAME)
        fsync_folder(self.out)


def _read_report(path: Path) -> Optional[ShardReport]:
    """Return None for a report that is missing, damaged or of another version."""
    try:
        fields = read_json(path, "the shard is built again")
        return ShardReport(**{**fields, "shard": Shard(**fields["shard"]),
                              "repaired": [FileNote(**item) for item in fields["repaired"]],
                              "bad": [FileNote(**item) for item in fields["bad"]]})
    except (FileNotFoundError, TypeError, KeyError):
        return None
    except RequestError as error:
        if isinstance(error.__cause__, OSError):  # the disk fails: the report may be good
            raise
        return None


def kept_of_source(out: Path) -> Optional[Path]:
    """Return the folder for what a conversion into ``out`` keeps of its source while it is under
    way; None where the record set exists, since nothing is built then.

    Raises:
        RequestError: ``out`` has other contents.
    """
    if (out / MANIFEST_NAME).exists():
        return None
    _refuse_other_contents(out)
    return out / BUILDING / OF_SOURCE


def _refuse_other_contents(out: Path) -> None:
    if out.exists() and not (out / BUILDING).is_dir() and (
            not out.is_dir() or any(out.iterdir())):
        raise RequestError(f"{out} is not an empty folder and not a conversion under way; give "
                           "another --out or remove it")


@contextlib.contextmanager
def locked_workspace(out: Path, request: dict[str, Any], shared: bool = False,
                     no_lock: bool = False) -> Iterator[Workspace]:
    """Open ``out`` for the conversion described by ``request``; once it has its manifest, the
    building folder is removed.

    Args:
        shared: others may build shards of the same request at the same time.
        no_lock: do without the lock, where the file system has none.

    Raises:
        RequestError: ``out`` has other contents, a conversion of another request, or one that is
            running now.
    """
    building = out / BUILDING
    _refuse_other_contents(out)
    building.mkdir(parents=True, exist_ok=True)
    refusal = f"{out}: another conversion is writing there; wait for it or give another --out"
    with contextlib.nullcontext() if no_lock else locked_file(
            building / _LOCK, refusal, shared, without_locks=WITHOUT_LOCKS):
        claim_folder(building / _REQUEST, request,
                     f"{out} holds a half-done conversion of another request",
                     f"ask for the same, give another --out, or remove {out} to start over",
                     obsolete=_OBSOLETE)
        if not shared:
            for path in building.glob("*.tmp"):  # left half-built by killed conversions
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        yield Workspace(out)
    if (out / MANIFEST_NAME).exists():
        shutil.rmtree(building)
