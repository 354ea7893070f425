"""A whole conversion: list the source, plan the shards, build them, write the manifest."""

import contextlib
import importlib.metadata
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from blacklist import ILSVRC_VALIDATION_IMAGES, Blacklist, load_blacklist
from common import RequestError, progress_bar
from convert.naming import PICTURE_EXTENSIONS
from convert.ilsvrc import IlsvrcCheck, check_ilsvrc
from convert.listing import Listing
from convert.manifest import (FORMAT_VERSION, MANIFEST_NAME, BlacklistNote, ClassCount, Manifest,
                              Remark, RowsDigest, read_manifest)
from convert.pictures import Treatment
from convert.planning import ShardPlan, plan_shards
from convert.shards import ShardReport, build_shard
from convert.sources import list_source
from convert.workspace import (clear, describe_difference, finished_report, locked_workspace,
                               publish)

CHECKS = ("decode", "header")
ON_BAD = ("fail", "skip")
BAD_FILES_SHOWN = 20


@dataclass(frozen=True)
class Request:
    """What to convert and how. Workers and ``on_bad`` do not change the bytes of a good picture."""

    source: Path
    split: str
    out: Path
    blacklist: Optional[Path] = None
    ground_truth: Optional[Path] = None
    layout: Optional[str] = None
    extensions: Sequence[str] = PICTURE_EXTENSIONS
    shards: Optional[int] = None
    seed: int = 0
    check: str = "decode"
    short_side: Optional[int] = None
    quality: int = 90
    allow_other_labels: bool = False
    on_bad: str = "fail"
    workers: int = 1


def available_cores() -> int:
    """The cores this process may use, which a container may limit."""
    return len(os.sched_getaffinity(0))


def convert(request: Request) -> Manifest:
    """Convert one split into a record set and return its manifest.

    The same source, options and MindSpore version give the same bytes, whatever the number of
    workers and however often it was interrupted. Asked again for what is already there, it does
    nothing.

    Raises:
        RequestError: see :func:`convert.sources.list_source` and the options; nothing stands under
            a final name then.
    """
    listing = list_request(request)
    blacklist = _load_blacklist(request, listing)
    ilsvrc = check_ilsvrc(listing, blacklist, request.allow_other_labels)
    plans = plan_shards(listing, request.shards, request.seed,
                        blacklist.ids if blacklist else frozenset(), _treatment(request))
    options = _options(request, listing, blacklist, len(plans))
    if (request.out / MANIFEST_NAME).exists():
        return _existing(request.out, options)
    with locked_workspace(request.out, options) as building:
        reports = _build_all(request, plans, building)
        manifest = _manifest(request, listing, blacklist, ilsvrc, options, reports)
        publish(request.out, building, reports)
        manifest.write(request.out)
    clear(request.out)
    return manifest


def _treatment(request: Request) -> Treatment:
    if request.short_side is None:
        return Treatment(request.check == "decode")
    if not (request.short_side >= 1 and 1 <= request.quality <= 95):
        raise RequestError(f"--short-side {request.short_side} --quality {request.quality}: the "
                           "short side is at least 1 pixel, the quality 1 to 95")
    return Treatment(request.check == "decode", request.short_side, request.quality)


def list_request(request: Request) -> Listing:
    """List what ``request`` would convert; nothing is written."""
    return list_source(request.source, request.split, request.ground_truth, request.extensions,
                       request.layout)


def _load_blacklist(request: Request, listing: Listing) -> Optional[Blacklist]:
    if request.blacklist is None:
        return None
    if request.split != "val":
        raise RequestError(f"--blacklist {request.blacklist} belongs to the validation set; leave "
                           f"it out for --split {request.split}")
    blacklist = load_blacklist(request.blacklist,
                               max(entry.image_id for entry in listing.entries))
    if len(listing.entries) == ILSVRC_VALIDATION_IMAGES and not blacklist.is_ilsvrc:
        print(f"warning: {request.blacklist} has {blacklist.describe()}", file=sys.stderr)
    return blacklist


def _options(request: Request, listing: Listing, blacklist: Optional[Blacklist],
             shards: int) -> Dict[str, Any]:
    """Everything that decides the bytes of the record set."""
    return {
        "split": request.split, "source_sha256": listing.sha256(), "images": len(listing.entries),
        "blacklist_sha256": blacklist.sha256 if blacklist else None, "shards": shards,
        "seed": request.seed, "check": request.check, "short_side": request.short_side,
        "quality": request.quality if request.short_side else None,
        "mindspore": importlib.metadata.version("mindspore"),
    }


def _existing(out: Path, options: Dict[str, Any]) -> Manifest:
    manifest = read_manifest(out)
    if manifest.options != options:
        raise RequestError(f"{out} holds another record set "
                           f"({describe_difference(manifest.options, options)}); give another "
                           "--out or remove it")
    clear(out)
    return manifest


def _build_all(request: Request, plans: List[ShardPlan], building: Path) -> List[ShardReport]:
    reports: List[Optional[ShardReport]] = [finished_report(request.out, building, plan)
                                            for plan in plans]
    todo = [plan for plan, report in zip(plans, reports) if report is None]
    with progress_bar(sum(len(plan.entries) for plan in plans), f"convert {request.split}",
                      "images") as bar:
        bar.update(sum(len(plan.entries) for plan in plans if plan not in todo))
        workers = Parallel(n_jobs=min(request.workers, max(1, len(todo))),
                           return_as="generator_unordered")
        keep_bad = request.on_bad == "skip"
        built = workers(delayed(_indexed_build)(plan, building, keep_bad) for plan in todo)
        with _dead_worker_named(request.out):
            for index, report in built:
                reports[index] = report
                bar.update(len(plans[index].entries))
                if report.bad and not keep_bad:
                    break
    finished = [report for report in reports if report is not None]
    _refuse_bad(request, finished)
    return finished


@contextlib.contextmanager
def _dead_worker_named(out: Path) -> Iterator[None]:
    try:
        yield
    except TerminatedWorkerError as error:
        raise RequestError(f"a worker that wrote to {out} was killed ({str(error).split('.')[0]}); "
                           "if memory ran out lower --workers; the same command goes on from the "
                           "finished shards") from error


def _indexed_build(plan: ShardPlan, building: Path, keep_bad: bool):
    return plan.index, build_shard(plan, building, keep_bad)


def _refuse_bad(request: Request, reports: List[ShardReport]) -> None:
    bad = [remark for report in reports for remark in report.bad]
    if not bad or request.on_bad == "skip":
        return
    for remark in bad[:BAD_FILES_SHOWN]:
        print(f"bad: {remark.file_name}: {remark.reason}", file=sys.stderr)
    raise RequestError(f"{len(bad)} bad pictures found so far in {request.source}, the first "
                       f"'{bad[0].file_name}' ({bad[0].reason}); mend or remove them, or leave "
                       "them out with --on-bad skip")


def _manifest(request: Request, listing: Listing, blacklist: Optional[Blacklist],
              ilsvrc: Optional[IlsvrcCheck], options: Dict[str, Any],
              reports: List[ShardReport]) -> Manifest:
    rejected = _sorted_remarks(r for report in reports for r in report.bad)
    left_out = {remark.file_name for remark in rejected}
    stored = [entry for entry in listing.entries if entry.file_name not in left_out]
    _check_total(len(stored), reports)
    per_class = Counter(entry.label for entry in stored)
    flagged = {e.image_id for e in stored if e.image_id in blacklist.ids} if blacklist else set()
    rows = RowsDigest()
    for entry in stored:
        rows.add(entry.image_id, entry.label, int(entry.image_id in flagged))
    return Manifest(
        format_version=FORMAT_VERSION, split=request.split, layout=listing.layout,
        options=options, seed=request.seed, images=len(stored),
        picture_bytes=sum(report.picture_bytes for report in reports),
        shrunk=sum(report.shrunk for report in reports),
        bytes_saved=sum(report.bytes_saved for report in reports),
        source_sha256=options["source_sha256"], rows_sha256=rows.sha256(),
        classes=[ClassCount(name, per_class[label])
                 for label, name in enumerate(listing.class_names)],
        shards=[report.shard for report in reports],
        blacklist=BlacklistNote(blacklist.sha256, len(blacklist.ids), len(flagged),
                                blacklist.is_ilsvrc) if blacklist else None,
        ilsvrc=ilsvrc, repaired=_sorted_remarks(r for report in reports for r in report.repaired),
        rejected=rejected, ignored=sorted(listing.ignored),
        mindspore_version=options["mindspore"])


def _sorted_remarks(remarks) -> List[Remark]:
    return sorted(remarks, key=lambda remark: remark.file_name)


def _check_total(expected: int, reports: List[ShardReport]) -> None:
    stored = sum(report.shard.images for report in reports)
    if stored != expected:
        raise RuntimeError(f"the shards hold {stored} images, the listing {expected}")
