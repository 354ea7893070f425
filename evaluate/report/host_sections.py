"""The host: what the doctor found, and what each stage of the rehearsal at full count took."""

from collections import Counter
from typing import Sequence

from common.host_forms import DOCTOR_NAME, SCALE_NAME, Check, MeasuredStage, ScaleTable
from common.text import GIB
from evaluate.report.blocks import Block, Fact, Facts, Figure, Figures, LeftOut, Table, number
from evaluate.report.inputs import Inputs
from evaluate.report.plots import Bar, bar_chart
from evaluate.report.speed import describe_pairs
from evaluate.report.translations import Translate

STATES = {"fail": "failed", "warn": "warning", "ok": "ok"}  # worst first


def _pass_over_for_own_images(inputs: Inputs) -> None:
    """Leave a section out without a word where the images are not ILSVRC's: the doctor checks a
    host, and the rehearsal a disk, for a run of ImageNet's size."""
    if inputs.are_own_images:
        raise LeftOut


def doctor_section(inputs: Inputs, t: Translate) -> list[Block]:
    if not inputs.doctors:
        _pass_over_for_own_images(inputs)
        raise LeftOut(t("no {file} was found; make doctor writes it.", file=DOCTOR_NAME))
    blocks: list[Block] = []
    for name, report in inputs.doctors:
        states = Counter(check.state for check in report.checks)
        blocks.append(Facts([Fact(t(label), f"{states[state]}")
                             for state, label in STATES.items()]))
        advised = [check for state in STATES for check in report.checks
                   if check.state == state != "ok"]
        if advised:
            blocks.append(_checks_table(advised, t("Checks with a warning or failed"), t))
        blocks += [
            _checks_table(report.checks, t("All checks"), t, folded=True),
            t("Machine: {machine}. From {name}.", machine=describe_pairs(report.machine),
              name=name)]
    return blocks


def _checks_table(checks: Sequence[Check], caption: str, t: Translate, folded: bool = False
                  ) -> Table:
    rows = [[check.name, t(STATES[check.state]) if check.state in STATES else check.state,
             check.finding, check.advice] for check in checks]
    heads = [t(head) for head in ("check", "state", "finding", "advice")]
    return Table(heads, rows, caption, left=(0, 1, 2, 3), folded=folded)


def scale_section(inputs: Inputs, t: Translate) -> list[Block]:
    if not inputs.rehearsals:
        _pass_over_for_own_images(inputs)
        raise LeftOut(t("no {file} was found; python -m benchmarks scale writes it.",
                        file=SCALE_NAME))
    blocks: list[Block] = []
    for name, table in inputs.rehearsals:
        bars = [Bar(stage.name, stage.resources.seconds) for stage in table.stages]
        blocks += [
            Figures([Figure(bar_chart(f"scale {name}", bars, number), t("seconds per stage"))]),
            stages_table(table, t("Every stage"), t),
            t("All stages together: {minutes} minutes, {cpu_minutes} minutes of CPU.",
              minutes=f"{table.minutes:.1f}", cpu_minutes=f"{table.cpu_minutes:.1f}"),
            *(finding for stage in table.stages for finding in stage.report.findings),
            t("Machine: {machine}. Settings: {settings}. From {name}.",
              machine=describe_pairs(table.machine), settings=describe_pairs(table.settings),
              name=name)]
    return blocks


def stages_table(table: ScaleTable, caption: str, t: Translate) -> Table:
    """Return a row per stage; ``scale.md`` has the same."""
    heads = [t(head) for head in (
        "stage", "seconds", "CPU seconds", "items/s", "GiB, all processes",
        "GiB, largest process", "processes", "open files of one", "found")]
    return Table(heads, [*map(_cells, table.stages)], caption, left=(0, len(heads) - 1))


def _cells(stage: MeasuredStage) -> list[str]:
    report, used = stage.report, stage.resources
    rate = f"{report.items / used.seconds:,.0f}" if used.seconds else "–"
    return [stage.name, f"{used.seconds:.1f}", f"{used.cpu_seconds:.1f}", rate,
            f"{used.peak_bytes / GIB:.2f}", f"{used.largest_bytes / GIB:.2f}",
            f"{used.processes}", f"{used.open_files:,}", report.note]
