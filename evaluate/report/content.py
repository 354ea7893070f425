"""What the report consists of, as plain data: both renderers write the same sections."""

from dataclasses import dataclass
from typing import Sequence, Union


@dataclass(frozen=True)
class Table:
    """Rows of text under heads.

    Attributes:
        left: columns of words; the others hold numbers and stand to the right.
        code: columns of digests and paths.
        set_apart: rows that are not results of ours.
        folded: long, so it is opened by a click.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    left: tuple[int, ...] = (0,)
    code: tuple[int, ...] = ()
    set_apart: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True)
class Figure:
    """An ``<svg>`` element. Its figures also stand in a table: the Markdown copy has no charts.
    """

    svg: str
    caption: str


@dataclass(frozen=True)
class Figures:
    """Side by side where there is room."""

    figures: Sequence[Figure]


@dataclass(frozen=True)
class Thumbnail:
    jpeg: bytes
    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Gallery:
    thumbnails: Sequence[Thumbnail]


@dataclass(frozen=True)
class Fact:
    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Facts:
    """A few figures to see first."""

    facts: Sequence[Fact]


@dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    text: str


Block = Union[str, Table, Figures, Gallery, Facts, Commands]  # str: a paragraph


@dataclass(frozen=True)
class Section:
    name: str  # its anchor
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Missing:
    """A section that is left out, and why."""

    title: str
    reason: str


@dataclass(frozen=True)
class Page:
    language: str  # as HTML's ``lang``
    title: str
    lead: str
    contents: str  # heading of the list of sections
    sections: Sequence[Section]


def number(value: float) -> str:
    """Three significant digits, or all digits before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.2f}–{ends[1]:.2f}"
