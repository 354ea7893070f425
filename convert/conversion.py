"""A whole conversion: plan it, build the shards, write the manifest."""

import importlib.metadata
import os
import shlex
import shutil
import sys
from collections import Counter
from dataclasses import replace
from typing import Any, Optional, Sequence

from blacklist.ids import load_blacklist
from common.cli import RequestError
from common.files import describe_difference
from common.text import counted, describe_bytes, first_of
from convert.conversion_plan import (ConversionPlan, options_without_source, plan_conversion,
                                     refuse_other_split)
from convert.records.manifest import (FORMAT_VERSION, MANIFEST_NAME, BlacklistNote, ClassCount,
                                      Manifest, read_manifest, sha256_of_rows)
from convert.records.reader import open_records
from convert.request import Request
from convert.shards import ShardPlan, build_shards
from convert.sources.labels import find_blacklists
from convert.sources.packed import state_of_files
from convert.workspace import (BUILDING, ShardReport, Workspace, kept_of_source,
                               locked_workspace)

BAD_FILES_SHOWN = 20
MISSING_SHOWN = 8


def convert(request: Request, argv: Sequence[str] = ()) -> Manifest:
    """Convert one split into a record set and return its manifest.

    The same source and options give the same bytes, whatever the number of workers and however
    often it was interrupted, where Pillow, which encodes repaired and shrunk images, and
    MindSpore, whose version is in the manifest, are the same. If the same record set exists
    already, nothing is done.

    Args:
        argv: the command as it was typed, for the manifest.

    Raises:
        RequestError: see ``plan_conversion`` and ``refuse_other_split``, a bad image, a source that
            changes, a full disk, a killed worker; no file has its final name then.
    """
    known = _known_as_finished(request)
    if known:
        return known
    plan = _plan(request)
    if (request.out / MANIFEST_NAME).exists():
        return _existing(request, read_manifest(request.out), plan.options)
    _offer_blacklist(plan)
    with locked_workspace(request.out, plan.workspace_request(), no_lock=request.no_lock
                          ) as workspace:
        _announce(plan, plan.shards)
        return _conclude(plan, workspace, build_shards(request, plan.shards, workspace), argv)


def convert_range(request: Request, first: int, last: int) -> list[ShardReport]:
    """Build only the shards ``first`` to ``last``, 0-based and both included.

    Several hosts that share ``request.out`` may do so at the same time, each its own range;
    :func:`finish` then makes the record set of them.

    Raises:
        RequestError: as ``convert``, or there are no such shards.
    """
    if (request.out / MANIFEST_NAME).exists():
        raise RequestError(f"{request.out} holds a finished record set already; give another "
                           "--out or remove it")
    plan = _plan(request)
    if not 0 <= first <= last < len(plan.shards):
        raise RequestError(f"--shard-range {first}-{last}: the shards are 0 to "
                           f"{len(plan.shards) - 1}")
    _offer_blacklist(plan)
    with locked_workspace(request.out, plan.workspace_request(), shared=True,
                          no_lock=request.no_lock) as workspace:
        _announce(plan, plan.shards[first:last + 1])
        reports = build_shards(request, plan.shards[first:last + 1], workspace)
    _refuse_bad(request, reports)
    return reports


def _announce(plan: ConversionPlan, shards: list[ShardPlan]) -> None:
    """Say what is about to be done: a wrong folder is better noticed now than after hours."""
    request, entries = plan.request, [entry for shard in shards for entry in shard.entries]
    print(f"converting {counted(len(entries), 'image')} "
          f"({describe_bytes(sum(entry.size for entry in entries))}) of "
          f"{counted(len(plan.listing.class_names), 'class')} from {request.source} (layout "
          f"{plan.listing.layout}) into {counted(len(shards), 'shard')} in {request.out}, with "
          f"{counted(request.worker_count, 'worker')}", file=sys.stderr, flush=True)


def finish(request: Request, argv: Sequence[str] = ()) -> Manifest:
    """Make the record set of shards that ``convert_range`` built, and write its manifest, with the
    command as it was typed.

    Raises:
        RequestError: a shard is missing, or a range is still being converted.
    """
    known = _known_as_finished(request)
    if known:
        return known
    plan = _plan(request)
    if (request.out / MANIFEST_NAME).exists():
        return _existing(request, read_manifest(request.out), plan.options)
    with locked_workspace(request.out, plan.workspace_request(), no_lock=request.no_lock
                          ) as workspace:
        reports = [workspace.finished_report(shard.index, shard.entries_sha256())
                   for shard in plan.shards]
        missing = [index for index, report in enumerate(reports) if report is None]
        if missing:
            raise RequestError(f"{request.out}: {len(missing)} of "
                               f"{counted(len(reports), 'shard')} not finished "
                               f"({first_of(missing, MISSING_SHOWN)}); convert them with "
                               "--shard-range, or all that is missing without it")
        return _conclude(plan, workspace, [report for report in reports if report], argv)


def _plan(request: Request) -> ConversionPlan:
    plan = plan_conversion(request, kept_of_source(request.out))
    refuse_other_split(plan)
    return plan


def _offer_blacklist(plan: ConversionPlan) -> None:
    """Name the blacklists that lie next to the ground truth where none was given."""
    request, numbered = plan.request, not plan.listing.ids_are_positions
    if request.split != "val" or request.blacklist is not None or not numbered:
        return
    for path in find_blacklists(request.source, request.ground_truth):
        print(f"found {path}; use it with --blacklist {shlex.quote(str(path))}: without it only "
              "the full set can be scored", file=sys.stderr, flush=True)


def _known_as_finished(request: Request) -> Optional[Manifest]:
    """Return the manifest of a finished record set if archives in gzip need not be read again to
    know that it is the one that is asked for: its source has the files that it had. Else None."""
    if not (request.out / MANIFEST_NAME).exists() or not request.source.is_dir():
        return None
    manifest = read_manifest(request.out)
    # What it says of the labels, or the ids, may have changed.
    given = (request.ground_truth, request.class_names, request.ids_are_positions)
    if (not manifest.source_files or any(given)
            or request.layout not in (None, manifest.layout)
            or manifest.source_files != state_of_files(request.source, request.extensions)):
        return None
    blacklist = load_blacklist(request.blacklist) if request.blacklist else None
    options = {**manifest.options, **options_without_source(request, blacklist)}
    if request.shards is not None:
        options["shards"] = request.shards
    return _existing(request, manifest, options)


def _existing(request: Request, manifest: Manifest, options: dict[str, Any]) -> Manifest:
    """Return the manifest of the finished record set; raise RequestError if it is another one."""
    out = request.out
    # A number of shards that was not asked for is that of the version that made the set. The size
    # of pages cannot be asked for.
    any_will_do = ("page_bytes", *(["shards"] if request.shards is None else []))
    before, now = ({key: value for key, value in each.items() if key not in any_will_do}
                   for each in (manifest.options, options))
    if before != now:
        same_images = before.get("source_sha256") == now.get("source_sha256")
        raise RequestError(f"{out} holds another record set"
                           f"{'' if same_images else ', of other images'} "
                           f"({describe_difference(before, now)}); give another --out (make: "
                           "RECORDS) or remove it")
    open_records(out)  # its files may have been lost since
    print(f"{out} is finished already", file=sys.stderr, flush=True)
    shutil.rmtree(out / BUILDING, ignore_errors=True)  # a kill may have come before that
    return manifest


def _conclude(plan: ConversionPlan, workspace: Workspace, reports: list[ShardReport],
              argv: Sequence[str]) -> Manifest:
    """Move the finished shards to their places, then write the manifest."""
    _refuse_bad(plan.request, reports)
    manifest = replace(_manifest(plan, reports), argv=list(argv),
                       source_files=_source_files(plan))
    workspace.publish(range(len(reports)), reports)
    workspace.publish_manifest(manifest)
    return manifest


def _refuse_bad(request: Request, reports: list[ShardReport]) -> None:
    bad = [note for report in reports for note in report.bad]
    if not bad or request.on_bad == "skip":
        return
    for note in bad[:BAD_FILES_SHOWN]:
        print(f"bad: {note.file_name}: {note.reason}", file=sys.stderr)
    raise RequestError(f"{counted(len(bad), 'bad image')} found so far in {request.source}, the "
                       f"first '{bad[0].file_name}' ({bad[0].reason}); repair or remove them, "
                       "then run the same command again; or leave them out with --on-bad skip")


def _source_files(plan: ConversionPlan) -> str:
    """Return the state of the source's files where they are archives that say the labels, too."""
    listing, given = plan.listing, (plan.request.ground_truth, plan.request.class_names)
    labels_elsewhere = any(given) or (listing.split, listing.layout) == ("val", "archives")
    unpacked = any(map(os.path.isabs, {entry.container for entry in listing.entries}))
    return plan.source_files if unpacked and not labels_elsewhere else ""


def _manifest(plan: ConversionPlan, reports: list[ShardReport]) -> Manifest:
    listing, blacklist, options = plan.listing, plan.blacklist, plan.options
    rejected = sorted(note for report in reports for note in report.bad)
    left_out = {note.file_name for note in rejected}
    stored = [entry for entry in listing.entries if entry.file_name not in left_out]
    in_shards = sum(report.shard.images for report in reports)
    if in_shards != len(stored):
        raise RuntimeError(f"the shards hold {in_shards} images, the listing {len(stored)}")
    if not stored:
        raise RequestError(f"none of {counted(len(rejected), 'image')} of {plan.request.source} "
                           f"can be used (the first, '{rejected[0].file_name}': "
                           f"{rejected[0].reason}); give a source with whole images")
    per_class = Counter(entry.label for entry in stored)
    flagged = {e.image_id for e in stored if e.image_id in blacklist.ids} if blacklist else set()
    rows = ((entry.image_id, entry.label, int(entry.image_id in flagged)) for entry in stored)
    return Manifest(
        format_version=FORMAT_VERSION, split=listing.split, layout=listing.layout,
        options=options, seed=options["seed"], images=len(stored),
        image_bytes=sum(report.image_bytes for report in reports),
        shrunk=sum(report.shrunk for report in reports),
        bytes_saved=sum(report.bytes_saved for report in reports),
        source_sha256=options["source_sha256"], rows_sha256=sha256_of_rows(rows),
        classes=[ClassCount(name, per_class[label], plan.class_words.get(name, ""))
                 for label, name in enumerate(listing.class_names)],
        shards=[report.shard for report in reports],
        blacklist=BlacklistNote(blacklist.sha256, len(blacklist.ids), len(flagged),
                                blacklist.is_ilsvrc, plan.request.ids_are_positions)
        if blacklist else None,
        ilsvrc=plan.ilsvrc, rejected=rejected,
        repaired=sorted(note for report in reports for note in report.repaired),
        ilsvrc_numbers=plan.ilsvrc_numbers,
        ignored=sorted(listing.ignored), mindspore_version=importlib.metadata.version("mindspore"))
