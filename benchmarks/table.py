"""The form that every benchmark's figures have, and the one renderer."""

import dataclasses
import itertools
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

from common.files import write_json, write_text


@dataclass(frozen=True)
class SpeedRow:
    """One way of doing the work: its times, or why there are none."""

    name: str
    seconds: List[float]  # one per repeat, or per epoch of each repeat
    note: str = ""
    section: str = ""  # heading of the rows that stand together; none: one table
    items: Optional[int] = None  # done in each of ``seconds``; None: the table's

    @property
    def median(self) -> Optional[float]:
        return statistics.median(self.seconds) if self.seconds else None


@dataclass(frozen=True)
class SpeedTable:
    """Rows that did the same amount of work in turns; ratios are to the first of a section."""

    title: str
    items: Optional[int]  # done in each of ``seconds``; None: the rows say it
    unit: str  # of items, plural
    rows: List[SpeedRow]
    machine: Dict[str, Any]
    settings: Dict[str, Any]
    ratio: str = "time"  # what the ratios are of: "time" or "rate"
    closing: List[str] = field(default_factory=list)  # what follows from the figures
    average: str = "median"  # or "mean"
    per_step: bool = False  # ``seconds`` are those of a step, shown in ms

    def average_of(self, row: SpeedRow) -> Optional[float]:
        return getattr(statistics, self.average)(row.seconds) if row.seconds else None


def write_table(table: SpeedTable, out: Path) -> str:
    """Write ``out/speed.json`` and ``out/speed.md``; return the Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    page = render(table)
    write_json(out / "speed.json", dataclasses.asdict(table))
    write_text(out / "speed.md", page)
    return page


def render(table: SpeedTable) -> str:
    """The table as Markdown."""
    lines = [f"# {table.title}"]
    for section, rows in itertools.groupby(table.rows, key=lambda row: row.section):
        lines += ["", f"## {section}"] if section else []
        lines += _section(table, list(rows))
    lines += ["", *(f"- {line}" for line in table.closing)] if table.closing else []
    lines += ["", f"Settings: {_pairs(table.settings)}{_items(table)}.",
              "Machine: " + _pairs(table.machine) + "."]
    return "\n".join(lines) + "\n"


def _items(table: SpeedTable) -> str:
    return f"; {table.items:,} {table.unit}" if table.items else ""


def _section(table: SpeedTable, rows: List[SpeedRow]) -> List[str]:
    time = "ms/step" if table.per_step else "seconds"
    head = ["", f"| row | {time} ({table.average}) | spread | {table.unit}/s | {table.ratio}, "
            "x first row | note |", "|---|---|---|---|---|---|"]
    return head + [_line(row, table, table.average_of(rows[0])) for row in rows]


def _line(row: SpeedRow, table: SpeedTable, first: Optional[float]) -> str:
    average = table.average_of(row)
    if average is None:
        return f"| {row.name} | – | – | – | – | {row.note} |"
    shown, low, high = (f"{seconds * (1000 if table.per_step else 1):.1f}"
                        for seconds in (average, min(row.seconds), max(row.seconds)))
    ratio = "–"
    if first:
        ratio = f"{average / first if table.ratio == 'time' else first / average:.2f}"
    items = table.items if row.items is None else row.items
    assert items is not None, f"neither the table nor the row {row.name} says how much was done"
    rate = items / average
    return (f"| {row.name} | {shown} | {low}–{high} | {rate:,.{0 if rate >= 100 else 1}f} | "
            f"{ratio} | {row.note} |")


def _pairs(values: Dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
