"""The stages of ``python -m benchmarks scale``, each in a process of its own, so that what it takes
is its own and nothing stays from the one before.

``python -m benchmarks.scale.stages STAGE JOB`` (the fields of a ``ScaleJob`` as JSON) prints its
``StageReport`` as JSON, or what went wrong: the rehearsal prints it as its own error.
"""

import dataclasses
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

import numpy as np

from benchmarks.scale.tiny_imagenet import (BLACKLIST, blacklisted_of, make_archives,
                                            val_images_of)
from benchmarks.timing import run_process
from common.cli import (EXIT_CHECK_FAILED, EXIT_DONE, CheckFailed, RequestError,
                        run_command)
from common.files import read_json
from common.host import available_cores
from common.host_forms import StageReport
from convert.records.manifest import Manifest
from convert.records.reader import open_records
from train.options import parse
from train.recipe import PRESETS, Recipe

PRESET = "adsl-8p"
SHUFFLES = ("global", "shard")
VAL_SHARDS = 8  # what the real images, 6.7 GB, are divided into


@dataclass(frozen=True)
class ScaleJob:
    """What a stage works on.

    Attributes:
        work: folder of everything that is made.
        images: of the training set.
        shards: of the training set.
        ranks: that train and evaluate.
        rank: of the stage ``evaluate-rank``.
    """

    work: str
    images: int
    shards: int
    ranks: int
    rank: int = 0

    @property
    def source(self) -> Path:
        return Path(self.work, "source")

    @property
    def parts(self) -> Path:
        return Path(self.work, "parts")

    @property
    def val_images(self) -> int:
        return val_images_of(self.images)

    def records(self, split: str) -> Path:
        return Path(self.work, "records", split)

    def order_file(self, shuffle: str) -> Path:
        """Return where the second epoch's order is kept."""
        return Path(self.work, f"order-{shuffle}.npy")

    def recipe(self, shuffle: str) -> Recipe:
        return replace(PRESETS[PRESET], ranks=self.ranks, shuffle=shuffle)


def make(job: ScaleJob) -> StageReport:
    make_archives(job.source, job.images)
    size = sum(path.stat().st_size for path in job.source.glob("*.tar"))
    return StageReport(job.images + job.val_images, f"{size / 1e9:.2f} GB")


def convert_val(job: ScaleJob) -> StageReport:
    manifest = _convert(job, "val", VAL_SHARDS, job.source / BLACKLIST)
    marked = manifest.blacklist.images if manifest.blacklist else 0
    _check_equal("blacklisted images", marked, blacklisted_of(job.images))
    return StageReport(manifest.images,
                       f"{len(manifest.shards)} shards, {marked:,} images on the blacklist")


def convert_train(job: ScaleJob) -> StageReport:
    manifest = _convert(job, "train", job.shards)
    sizes = [item.images for item in manifest.classes]
    return StageReport(manifest.images, f"{len(manifest.shards)} shards, {len(sizes)} classes of "
                                        f"{min(sizes)} to {max(sizes):,} images")


def _convert(job: ScaleJob, split: str, shards: int, blacklist: Path | None = None) -> Manifest:
    from convert.conversion import convert
    from convert.request import Request
    manifest = convert(Request(source=job.source, split=split, out=job.records(split),
                               shards=shards, blacklist=blacklist))
    _check_equal(f"{split} images", manifest.images,
                 job.images if split == "train" else job.val_images)
    return manifest


def verify(job: ScaleJob) -> StageReport:
    from convert.verify import verify as verify_records
    found = [verify_records(job.records(split), workers=available_cores())
             for split in ("train", "val")]
    return StageReport(sum(manifest.images for manifest in found), "every file and every row")


def order(shuffle: str) -> Callable[[ScaleJob], StageReport]:
    """Return the stage that reads the rows of two epochs, all ranks one after the other, and keeps
    the order of the second one."""
    def stage(job: ScaleJob) -> StageReport:
        from benchmarks.scale.row_order import describe_epochs, mix_of_ranks, read_epoch
        records, recipe = open_records(job.records("train")), job.recipe(shuffle)
        first, second = (read_epoch(records, recipe, epoch) for epoch in (1, 2))
        np.save(job.order_file(shuffle), second)
        return StageReport(
            first[..., 0].size + second[..., 0].size, describe_epochs(records, first, second),
            [f"{shuffle} shuffle, {job.ranks} x {recipe.batch_size} images per step: "
             f"{mix_of_ranks(first, second).describe()}."])
    return stage


def resume(job: ScaleJob) -> StageReport:
    """Read the whole second epoch in a process that has not read the first one: every step has to
    be that of the run that was not interrupted. A resumed run starts at the beginning of an epoch,
    so that none is entered in its middle."""
    from benchmarks.scale.row_order import read_epoch
    items = 0
    for shuffle in SHUFFLES:
        again = read_epoch(open_records(job.records("train")), job.recipe(shuffle), 2)
        kept = np.load(job.order_file(shuffle))
        different = np.flatnonzero((again != kept).any(axis=(0, 2, 3)))
        if len(different):
            raise CheckFailed(f"resumed in epoch 2, {shuffle} shuffle, step {different[0] + 1} has "
                              "other images than in the run that was not interrupted")
        items += kept[..., 0].size
    return StageReport(items, "all of epoch 2 in a new process: every step has the same images")


def evaluate(job: ScaleJob) -> StageReport:
    """Evaluate the validation set with the stand-in network, one process per rank, all at once."""
    job.parts.mkdir()
    with ThreadPoolExecutor(job.ranks) as threads:
        ranks = [threads.submit(run_stage, "evaluate-rank", replace(job, rank=rank))
                 for rank in range(job.ranks)]
        shares = [rank.result().items for rank in ranks]
    from evaluate.evaluator import check_rows
    from evaluate.predictions import missing_rows, read_parts, saved_rows
    from evaluate.results import score
    # Here and not in read_parts, which would wait for other ranks.
    missing = missing_rows(saved_rows(job.parts), range(job.val_images))
    _check_equal("rows that no rank evaluated", sum(map(len, missing)), 0)
    records = open_records(job.records("val"))
    predictions = read_parts(job.parts, job.val_images).predictions
    check_rows(records, predictions)
    scores = score(predictions)
    full, filtered = scores["full"], scores["filtered"]
    _check_equal("images of the full set", full.images, job.val_images)
    _check_equal("images of the filtered set", filtered.images,
                 job.val_images - blacklisted_of(job.images))
    _check_equal("images with their class's colour", full.top1_correct, full.images)
    return StageReport(sum(shares), f"{full.images:,} and {filtered.images:,} images scored, each "
                                    f"once; {min(shares):,} to {max(shares):,} per rank")


def evaluate_rank(job: ScaleJob) -> StageReport:
    from benchmarks.scale.colour_network import classify_share
    return StageReport(classify_share(job.records("val"), job.parts, job.rank, job.ranks), "")


def plan(job: ScaleJob) -> StageReport:
    """Check the whole run as ``python -m train --dry-run`` does, network included."""
    from train.command import dry_run
    run = Path(job.work, "run")
    dry_run(*parse(["--records", str(job.records("train")), "--run", str(run), "--device", "CPU",
                    "--val-records", str(job.records("val")), "--preset", PRESET,
                    "--dry-run", str(job.ranks)]))
    planned = read_json(run / "plan.json", "rehearse again")
    recipe = job.recipe("global")
    _check_equal("epochs", planned["epochs"], recipe.epochs)
    _check_equal("steps per epoch", planned["steps_per_epoch"], job.images // recipe.global_batch)
    _check_equal("learning rates", len(planned["epoch_learning_rates"]), planned["epochs"])
    return StageReport(
        planned["steps"], f"{planned['epochs']} epochs of {planned['steps_per_epoch']:,} steps; "
                          f"{planned['images_left_out_per_epoch']} images left out of each")


def _check_equal(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise CheckFailed(f"{found:,} {what} instead of {expected:,}")


STAGES: dict[str, Callable[[ScaleJob], StageReport]] = {
    "make the archives": make,
    "convert val": convert_val,
    "convert train": convert_train,
    "verify both": verify,
    **{f"rows of 2 epochs, {shuffle} shuffle": order(shuffle) for shuffle in SHUFFLES},
    "resume in epoch 2": resume,
    "evaluate": evaluate,
    "plan": plan,
}


def stage_command(name: str, job: ScaleJob) -> list[str]:
    """Return the command that runs a stage in a process of its own."""
    return [sys.executable, "-m", "benchmarks.scale.stages", name,
            json.dumps(dataclasses.asdict(job))]


def report_of(printed: str) -> StageReport:
    """Return the report that this command printed as its last line."""
    return StageReport(**json.loads(printed.splitlines()[-1]))


def run_stage(name: str, job: ScaleJob) -> StageReport:
    return report_of(run_process(*stage_command(name, job)))


def main() -> int:
    name, job = sys.argv[1], ScaleJob(**json.loads(sys.argv[2]))
    stage = evaluate_rank if name == "evaluate-rank" else STAGES[name]
    try:
        report = stage(job)
    except (CheckFailed, RequestError, OSError) as failure:
        print(" ".join(str(failure).split()))
        return EXIT_CHECK_FAILED
    print(json.dumps(dataclasses.asdict(report)))
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(run_command(main))
