"""The output folder while a conversion is under way: what was asked, what is finished.

    out/.building/request.json    what this conversion was asked for
    out/.building/00003/          a finished shard with its report, fsynced, moved here in one step
    out/.building/00004.<host>.<process>.tmp/       a shard being built

Nothing stands in ``out`` itself until every shard is finished; then they are moved up and the
manifest is written last. A conversion killed at any moment goes on from its finished shards.
Hosts that convert a range of shards each share the folder; all else has it alone.
"""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

from common.cli import RequestError
from common.files import claim_folder, fsync_folder, locked_file
from convert.records.manifest import MANIFEST_NAME, Manifest
from convert.sharding import ShardPlan
from convert.shards import REPORT_NAME, ShardReport, finished_folder

BUILDING = ".building"
_REQUEST = "request.json"
_LOCK = "lock"


@contextlib.contextmanager
def locked_workspace(out: Path, request: Dict[str, Any], shared: bool = False) -> Iterator[Path]:
    """Open ``out`` for the conversion described by ``request`` and yield its building folder.

    Args:
        shared: others may build shards of the same request at the same time.

    Raises:
        RequestError: ``out`` holds something else, a conversion of another request, or one that
            is running now.
    """
    building = out / BUILDING
    _refuse_foreign_contents(out)
    building.mkdir(parents=True, exist_ok=True)
    refusal = f"{out}: another conversion is writing there; wait for it or give another --out"
    with locked_file(building / _LOCK, refusal, shared):
        claim_folder(building / _REQUEST, request,
                     f"{out} holds a half-done conversion of another request",
                     f"ask for the same, give another --out, or remove {building} to start over")
        if not shared:
            _remove_unfinished(building)
        yield building


def _refuse_foreign_contents(out: Path) -> None:
    if not out.exists() or (out / BUILDING).is_dir():
        return
    if not out.is_dir() or any(out.iterdir()):
        raise RequestError(f"{out} is not an empty folder and not a conversion under way; give "
                           "another --out or remove it")


def _remove_unfinished(building: Path) -> None:
    """Remove what killed conversions left half-built; only for who has the folder alone."""
    for path in building.glob("*.tmp"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def finished_report(out: Path, building: Path, plan: ShardPlan) -> Optional[ShardReport]:
    """The report of a shard that is finished and whole, or None when it is still to be built."""
    folder = finished_folder(building, plan.index)
    path = folder / REPORT_NAME
    if not path.exists():
        return None
    report = ShardReport.read(path)
    sizes = {report.shard.file: report.shard.bytes,
             report.shard.index_file: report.shard.index_bytes}
    for name, size in sizes.items():
        places = [place / name for place in (folder, out) if (place / name).exists()]
        if not places or places[0].stat().st_size != size:
            shutil.rmtree(folder)
            return None
    return report


def publish(out: Path, building: Path, reports: Dict[int, ShardReport]) -> None:
    """Move shards, given by index, to their final places; what was moved already stays there."""
    for index, report in reports.items():
        folder = finished_folder(building, index)
        for name in (report.shard.index_file, report.shard.file):
            if (folder / name).exists():
                os.replace(folder / name, out / name)
    fsync_folder(out)


def publish_manifest(out: Path, building: Path, manifest: Manifest) -> None:
    """The last step: it says that all is there. Written in ``building``, so that a kill leaves
    nothing in ``out`` that would not be removed."""
    manifest.write(building)
    os.replace(building / MANIFEST_NAME, out / MANIFEST_NAME)
    fsync_folder(out)


def clear(out: Path) -> None:
    """Remove the building folder of a conversion whose manifest stands."""
    if (out / MANIFEST_NAME).exists() and (out / BUILDING).is_dir():
        shutil.rmtree(out / BUILDING)
