"""A whole conversion: list the source, plan the shards, build them, write the manifest."""

import importlib.metadata
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Iterable

from common.cli import RequestError
from common.files import describe_difference
from convert.engine import build_shards
from convert.records.manifest import (FORMAT_VERSION, MANIFEST_NAME, BlacklistNote, ClassCount,
                                      FileNote, Manifest, RowsDigest, read_manifest)
from convert.records.reader import open_records
from convert.request import Request
from convert.sharding import ConversionPlan, plan_conversion
from convert.workspace import ShardReport, Workspace, clear, locked_workspace

BAD_FILES_SHOWN = 20


def convert(request: Request) -> Manifest:
    """Convert one split into a record set and return its manifest.

    The same source and options give the same bytes, whatever the number of workers and however
    often it was interrupted, where Pillow, which encodes repaired and shrunk images, and
    MindSpore, whose version is in the manifest, are the same. If the same record set exists
    already, nothing is done.

    Raises:
        RequestError: see :func:`convert.sharding.plan_conversion`, a bad image, a source that
            changes, a full disk, a killed worker; no file has its final name then.
    """
    plan = plan_conversion(request)
    if (request.out / MANIFEST_NAME).exists():
        return _existing(request.out, plan.options)
    with locked_workspace(request.out, plan.options) as workspace:
        reports = build_shards(request, plan.shards, workspace)
        manifest = _conclude(plan, workspace, reports)
    clear(request.out)
    return manifest


def convert_range(request: Request, first: int, last: int) -> list[ShardReport]:
    """Build only the shards ``first`` to ``last``, 0-based and both included.

    Several hosts that share ``request.out`` may do so at the same time, each its own range;
    :func:`finish` then makes the record set of them.

    Raises:
        RequestError: as ``convert``, or there are no such shards.
    """
    plan = plan_conversion(request)
    if not 0 <= first <= last < len(plan.shards):
        raise RequestError(f"--shard-range {first}-{last}: the shards are 0 to "
                           f"{len(plan.shards) - 1}")
    part = plan.shards[first:last + 1]
    if (request.out / MANIFEST_NAME).exists():
        raise RequestError(f"{request.out} holds a finished record set already; give another "
                           "--out or remove it")
    with locked_workspace(request.out, plan.options, shared=True) as workspace:
        reports = build_shards(request, part, workspace)
    _refuse_bad(request, reports)
    return reports


def finish(request: Request) -> Manifest:
    """Make the record set of shards that ``convert_range`` built, and write its manifest.

    Raises:
        RequestError: a shard is missing, or a range is still being converted.
    """
    plan = plan_conversion(request)
    if (request.out / MANIFEST_NAME).exists():
        return _existing(request.out, plan.options)
    with locked_workspace(request.out, plan.options) as workspace:
        reports = [workspace.finished_report(shard.index) for shard in plan.shards]
        missing = [index for index, report in enumerate(reports) if report is None]
        if missing:
            raise RequestError(f"{request.out}: {len(missing)} of {len(reports)} shards are not "
                               f"finished ({', '.join(map(str, missing[:8]))}"
                               f"{', …' if len(missing) > 8 else ''}); convert them with "
                               "--shard-range, or all that is missing without it")
        manifest = _conclude(plan, workspace, [report for report in reports if report])
    clear(request.out)
    return manifest


def _conclude(plan: ConversionPlan, workspace: Workspace, reports: list[ShardReport]) -> Manifest:
    """Move the finished shards to their places, then write the manifest."""
    _refuse_bad(plan.request, reports)
    manifest = _manifest(plan, reports)
    workspace.publish(range(len(reports)), reports)
    workspace.publish_manifest(manifest)
    return manifest


def _existing(out: Path, options: dict[str, Any]) -> Manifest:
    manifest = read_manifest(out)
    if manifest.options != options:
        raise RequestError(f"{out} holds another record set "
                           f"({describe_difference(manifest.options, options)}); give another "
                           "--out or remove it")
    open_records(out)  # its files may have been lost since
    clear(out)
    return manifest


def _refuse_bad(request: Request, reports: list[ShardReport]) -> None:
    bad = [note for report in reports for note in report.bad]
    if not bad or request.on_bad == "skip":
        return
    for note in bad[:BAD_FILES_SHOWN]:
        print(f"bad: {note.file_name}: {note.reason}", file=sys.stderr)
    raise RequestError(f"{len(bad)} bad images found so far in {request.source}, the first "
                       f"'{bad[0].file_name}' ({bad[0].reason}); repair or remove them, or leave "
                       "them out with --on-bad skip")


def _manifest(plan: ConversionPlan, reports: list[ShardReport]) -> Manifest:
    listing, blacklist, options = plan.listing, plan.blacklist, plan.options
    rejected = _sorted_notes(r for report in reports for r in report.bad)
    left_out = {note.file_name for note in rejected}
    stored = [entry for entry in listing.entries if entry.file_name not in left_out]
    _check_total(len(stored), reports)
    per_class = Counter(entry.label for entry in stored)
    flagged = {e.image_id for e in stored if e.image_id in blacklist.ids} if blacklist else set()
    rows = RowsDigest()
    for entry in stored:
        rows.add(entry.image_id, entry.label, int(entry.image_id in flagged))
    return Manifest(
        format_version=FORMAT_VERSION, split=listing.split, layout=listing.layout,
        options=options, seed=options["seed"], images=len(stored),
        image_bytes=sum(report.image_bytes for report in reports),
        shrunk=sum(report.shrunk for report in reports),
        bytes_saved=sum(report.bytes_saved for report in reports),
        source_sha256=options["source_sha256"], rows_sha256=rows.sha256(),
        classes=[ClassCount(name, per_class[label])
                 for label, name in enumerate(listing.class_names)],
        shards=[report.shard for report in reports],
        blacklist=BlacklistNote(blacklist.sha256, len(blacklist.ids), len(flagged),
                                blacklist.is_ilsvrc) if blacklist else None,
        ilsvrc=plan.ilsvrc, rejected=rejected,
        repaired=_sorted_notes(r for report in reports for r in report.repaired),
        ignored=sorted(listing.ignored), mindspore_version=importlib.metadata.version("mindspore"))


def _sorted_notes(notes: Iterable[FileNote]) -> list[FileNote]:
    return sorted(notes, key=lambda note: note.file_name)


def _check_total(expected: int, reports: list[ShardReport]) -> None:
    stored = sum(report.shard.images for report in reports)
    if stored != expected:
        raise RuntimeError(f"the shards hold {stored} images, the listing {expected}")
