"""The original report's speed table where there is no card: what the feeds make of a card's step.

On a CPU the network takes all the time, and its table says nothing of the feeds. Here they are
real and the card is a wait, see ``simulated_card``; so these rows are never in one table with those
of a device, which ``SpeedTable`` sees to.
"""

import itertools
import math
import statistics
from dataclasses import replace
from functools import partial
from typing import Mapping, NamedTuple

from benchmarks.feed.feed_table import ASCEND_CARDS
from benchmarks.feed.storage import WARM, Storage, describe_mount, fill_cache, storages
from benchmarks.steps.request import STEP_BATCH, STEP_SOURCES
from benchmarks.steps.simulated_card import SimulatedRun, run_simulated
from benchmarks.steps.steps_plan import VARIANTS, StepsPlan, Variant
from benchmarks.table import describe_machine
from benchmarks.timing import in_turns
from common.forms import SpeedRow, SpeedTable


class Cell(NamedTuple):
    """A row of one section."""

    step_ms: float
    storage: str  # its title
    variant: Variant


def simulated_table(plan: StepsPlan) -> SpeedTable:
    """Time every variant at every step and storage, those of one storage in turns."""
    run, = plan.workloads
    runs: dict[Cell, list[SimulatedRun]] = {}
    places = storages(plan.work / "data")
    for place in places:
        if not place.unavailable_reason:
            runs.update(_run_in_turns(plan, place))
    rows = [_row(cell, runs.get(cell, []), run.batch_size, place.unavailable_reason)
            for step_ms in plan.steps_ms for place in places for variant in VARIANTS
            for cell in [Cell(step_ms, place.title, variant)]]
    settings = {
        "repeats": plan.repeats, "steps per run": run.steps_per_epoch * run.epochs,
        "steps left out before them": run.steps_per_epoch * run.warmup_epochs,
        "batch": run.batch_size, "crop": f"{run.image_size} px",
        "data": f"{plan.images_to_make:,} images made, JPEGs of 115 KB",
        "slow mount": describe_mount()}
    steps = " and ".join(f"{step_ms:g}" for step_ms in plan.steps_ms)
    return SpeedTable("Training in the original (ADSL) report's rows, on a simulated card of "
                      f"{steps} ms per step", None, "images", rows,
                      describe_machine(plan.work, "simulated card"),
                      settings, "rate", cores_of_a_host(rows), "mean", per_step=True)


def describe_card(step_ms: float, batch_size: int) -> str:
    """Return the words that stand in the heading of a section and in each of its rows."""
    known = STEP_SOURCES.get(step_ms) if batch_size == STEP_BATCH else None
    return f"simulated card, {step_ms:g} ms per step ({known or 'as given by --step-ms'})"


def _run_in_turns(plan: StepsPlan, place: Storage) -> Mapping[Cell, list[SimulatedRun]]:
    fill_cache(plan.work / "data")
    cells = [Cell(step_ms, place.title, variant)
             for step_ms in plan.steps_ms for variant in VARIANTS]
    return in_turns({cell: partial(_run, plan, place, cell) for cell in cells}, plan.repeats,
                    f"time {place.title.lower()}")


def _run(plan: StepsPlan, place: Storage, cell: Cell) -> SimulatedRun:
    run, = plan.workloads
    with place.reading() as data:
        flags = cell.variant.flags(replace(plan, images=data, records=data / "records"))
        return run_simulated(run, cell.step_ms, flags, plan.work, cell.variant.environment)


def _row(cell: Cell, runs: list[SimulatedRun], batch_size: int, unavailable_reason: str
         ) -> SpeedRow:
    card = describe_card(cell.step_ms, batch_size)
    return SpeedRow(
        cell.variant.name, [seconds for run in runs for seconds in run.seconds],
        unavailable_reason, f"{card}: {cell.storage.lower()}", batch_size, card,
        statistics.mean(run.waiting for run in runs) if runs else None,
        statistics.mean(run.cores for run in runs) if runs else None)


def cores_of_a_host(rows: list[SpeedRow]) -> list[str]:
    """Say for each card how many cores would feed a host of them, with the original report's feed
    and with ours."""
    names = VARIANTS[0].name, VARIANTS[-1].name
    lines = []
    for card, group in itertools.groupby(rows, key=lambda row: row.simulated):
        cores = {row.name: math.ceil(ASCEND_CARDS * row.cores_needed) for row in group
                 if row.section.endswith(WARM.lower()) and row.cores_needed is not None}
        needed = ", ".join(f'{cores[name]}{such} with "{name}"'
                           for name, such in zip(names, (" such cores", "")))
        lines.append(f"{card}: {ASCEND_CARDS} of them need {needed} ({ASCEND_CARDS} times one's)")
    return lines
