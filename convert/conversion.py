"""A whole conversion: list the source, plan the shards, build them, write the manifest."""

import importlib.metadata
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Iterable, Optional

from common.cli import RequestError
from common.files import describe_difference
from convert.engine import build_all
from convert.records.manifest import (FORMAT_VERSION, MANIFEST_NAME,
                                      BlacklistNote, ClassCount, FileNote,
                                      Manifest, RowsDigest, read_manifest)
from convert.records.reader import open_records
from convert.request import ConversionPlan, Request, prepare
from convert.sharding import ShardPlan
from convert.shards import ShardReport
from convert.workspace import (clear, finished_report, locked_workspace,
                               publish, publish_manifest)

BAD_FILES_SHOWN = 20


def convert(request: Request) -> Manifest:
    """Convert one split into a record set and return its manifest.

    The same source and options give the same bytes, whatever the number of workers and however
    often it was interrupted, where Pillow, which encodes repaired and shrunk images, and
    MindSpore, whose version the manifest tells, are the same. Asked again for what is already
    there, it does nothing.

    Raises:
        RequestError: see :func:`convert.request.prepare`, a bad image, a source that changes, a
            full disk, a killed worker; nothing stands under a final name then.
    """
    prepared = prepare(request)
    if (request.out / MANIFEST_NAME).exists():
        return _existing(request.out, prepared.options)
    with locked_workspace(request.out, prepared.options) as building:
        reports = _build(prepared, prepared.plans, building)
        manifest = _conclude(prepared, building, reports)
    clear(request.out)
    return manifest


def convert_range(request: Request, first: int, last: int) -> list[ShardReport]:
    """Build only the shards ``first`` to ``last``, 0-based and both included.

    Several hosts that share ``request.out`` may do so at the same time, each its own range;
    :func:`finish` then makes the record set of them.

    Raises:
        RequestError: as ``convert``, or there are no such shards.
    """
    prepared = prepare(request)
    if not 0 <= first <= last < len(prepared.plans):
        raise RequestError(f"--shard-range {first}-{last}: the shards are 0 to "
                           f"{len(prepared.plans) - 1}")
    part = prepared.plans[first:last + 1]
    if (request.out / MANIFEST_NAME).exists():
        raise RequestError(f"{request.out} holds a finished record set already; give another "
                           "--out or remove it")
    with locked_workspace(request.out, prepared.options, shared=True) as building:
        return _build(prepared, part, building)


def finish(request: Request) -> Manifest:
    """Make the record set of shards that ``convert_range`` built, and write its manifest.

    Raises:
        RequestError: a shard is missing, or a range is still being converted.
    """
    prepared = prepare(request)
    if (request.out / MANIFEST_NAME).exists():
        return _existing(request.out, prepared.options)
    with locked_workspace(request.out, prepared.options) as building:
        reports = [finished_report(request.out, building, plan) for plan in prepared.plans]
        missing = [index for index, report in enumerate(reports) if report is None]
        if missing:
            raise RequestError(f"{request.out}: {len(missing)} of {len(reports)} shards are not "
                               f"finished ({', '.join(map(str, missing[:8]))}"
                               f"{', …' if len(missing) > 8 else ''}); convert them with "
                               "--shard-range, or all that is missing without it")
        manifest = _conclude(prepared, building, [report for report in reports if report])
    clear(request.out)
    return manifest


def _conclude(prepared: ConversionPlan, building: Path, reports: list[ShardReport]) -> Manifest:
    """Move the finished shards to their places and write the manifest, which says all is there."""
    _refuse_bad(prepared.request, reports)
    manifest = _manifest(prepared, reports)
    publish(prepared.request.out, building, dict(enumerate(reports)))
    publish_manifest(prepared.request.out, building, manifest)
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


def _build(prepared: ConversionPlan, plans: list[ShardPlan], building: Path) -> list[ShardReport]:
    """The reports of those shards, in their order; what is finished already is not built again."""
    request = prepared.request
    reports: dict[int, Optional[ShardReport]] = {
        plan.index: finished_report(request.out, building, plan) for plan in plans}
    todo = [plan for plan in plans if reports[plan.index] is None]
    done = sum(len(plan.entries) for plan in plans if reports[plan.index] is not None)
    for index, report in build_all(request, todo, building, done):
        reports[index] = report
        if report.bad and request.on_bad == "fail":
            break
    finished = [report for report in reports.values() if report is not None]
    _refuse_bad(request, finished)
    return finished


def _refuse_bad(request: Request, reports: list[ShardReport]) -> None:
    bad = [remark for report in reports for remark in report.bad]
    if not bad or request.on_bad == "skip":
        return
    for remark in bad[:BAD_FILES_SHOWN]:
        print(f"bad: {remark.file_name}: {remark.reason}", file=sys.stderr)
    raise RequestError(f"{len(bad)} bad images found so far in {request.source}, the first "
                       f"'{bad[0].file_name}' ({bad[0].reason}); mend or remove them, or leave "
                       "them out with --on-bad skip")


def _manifest(prepared: ConversionPlan, reports: list[ShardReport]) -> Manifest:
    listing, blacklist, options = prepared.listing, prepared.blacklist, prepared.options
    rejected = _sorted_notes(r for report in reports for r in report.bad)
    left_out = {remark.file_name for remark in rejected}
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
        picture_bytes=sum(report.picture_bytes for report in reports),
        shrunk=sum(report.shrunk for report in reports),
        bytes_saved=sum(report.bytes_saved for report in reports),
        source_sha256=options["source_sha256"], rows_sha256=rows.sha256(),
        classes=[ClassCount(name, per_class[label])
                 for label, name in enumerate(listing.class_names)],
        shards=[report.shard for report in reports],
        blacklist=BlacklistNote(blacklist.sha256, len(blacklist.ids), len(flagged),
                                blacklist.is_ilsvrc) if blacklist else None,
        ilsvrc=prepared.ilsvrc, rejected=rejected,
        repaired=_sorted_notes(r for report in reports for r in report.repaired),
        ignored=sorted(listing.ignored), mindspore_version=importlib.metadata.version("mindspore"))


def _sorted_notes(remarks: Iterable[FileNote]) -> list[FileNote]:
    return sorted(remarks, key=lambda remark: remark.file_name)


def _check_total(expected: int, reports: list[ShardReport]) -> None:
    stored = sum(report.shard.images for report in reports)
    if stored != expected:
        raise RuntimeError(f"the shards hold {stored} images, the listing {expected}")
