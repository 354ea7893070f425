"""Charts as ``<svg>`` elements whose text is text: the page's style sheet says in which font.

The same input gives the same bytes.
"""

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence

from common.cli import RequestError

SIZE = (4.6, 2.9)  # inches; so narrow that its text can be read on a telephone
INCHES_PER_BAR = 0.42
FEW = 20  # points that are drawn as dots, too
COLOURS = {"full": "#1f5fa8", "filtered": "#c2570c"}  # told apart by the colour-blind, too
PLAIN, PALE = "#33475b", "#8a99a8"
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a "$" in a class's name is one
    "svg.fonttype": "none", "font.size": 9, "axes.edgecolor": PALE, "axes.spines.top": False,
    "axes.spines.right": False, "grid.color": "#e3e8ed", "axes.axisbelow": True,
    "xtick.color": PLAIN, "ytick.color": PLAIN, "legend.frameon": False}


@dataclass(frozen=True)
class Line:
    """``xs`` and ``ys`` have the same length; a line without a label is not in the legend."""

    label: str
    xs: Sequence[float]
    ys: Sequence[Optional[float]]
    colour: str = PLAIN
    dashed: bool = False
    dots: bool = True  # at its points, where they are few


@dataclass(frozen=True)
class Mark:
    """A vertical line at ``x``."""

    x: float
    label: str


@dataclass(frozen=True)
class Bar:
    """``low`` and ``high`` are the ends of what was measured, where there are several values."""

    label: str
    value: float
    low: Optional[float] = None
    high: Optional[float] = None


def line_chart(name: str, lines: Sequence[Line], x_label: str, marks: Sequence[Mark] = ()) -> str:
    """Lines over whole numbers, from 0 upwards.

    Args:
        name: unlike that of any other chart of the page.
    """
    def draw(axes: Any) -> None:
        for line in lines:
            _draw_line(axes, line)
        highest = max((y for line in lines for y in line.ys if y is not None), default=0)
        axes.set_ylim(0, 1.08 * highest or 1)
        axes.set_xlabel(x_label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:.4g}")
        axes.grid(axis="y")
        _mark(axes, marks)
        if sum(bool(line.label) for line in lines) > 1:
            axes.legend(fontsize=8)
    return _svg(name, SIZE, draw)


def _draw_line(axes: Any, line: Line) -> None:
    """Unclipped, so that a dot on an edge is whole."""
    axes.plot(line.xs, line.ys, color=line.colour, label=line.label, linewidth=1.5,
              linestyle="--" if line.dashed else "-", clip_on=False, markersize=3.5,
              marker="o" if line.dots and len(line.xs) < FEW else None,
              markerfacecolor="white" if line.dashed else line.colour)


def _mark(axes: Any, marks: Sequence[Mark]) -> None:
    for mark in marks:
        axes.axvline(mark.x, color=PALE, linewidth=0.8, linestyle=":")
        axes.annotate(mark.label, (mark.x, 1.0), xycoords=("data", "axes fraction"), fontsize=8,
                      xytext=(2, 2), textcoords="offset points", color=PLAIN)


def bar_chart(name: str, bars: Sequence[Bar], form: Callable[[float], str]) -> str:
    """Bars from top to bottom, each under its label and with its value at the end.

    Args:
        name: unlike that of any other chart of the page.
    """
    def draw(axes: Any) -> None:
        places = range(len(bars))
        axes.barh(places, [bar.value for bar in bars], height=0.4, color=COLOURS["full"])
        axes.set_xlim(0, 1.15 * max([bar.high or bar.value for bar in bars] + [1e-9]))
        for place, bar in zip(places, bars):
            _label(axes, place, bar, form)
        axes.set_ylim(len(bars) - 0.6, -0.7)
        axes.set_axis_off()
    return _svg(name, (SIZE[0], 0.2 + INCHES_PER_BAR * len(bars)), draw)


def _label(axes: Any, place: int, bar: Bar, form: Callable[[float], str]) -> None:
    end = bar.value
    if bar.low is not None and bar.high is not None:
        axes.errorbar(bar.value, place, xerr=[[bar.value - bar.low], [bar.high - bar.value]],
                      color=PLAIN, linewidth=1, capsize=2.5)
        end = bar.high
    axes.annotate(form(bar.value), (end, place), xytext=(5, 0), textcoords="offset points",
                  va="center", fontsize=8.5)
    axes.annotate(bar.label, (0, place - 0.25), va="bottom", fontsize=8.5, color=PLAIN)


def _svg(name: str, size: tuple[float, float], draw: Callable[[Any], None]) -> str:
    """A figure of one pair of axes, without what HTML has no place for.

    Raises:
        RequestError: Matplotlib, the ``report`` extra, is not installed.
    """
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise RequestError("Matplotlib, which draws the report's curves, is not installed: "
                           "pip install '.[report]' (make report does)") from None
    from matplotlib.figure import Figure
    text = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # Matplotlib only measures the text, with a box for a letter its font lacks; it is the
        # browser that draws it, in a font that has Chinese.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure = Figure(size, layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    page = text.getvalue()
    return _without_ids(page[page.index("<svg"):].strip())


def _without_ids(svg: str) -> str:
    """Groups are numbered from 1 in each figure, but an id may stand once in a page; nothing
    refers to them. What is referred to has ids made with the hash salt."""
    return re.sub(r'<g id="[^"]*">', "<g>", svg)
