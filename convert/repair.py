"""Building the damaged shards of a record set again, and only these, from its images."""

from dataclasses import replace
from pathlib import Path

from common.cli import CheckFailed, RequestError
from common.files import describe_difference
from convert.engine import build_all
from convert.records.manifest import Manifest, read_manifest
from convert.request import ConversionPlan, Request, prepare
from convert.shards import ShardReport
from convert.verify import damaged_shards
from convert.workspace import (BUILDING, clear, finished_report,
                               locked_workspace, publish)


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
    damaged = damaged_shards(request.out, manifest, request.workers)
    if not damaged:
        return []
    prepared = _prepare_as_before(request, manifest)
    (request.out / BUILDING).mkdir(exist_ok=True)
    with locked_workspace(request.out, prepared.options) as building:
        reports = _build(prepared, sorted(damaged), building)
        _check_digests(manifest, reports)
        publish(request.out, building, reports)
    clear(request.out)
    return [manifest.shards[index].file for index in reports]


def _prepare_as_before(request: Request, manifest: Manifest) -> ConversionPlan:
    """Plan the shards of ``request`` as those of the manifest were planned."""
    then = manifest.options
    if (then["blacklist_sha256"] is None) != (request.blacklist is None):
        raise RequestError(f"{request.out} was converted "
                           + ("without --blacklist; leave it out" if request.blacklist
                              else "with a blacklist; give it with --blacklist FILE"))
    prepared = prepare(replace(
        request, shards=then["shards"], seed=then["seed"],
        check=then["check"], short_side=then["short_side"],
        quality=then["quality"] or request.quality,
        on_bad="skip",  # what was rejected then is rejected again; the digests tell
        allow_other_labels=True))
    if prepared.options != then:
        raise RequestError(f"{request.source} is not what {request.out} was made of, or not with "
                           f"this version ({describe_difference(then, prepared.options)}); give "
                           "the same source, or convert again")
    return prepared


def _build(prepared: ConversionPlan, indices: list[int], building: Path) -> dict[int, ShardReport]:
    request, plans = prepared.request, [prepared.plans[index] for index in indices]
    there = {plan.index: finished_report(request.out, building, plan) for plan in plans}
    reports = {index: report for index, report in there.items() if report is not None}
    todo = [plan for plan in plans if plan.index not in reports]
    reports.update(build_all(request, todo, building))
    return dict(sorted(reports.items()))


def _check_digests(manifest: Manifest, reports: dict[int, ShardReport]) -> None:
    different = [report.shard.file for index, report in reports.items()
                 if report.shard != manifest.shards[index]]
    if different:
        raise CheckFailed(f"{', '.join(different)}: built again with other bytes than the manifest "
                          "has (an image changed without its size, or Pillow is another version);"
                          " nothing was replaced; convert again")
