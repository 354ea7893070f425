"""What a training step costs: the original report's rows, and the trainer against a bare loop."""

import shutil
import statistics
from functools import partial
from typing import Any, Callable, Mapping

from benchmarks.steps.steps_plan import VARIANTS, StepsPlan, plan_steps
from benchmarks.steps.request import SIMULATED, TABLE, StepsRequest, find_device
from benchmarks.steps.simulated_table import simulated_table
from benchmarks.steps.training_runs import Epoch, Workload, run_bare_loop, run_training
from benchmarks.synthetic import make_folders_and_records
from benchmarks.table import describe_machine
from benchmarks.timing import in_turns
from common.forms import SpeedRow, SpeedTable
from common.host import available_cores

BARE, FED = "bare loop, fixed batch", "trainer with its feed"
SAVING = "trainer, a checkpoint after each epoch"


def benchmark_steps(request: StepsRequest) -> SpeedTable:
    """Time the rows asked for in turns; what is made in ``request.out`` is removed."""
    plan = plan_steps(request, find_device(request))
    plan.work.mkdir(parents=True)
    if plan.images_to_make:
        make_folders_and_records(plan.work / "data", plan.images_to_make, available_cores())
    compare = (simulated_table if plan.target.name == SIMULATED else
               _compare_variants if request.rows == TABLE else _compare_with_bare_loop)
    table = compare(plan)
    shutil.rmtree(plan.work)
    return table


def _compare_variants(plan: StepsPlan) -> SpeedTable:
    """Run each variant on each number of cards, by the training command.

    The original report's figures are of runs with the checkpoint callback (its "cb") or without.
    Each run here gives both: its steps alone, and all of its time from epoch to epoch.
    """
    reasons = {(workload, variant): variant.unavailable_reason(workload.cards, plan)
               for workload in plan.workloads for variant in VARIANTS}
    epochs = _measure({(workload, variant): partial(run_training, workload, variant.flags(plan),
                                                    plan.work, variant.environment)
                       for (workload, variant), reason in reasons.items() if not reason},
                      plan.repeats)
    rows = []
    for workload in plan.workloads:
        saving = f"with a checkpoint after each epoch of {workload.steps_per_epoch} steps"
        for time, title in (("steps", "steps alone"), ("whole", saving)):
            rows += [_row(variant.name, epochs.get((workload, variant), []), time, workload,
                          f"{_label(workload)}: {title}", reasons[workload, variant])
                     for variant in VARIANTS]
    return _table(plan, "Training in the original (ADSL) report's rows", rows, ratio="rate",
                  average="mean")


def _compare_with_bare_loop(plan: StepsPlan) -> SpeedTable:
    """Run the trainer and a bare loop over the same compiled step."""
    workload, = plan.workloads
    data: list[object] = (["--records", plan.records] if plan.records else
                          ["--images", plan.images])
    epochs = _measure({BARE: partial(run_bare_loop, workload, data, plan.work),
                       FED: partial(run_training, workload, data, plan.work)}, plan.repeats)
    rows = [_row(BARE, epochs[BARE], "steps", workload), _row(FED, epochs[FED], "steps", workload),
            _row(SAVING, epochs[FED], "whole", workload)]
    bare, fed, _ = (statistics.median(row.seconds) for row in rows)
    return _table(plan, f"The trainer against a bare loop, {_label(workload)}", rows, closing=[
        f"{FED}: {100 * (fed / bare - 1):+.1f} % against the {BARE}"])


def _measure(runs: Mapping[Any, Callable[[], list[Epoch]]], repeats: int
             ) -> dict[Any, list[Epoch]]:
    """Return the measured epochs of each run, repeat after repeat."""
    return {name: [epoch for epochs in results for epoch in epochs]
            for name, results in in_turns(runs, repeats, "time training").items()}


def _row(name: str, epochs: list[Epoch], time: str, workload: Workload, section: str = "",
         note: str = "") -> SpeedRow:
    """Return a row of each epoch's ``time``: "steps" or "whole"."""
    waiting = [epoch.waiting for epoch in epochs if epoch.waiting is not None]
    return SpeedRow(name, [getattr(epoch, time) for epoch in epochs], note, section,
                    workload.images_per_step,
                    waiting_for_data=statistics.mean(waiting) if waiting else None)


def _label(workload: Workload) -> str:
    """Return what the rows share; the image size too: figures of another one cannot be compared."""
    one, many = ("process", "processes") if workload.device == "CPU" else ("card", "cards")
    cards = (f"1 {one}, batch {workload.batch_size}" if workload.cards == 1 else
             f"{workload.cards} {many}, batch {workload.batch_size} each")
    return f"{cards}, {workload.image_size} px on {workload.device}"


def _table(plan: StepsPlan, title: str, rows: list[SpeedRow], **options: Any) -> SpeedTable:
    run = plan.workloads[0]  # all have these in common
    data = "made, JPEGs of 115 KB" if plan.images_to_make else str(plan.records or plan.images)
    settings = {"repeats": plan.repeats, "warm-up epochs left out": run.warmup_epochs,
                "epochs measured": run.epochs, "steps per epoch": run.steps_per_epoch,
                "crop": f"{run.image_size} px", "arithmetic": plan.target.arithmetic, "data": data}
    machine = describe_machine(plan.work, plan.target.name)
    return SpeedTable(title, None, "images", rows, machine, settings, per_step=True, **options)
