"""The form that every benchmark's figures have, and the one renderer."""

import dataclasses
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from common import write_json, write_text


@dataclass(frozen=True)
class Row:
    """One way of doing the work: its times, or why there are none."""

    name: str
    seconds: List[float]  # one per repeat
    note: str = ""

    @property
    def median(self) -> Optional[float]:
        return statistics.median(self.seconds) if self.seconds else None


@dataclass(frozen=True)
class Table:
    """Rows that did the same amount of work in turns; ratios are to the first row."""

    title: str
    items: int  # in one repeat
    unit: str  # of items, plural
    rows: List[Row]
    machine: Dict[str, Any]
    settings: Dict[str, Any]


def write_table(table: Table, out: Path) -> str:
    """Write ``out/result.json`` and ``out/result.md``; return the Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    page = render(table)
    write_json(out / "result.json", dataclasses.asdict(table))
    write_text(out / "result.md", page)
    return page


def render(table: Table) -> str:
    """The table as Markdown."""
    lines = [f"# {table.title}", "",
             f"| row | seconds (median) | spread | {table.unit}/s | x first row | note |",
             "|---|---|---|---|---|---|"]
    first = table.rows[0].median
    lines += [_line(row, table.items, first) for row in table.rows]
    lines += ["", "Settings: " + _pairs(table.settings) + f"; {table.items:,} {table.unit}.",
              "Machine: " + _pairs(table.machine) + "."]
    return "\n".join(lines) + "\n"


def _line(row: Row, items: int, first: Optional[float]) -> str:
    median = row.median
    if median is None:
        return f"| {row.name} | – | – | – | – | {row.note} |"
    spread = f"{min(row.seconds):.1f}–{max(row.seconds):.1f}"
    ratio = f"{median / first:.2f}" if first else "–"
    return (f"| {row.name} | {median:.1f} | {spread} | {items / median:,.0f} | {ratio} | "
            f"{row.note} |")


def _pairs(values: Dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
