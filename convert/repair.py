"""Building the damaged shards of a record set again, and only these, from its images."""

from dataclasses import replace

from common.cli import CheckFailed, RequestError
from common.files import describe_difference
from convert.engine import build_shards
from convert.records.manifest import Manifest, Shard, read_manifest
from convert.request import Request
from convert.sharding import ConversionPlan, plan_conversion
from convert.verify import damaged_shards
from convert.workspace import BUILDING, ShardReport, clear, locked_workspace


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
    damaged = damaged_shards(request.out, manifest, request.worker_count)
    if not damaged:
        return []
    plan = _plan_as_before(request, manifest)
    (request.out / BUILDING).mkdir(exist_ok=True)
    with locked_workspace(request.out, plan.options) as workspace:
        reports = build_shards(plan.request, [plan.shards[index] for index in damaged], workspace)
        _check_digests([manifest.shards[index] for index in damaged], reports)
        workspace.publish(damaged, reports)
    clear(request.out)
    return [report.shard.file for report in reports]


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
        quality=then["quality"] or request.quality,
        on_bad="skip",  # what was rejected then is rejected again; the digests tell
        allow_other_labels=True))
    if plan.options != then:
        raise RequestError(f"{request.source} is not what {request.out} was made of, or not with "
                           f"this version ({describe_difference(then, plan.options)}); give "
                           "the same source, or convert again")
    return plan


def _check_digests(wanted: list[Shard], reports: list[ShardReport]) -> None:
    different = [shard.file for shard, report in zip(wanted, reports) if report.shard != shard]
    if different:
        raise CheckFailed(f"{', '.join(different)}: built again with other bytes than the manifest "
                          "has (an image changed without its size, or Pillow is another version);"
                          " nothing was replaced; convert again")
