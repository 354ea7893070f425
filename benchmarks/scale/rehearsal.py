"""``python -m benchmarks scale``: ImageNet's full count with tiny images, through every stage on
the host, with what each one takes."""

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.resources import run_measured
from benchmarks.scale.stages import PRESET, STAGES, ScaleJob, report_of, stage_command
from benchmarks.scale.tiny_imagenet import TRAIN_IMAGES
from benchmarks.table import describe_machine
from common.cli import CheckFailed, RequestError, typed_command
from common.files import write_json, write_text
from common.host_forms import SCALE_NAME, MeasuredStage, ScaleTable
from common.options import CheckedOptions, option
from common.text import counted
from evaluate.report.host_sections import stages_table
from evaluate.report.speed import describe_pairs
from evaluate.report.translations import translator
from train.recipe import PRESETS

LEAST_FREE = 1 << 20  # bytes; a stage that failed with less had no room


@dataclass(frozen=True)
class ScaleRequest(CheckedOptions):
    """What ``python -m benchmarks scale`` rehearses."""

    out: Path = option(help="result folder; also where the images are made and removed (3 GB for "
                            "the full count)")
    images: int = option(TRAIN_IMAGES, "how many training images, of about 300 bytes each; the "
                                       "validation images are in proportion",
                         low=2_000, high=TRAIN_IMAGES)
    shards: int = option(144, "record files of the training set", low=1, high=2_000)
    ranks: int = option(8, "ranks that share a training step and an evaluation", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        batch = self.ranks * PRESETS[PRESET].batch_size
        if batch > self.images:
            raise RequestError(f"--ranks {self.ranks}: a step takes {batch:,} images; give at "
                               f"least as many --images, not {self.images:,}")


def rehearse(request: ScaleRequest) -> ScaleTable:
    """Run all stages, write ``scale.json`` and ``scale.md`` into ``request.out``; what is made
    there besides is removed.

    Raises:
        RequestError: the working folder is left from an interrupted run.
        CheckFailed: a stage failed: an image was lost, repeated or changed.
    """
    work = request.out / "work"
    if work.exists():
        raise RequestError(f"{work} is left from an interrupted run: remove it")
    work.mkdir(parents=True)
    job = ScaleJob(str(work), request.images, request.shards, request.ranks)
    print(f"rehearsing {counted(request.images, 'training image')} in "
          f"{counted(len(STAGES), 'stage')}; the table goes into {request.out / 'scale.md'}",
          flush=True)
    stages = []
    try:
        for number, name in enumerate(STAGES, start=1):
            print(f"{number} of {len(STAGES)}: {name}", flush=True)
            try:
                stages.append(run_measured_stage(name, job))
            except CheckFailed:
                if shutil.disk_usage(work).free < LEAST_FREE:
                    raise RequestError(f"--out {request.out}: the disk is full; make room or "
                                       "choose another folder") from None
                raise
    finally:
        shutil.rmtree(work)
    settings = {"images": request.images, "shards": request.shards, "ranks": request.ranks}
    table = ScaleTable(stages, settings, describe_machine(request.out), typed_command())
    write_json(request.out / SCALE_NAME, dataclasses.asdict(table))
    write_text(request.out / "scale.md", render_scale(table))
    return table


def run_measured_stage(name: str, job: ScaleJob) -> MeasuredStage:
    printed, resources = run_measured(*stage_command(name, job))
    return MeasuredStage(name, report_of(printed), resources)


def render_scale(table: ScaleTable) -> str:
    """Return the table as Markdown."""
    closing = [f"All stages together: {table.minutes:.1f} minutes, {table.cpu_minutes:.1f} minutes "
               "of CPU.",
               "The rows of an epoch were read rank after rank in one process; the ranks of the "
               "evaluation ran at once, each in its own, with a network that knows the colours.",
               *(line for stage in table.stages for line in stage.report.findings)]
    return "\n\n".join([
        f"# {table.settings['images']:,} training images, rehearsed",
        stages_table(table, "", translator("en")).markdown(),
        "\n".join(f"- {line}" for line in closing),
        f"Settings: {describe_pairs(table.settings)}.\n"
        f"Machine: {describe_pairs(table.machine)}."]) + "\n"
