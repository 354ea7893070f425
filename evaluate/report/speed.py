"""How fast: the benchmarks' tables with bars, and the evaluations of this page."""

import itertools
import statistics
from typing import Any, Optional, Sequence, Union

from evaluate.report.content import (Block, Figure, Figures, Missing, Section,
                                     Table, number)
from evaluate.report.inputs import Evaluation, Inputs, SpeedFile
from evaluate.report.plots import Bar, bar_chart
from evaluate.report.texts import Translate


def speed_section(inputs: Inputs, say: Translate) -> Union[Section, Missing]:
    timed = [item for item in inputs.evaluations if "speed" in item.about]
    if not timed and not inputs.speed_tables:
        return Missing(say("speed.title"), say("speed.missing"))
    blocks: list[Block] = [_evaluations(timed, say)] if timed else []
    for item in inputs.speed_tables:
        blocks += _benchmark(item, say)
    return Section("speed", say("speed.title"), blocks)


def _evaluations(timed: Sequence[Evaluation], say: Translate) -> Table:
    rows = []
    for item in timed:
        speed, crops = item.about["speed"], item.about["crops"]
        rate = speed["images_per_second_per_rank"]
        rows.append([item.name, item.about.get("device", "–"), f"{speed['ranks']}", f"{crops}",
                     f"{item.about['image_size']}", number(rate), number(rate * crops),
                     f"{100 * speed['waiting_for_data']:.1f}"])
    keys = ("folder", "speed.device", "speed.ranks", "crops", "pixels", "speed.per_rank",
            "speed.crops_per_rank", "training.waiting")
    return Table([say(key) for key in keys], rows, say("speed.evaluations"), left=(0, 1))


def _benchmark(item: SpeedFile, say: Translate) -> list[Block]:
    table = item.table
    blocks: list[Block] = []
    by_section = itertools.groupby(table["rows"], key=lambda row: row.get("section", ""))
    for place, (section, grouped) in enumerate(by_section):
        rows = list(grouped)
        title = ": ".join(filter(None, (table["title"], section)))
        blocks.append(_rows(table, rows, title, say))
        bars = [bar for bar in (_bar(table, row) for row in rows) if bar]
        if bars:
            blocks.append(Figures([Figure(
                bar_chart(f"{item.name} {table['title']} {place}", bars, number),
                say("speed.chart", title=title, unit=table["unit"]))]))
    about = say("speed.about", machine=_pairs(table.get("machine", {})),
                settings=_pairs(table.get("settings", {})), name=item.name)
    return [*blocks, *table.get("closing", []), about]


def _rows(table: dict[str, Any], rows: Sequence[dict[str, Any]], title: str, say: Translate
          ) -> Table:
    average = say(f"average.{table.get('average', 'median')}")
    heads = [say("speed.row"), say("speed.ms" if table.get("per_step") else "speed.seconds",
                                   average=average), say("speed.spread"),
             say("speed.rate", unit=table["unit"]),
             say(f"speed.ratio.{table.get('ratio', 'time')}"), say("speed.note")]
    first = _average(table, rows[0])
    return Table(heads, [_row(table, row, first) for row in rows], title, left=(0, 5))


def _row(table: dict[str, Any], row: dict[str, Any], first: Optional[float]) -> list[str]:
    average = _average(table, row)
    if average is None:
        return [row["name"], "–", "–", "–", "–", row["note"]]
    scale = 1000 if table.get("per_step") else 1
    ratio = None
    if first:
        ratio = average / first if table.get("ratio", "time") == "time" else first / average
    return [row["name"], number(scale * average),
            f"{number(scale * min(row['seconds']))}–{number(scale * max(row['seconds']))}",
            number(_items(table, row) / average), number(ratio) if ratio else "–", row["note"]]


def _average(table: dict[str, Any], row: dict[str, Any]) -> Optional[float]:
    averages = {"median": statistics.median, "mean": statistics.mean}
    return averages[table.get("average", "median")](row["seconds"]) if row["seconds"] else None


def _items(table: dict[str, Any], row: dict[str, Any]) -> int:
    """Done in each of the row's times."""
    return row.get("items") or table["items"]


def _bar(table: dict[str, Any], row: dict[str, Any]) -> Optional[Bar]:
    average, items = _average(table, row), _items(table, row)
    if average is None:
        return None
    return Bar(row["name"], items / average, items / max(row["seconds"]),
               items / min(row["seconds"]))


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
