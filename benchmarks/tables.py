"""The form that every benchmark's figures have, and the one renderer."""

import dataclasses
import itertools
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

from common import write_json, write_text


@dataclass(frozen=True)
class Row:
    """One way of doing the work: its times, or why there are none."""

    name: str
    seconds: List[float]  # one per repeat
    note: str = ""
    section: str = ""  # heading of the rows that stand together; none: one table

    @property
    def median(self) -> Optional[float]:
        return statistics.median(self.seconds) if self.seconds else None


@dataclass(frozen=True)
class Table:
    """Rows that did the same amount of work in turns; ratios are to the first of a section."""

    title: str
    items: int  # in one repeat
    unit: str  # of items, plural
    rows: List[Row]
    machine: Dict[str, Any]
    settings: Dict[str, Any]
    ratio: str = "time"  # what the ratios are of: "time" or "rate"
    closing: List[str] = field(default_factory=list)  # what follows from the figures


def write_table(table: Table, out: Path) -> str:
    """Write ``out/result.json`` and ``out/result.md``; return the Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    page = render(table)
    write_json(out / "result.json", dataclasses.asdict(table))
    write_text(out / "result.md", page)
    return page


def render(table: Table) -> str:
    """The table as Markdown."""
    lines = [f"# {table.title}"]
    for section, rows in itertools.groupby(table.rows, key=lambda row: row.section):
        lines += ["", f"## {section}"] if section else []
        lines += _section(table, list(rows))
    lines += ["", *(f"- {line}" for line in table.closing)] if table.closing else []
    lines += ["", "Settings: " + _pairs(table.settings) + f"; {table.items:,} {table.unit}.",
              "Machine: " + _pairs(table.machine) + "."]
    return "\n".join(lines) + "\n"


def _section(table: Table, rows: List[Row]) -> List[str]:
    head = ["", f"| row | seconds (median) | spread | {table.unit}/s | {table.ratio}, x first row "
            "| note |", "|---|---|---|---|---|---|"]
    return head + [_line(row, table, rows[0].median) for row in rows]


def _line(row: Row, table: Table, first: Optional[float]) -> str:
    median = row.median
    if median is None:
        return f"| {row.name} | – | – | – | – | {row.note} |"
    spread = f"{min(row.seconds):.1f}–{max(row.seconds):.1f}"
    ratio = "–"
    if first:
        ratio = f"{median / first if table.ratio == 'time' else first / median:.2f}"
    return (f"| {row.name} | {median:.1f} | {spread} | {table.items / median:,.0f} | {ratio} | "
            f"{row.note} |")


def _pairs(values: Dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
