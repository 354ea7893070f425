"""Checking a record set against its manifest, every byte of it, and repairing it: only the damaged
shards are built again, from the images."""

import contextlib
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator

from joblib import Parallel, delayed

from common.cli import CheckFailed, RequestError
from common.files import PathLike, describe_difference, naming_file
from common.progress import progress_bar
from common.signals import holding_signals_back
from common.text import counted, describe_bytes, one_line
from convert.images import BadImage, ImageChecks, check_image
from convert.conversion_plan import ConversionPlan, plan_conversion
from convert.records.manifest import Manifest, read_manifest, sha256_of_rows
from convert.request import Request
from convert.shards import build_shards
from convert.workers import results_of_workers
from convert.workspace import BUILDING, OF_SOURCE, locked_workspace


def verify(folder: PathLike, deep: bool = False, workers: int = 1) -> Manifest:
    """Compare every file and every row with the manifest.

    Args:
        deep: also decode every image.

    Raises:
        CheckFailed: names every damaged shard and what is wrong with it.
        RequestError: there is no manifest to compare with.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    size = sum(shard.bytes + shard.index_bytes for shard in manifest.shards)
    print(f"verifying {counted(manifest.images, 'image')} of {folder}: reading "
          f"{describe_bytes(size)}", file=sys.stderr, flush=True)
    expected = {name for shard in manifest.shards for name in (shard.file, shard.index_file)}
    found = {path.name for path in folder.glob("*.mindrecord*")}
    faults = sum(_damaged_shards(folder, manifest, workers).values(), [])
    # What --repair cannot help is told something else.
    remedy = ("repair its shards from the images with --repair SOURCE, or convert again"
              if faults else "")
    faults += [f"{name} is not in the manifest (remove it)" for name in sorted(found - expected)]
    if not faults:
        faults = list(_wrong_rows(folder, manifest))
        remedy = "the shards are whole, the manifest was changed: restore it, or convert again"
    if not faults and deep:
        faults = _undecodable(folder, manifest, workers)
        remedy = "convert again with --check decode: the images were damaged when they were stored"
    if faults:
        raise CheckFailed(f"{folder}: " + "; ".join(faults + [remedy] * bool(remedy)))
    return manifest


def _damaged_shards(folder: Path, manifest: Manifest, workers: int) -> dict[int, list[str]]:
    """Return what is wrong with each damaged shard, by its index, in ascending order."""
    # Threads are enough, since hashing releases the GIL.
    checks = Parallel(n_jobs=workers, prefer="threads", return_as="generator")(
        delayed(shard.faults)(folder, digests=True) for shard in manifest.shards)
    damaged = {}
    with progress_bar(len(manifest.shards), "verify files", "shards") as bar:
        for index, faults in enumerate(checks):
            if faults:
                damaged[index] = faults
            bar.update(1)
    return damaged


def _wrong_rows(folder: Path, manifest: Manifest) -> Iterator[str]:
    columns = ["image_id", "label", "blacklisted"]
    rows: list[tuple] = []
    with progress_bar(manifest.images, "verify rows", "images") as bar:
        for shard in manifest.shards:
            found = [tuple(int(row[name]) for name in columns)
                     for row in _stored(folder / shard.file, columns)]
            if len(found) != shard.images:
                yield f"{shard.file} holds {counted(len(found), 'row')} instead of {shard.images}"
            rows += found
            bar.update(len(found))
    per_class = Counter(label for _, label, _ in rows)
    flagged = sum(blacklisted for _, _, blacklisted in rows)
    for label, item in enumerate(manifest.classes):
        if per_class[label] != item.images:
            found_images = counted(per_class[label], "image")
            yield f"class {item.name} has {found_images} instead of {item.images}"
    if sha256_of_rows(rows) != manifest.rows_sha256:
        yield "ids, labels or blacklist flags differ from the manifest"
    if flagged != (manifest.blacklist.images if manifest.blacklist else 0):
        yield f"{counted(flagged, 'image')} marked as blacklisted, the manifest says otherwise"


def _stored(data_file: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    with holding_signals_back():
        from mindspore.mindrecord import FileReader  # takes seconds: not for --help
    try:
        with naming_file(data_file), contextlib.closing(
                FileReader(str(data_file), columns=columns)) as reader:
            yield from reader.get_next()
    except RuntimeError as error:  # MindSpore's, also where the disk fails
        raise RequestError(f"{data_file} cannot be read ({one_line(error, 200)}); check the disk "
                           "that it is on, then verify again") from error


def _undecodable(folder: Path, manifest: Manifest, workers: int) -> list[str]:
    tasks = [delayed(_undecodable_in)(folder / shard.file) for shard in manifest.shards]
    faults = []
    with progress_bar(manifest.images, "verify images", "images") as bar, \
            contextlib.closing(results_of_workers(tasks, n_jobs=workers)) as checks:
        for shard, found in zip(manifest.shards, checks):
            faults += found
            bar.update(shard.images)
    return faults


def _undecodable_in(data_file: Path) -> list[str]:
    faults = []
    for row in _stored(data_file, ["image", "file_name"]):
        try:
            check_image(bytes(row["image"]), ImageChecks())
        except BadImage as reason:
            faults.append(f"{data_file.name}: {row['file_name']}: {reason}")
    return faults


def repair(request: Request) -> list[str]:
    """Rebuild the shards of ``request.out`` that are not as its manifest says.

    A shard is replaced only by one with the digests of the manifest; all others stay untouched.

    Args:
        request: split, source, blacklist, ground truth, layout, extensions and engine; what else
            decides the bytes is taken from the manifest. The layout need not be the one of the
            conversion.

    Returns:
        The names of the rebuilt data files.

    Raises:
        RequestError: no manifest, or the source is not the one the records were made of.
        CheckFailed: a rebuilt shard differs from the manifest's.
    """
    manifest = read_manifest(request.out)
    damaged = _damaged_shards(request.out, manifest, request.worker_count)
    if not damaged:
        return []
    if not request.source.is_dir():
        raise _no_images(request, [manifest.shards[index].file for index in damaged])
    plan = _plan_as_before(request, manifest)
    (request.out / BUILDING).mkdir(exist_ok=True)
    with locked_workspace(request.out, plan.workspace_request(), no_lock=request.no_lock
                          ) as workspace:
        reports = build_shards(plan.request, [plan.shards[index] for index in damaged], workspace)
        different = {index: report.shard.file for index, report in zip(damaged, reports)
                     if report.shard != manifest.shards[index]}
        for index in different:
            workspace.discard(index)  # it must not pass as finished when the images are right
        if different:
            raise CheckFailed(f"{', '.join(different.values())}: built again with other bytes than "
                              "the manifest has (an image changed without its size, or Pillow is "
                              "another version); nothing was replaced; convert again")
        workspace.publish(damaged, reports)
    return [report.shard.file for report in reports]


def _no_images(request: Request, damaged: list[str]) -> RequestError:
    return RequestError(f"--repair {request.source} is not a folder; give the folder of the images "
                        f"that {request.out} was made of, or, if they are gone, fetch "
                        f"{', '.join(damaged)} from a copy of the record set")


def _plan_as_before(request: Request, manifest: Manifest) -> ConversionPlan:
    """Plan the shards of ``request`` as those of the manifest were planned."""
    then = manifest.options
    if (then["blacklist_sha256"] is None) != (request.blacklist is None):
        raise RequestError(f"{request.out} was converted "
                           + ("without --blacklist; leave it out" if request.blacklist
                              else "with a blacklist; give it with --blacklist FILE"))
    plan = plan_conversion(replace(
        request, shards=then["shards"], seed=then["seed"],
        check=then["check"], short_side=then["short_side"],
        quality=then["quality"],
        on_bad="skip",  # what was rejected then is rejected again, or the digests differ
        allow_other_labels=True), request.out / BUILDING / OF_SOURCE,
        page_bytes=then.get("page_bytes"))
    if plan.options != then:
        raise RequestError(f"{request.source} is not what {request.out} was made of, or not with "
                           f"this version ({describe_difference(then, plan.options)}); give "
                           "the same source, or convert again")
    return plan
