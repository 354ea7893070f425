"""Speed: the benchmarks' tables with bars, and the evaluations of this page."""

import itertools
from typing import Any, Callable, Mapping, Sequence

from common.forms import SpeedRow, SpeedTable
from evaluate.report.blocks import Block, Figure, Figures, LeftOut, Table, number
from evaluate.report.inputs import Evaluation, Inputs
from evaluate.report.plots import Bar, bar_chart
from evaluate.report.translations import Translate

RATIOS = {"time": "time, × first row", "rate": "rate, × first row"}


def speed_section(inputs: Inputs, t: Translate) -> list[Block]:
    timed = [item for item in inputs.evaluations if item.result.speed is not None]
    if not timed and not inputs.speed_tables:
        raise LeftOut(t("there is neither a benchmark table nor a timed evaluation."))
    blocks: list[Block] = [_evaluations(timed, t)] if timed else []
    for name, table in inputs.speed_tables:
        blocks += _benchmark(name, table, t)
    return blocks


def _evaluations(timed: Sequence[Evaluation], t: Translate) -> Table:
    rows = []
    for item in timed:
        speed, crops = item.result.speed, item.result.crops
        assert speed is not None, "only timed results are listed"
        rate = speed.images_per_second_per_rank
        rows.append([item.name, item.result.device or "–", f"{speed.ranks}", f"{crops}",
                     f"{item.result.image_size}", number(rate), number(rate * crops),
                     f"{100 * speed.waiting_for_data:.1f}"])
    heads = [t(head) for head in ("folder", "device", "ranks", "crops", "px", "images/s per rank",
                                  "crops/s per rank", "waiting for data, %")]
    return Table(heads, rows, t("Evaluations on this page"), left=(0, 1))


def _benchmark(name: str, table: SpeedTable, t: Translate) -> list[Block]:
    figures: list[Figure] = []
    tables: list[Block] = []
    by_section = itertools.groupby(table.rows, key=lambda row: row.section)
    for place, (section, grouped) in enumerate(by_section):
        rows = list(grouped)
        title = f"{table.title}: {section}" if section else table.title
        tables.append(rows_table(table, rows, title, t))
        bars = [Bar(row.name, row.items_per_second, row.slowest_and_fastest)
                for row in rows if row.items_per_second is not None]
        if bars:
            figures.append(Figure(
                bar_chart(f"{name} {table.title} {place}", bars, number),
                t("{title}: {unit} per second", title=title, unit=table.unit)))
    if table.simulated:
        tables.append(t("The card of these rows was simulated: a wait as long as its step, fed by "
                        "feeds that are real. They are no comparison with rows of a device."))
    about = t("Machine: {machine}. Settings: {settings}. From {name}.",
              machine=describe_pairs(table.machine), settings=describe_pairs(table.settings),
              name=name)
    charts: list[Block] = [Figures(figures)] if figures else []
    return [*charts, *tables, *table.closing, about]


def rows_table(table: SpeedTable, rows: Sequence[SpeedRow], title: str, t: Translate) -> Table:
    """Return rows of the table, whose figures are computed; ``speed.md`` consists of these, too."""
    average = t("mean") if table.average == "mean" else t("median")
    time, scale = ((t("ms/step ({average})", average=average), 1000) if table.per_step else
                   (t("seconds ({average})", average=average), 1))
    columns: dict[str, Callable[[SpeedRow], str]] = {  # heads, and cells of a row that has times
        time: lambda row: number(row.average_seconds, scale),
        t("min–max"): lambda row: (f"{number(min(row.seconds), scale)}–"
                                   f"{number(max(row.seconds), scale)}"),
        t("{unit}/s", unit=table.unit): lambda row: number(row.items_per_second),
        t(RATIOS[table.ratio]): lambda row: number(row.ratio_to_first)}
    if any(row.waiting_for_data is not None for row in table.rows):
        columns[t("waiting for data, %")] = lambda row: (
            "–" if row.waiting_for_data is None else f"{100 * row.waiting_for_data:.1f}")
    if any(row.cores_needed is not None for row in table.rows):
        columns[t("cores for one card")] = lambda row: number(row.cores_needed)
    cells = [[row.name, *(cell(row) if row.seconds else "–" for cell in columns.values()),
              "; ".join(filter(None, (row.simulated, row.note)))] for row in rows]
    return Table([t("variant"), *columns, t("note")], cells, title, left=(0, len(columns) + 1))


def describe_pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
