"""Charts as ``<svg>`` elements whose text is text: the page's style sheet says in which font and,
by light or dark, in which colours.

The same input gives the same bytes. The name of a chart is unlike that of any other of its page.
"""

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence

from common.cli import RequestError

SIZE = (4.6, 2.9)  # inches; so narrow that its text can be read on a telephone
INCHES_PER_BAR = 0.42
FEW = 20  # points that are drawn as dots, too
PLAIN, PALE, GRID, PAPER = "#33475b", "#8a99a8", "#e3e8ed", "#ffffff"
COLOURS = {"full": "#1f5fa8", "filtered": "#c2570c",  # the colour-blind see the difference, too
           "ema_full": "#6fb1ee", "ema_filtered": "#f0a35e"}
SHARES = {"waiting": COLOURS["filtered"], "validation": "#2b8a6e", "checkpoint": "#8a5fb0",
          "other": PALE, "steps": "#c9d9ea"}
# In the page a colour is a variable of the style sheet, with the colour of a light page for
# programs that know no variables.
VARIABLES = {**{colour: name.replace("_", "-") for name, colour in (SHARES | COLOURS).items()},
             PLAIN: "plain", PALE: "pale", GRID: "grid", PAPER: "paper"}
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a "$" in a class's name is one
    "svg.fonttype": "none", "font.size": 9, "axes.edgecolor": PALE, "axes.spines.top": False,
    "axes.spines.right": False, "grid.color": GRID, "axes.axisbelow": True, "text.color": PLAIN,
    "axes.labelcolor": PLAIN, "xtick.color": PLAIN, "ytick.color": PLAIN, "legend.frameon": False}


@dataclass(frozen=True)
class Line:
    """``xs`` and ``ys`` have the same length; a line without a label is not in the legend."""

    label: str
    xs: Sequence[float]
    ys: Sequence[Optional[float]]
    of_set: str = ""  # a key of COLOURS; the filtered set gets dashes, too


@dataclass(frozen=True)
class Bar:
    """``ends`` are the lowest and highest of what was measured, where there are several values."""

    label: str
    value: float
    ends: Optional[tuple[float, float]] = None


def line_chart(name: str, lines: Sequence[Line], x_label: str,
               marks: Sequence[tuple[float, str]] = (), powers_of_2: bool = False) -> str:
    """Draw lines over whole numbers, from 0 upwards or, where they are powers of 2, by exponent,
    and a labelled vertical line at each mark."""
    def draw(axes: Any) -> None:
        for line in lines:
            _draw_line(axes, line)
        if powers_of_2:
            axes.set_yscale("log", base=2)
            axes.minorticks_off()
        else:
            highest = max((y for line in lines for y in line.ys if y is not None), default=0)
            axes.set_ylim(0, 1.08 * highest or 1)
        axes.set_xlabel(x_label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        form = "{:,.0f}" if powers_of_2 else "{:.4g}"
        axes.yaxis.set_major_formatter(lambda value, place: form.format(value))
        axes.grid(axis="y")
        for x, label in marks:
            axes.axvline(x, color=PALE, linewidth=0.8, linestyle=":")
            axes.annotate(label, (x, 1.0), xycoords=("data", "axes fraction"), fontsize=8,
                          xytext=(2, 2), textcoords="offset points", color=PLAIN)
        if sum(bool(line.label) for line in lines) > 1:
            axes.legend(fontsize=8)
    return _svg(name, SIZE, draw)


def _draw_line(axes: Any, line: Line) -> None:
    """Draw the line unclipped, so that a dot on an edge is whole, and through the values that it
    has: with ``--validate-every`` only some epochs have one."""
    colour, dashed = COLOURS.get(line.of_set, PLAIN), line.of_set.endswith("filtered")
    points = [(x, y) for x, y in zip(line.xs, line.ys) if y is not None]
    axes.plot(*zip(*points), color=colour, label=line.label, linewidth=1.5,
              linestyle="--" if dashed else "-", clip_on=False, markersize=3.5,
              marker="o" if len(points) < FEW else None,
              markerfacecolor=PAPER if dashed else colour)


def share_chart(name: str, shares: Mapping[str, tuple[str, Sequence[float]]],
                xs: Sequence[float], x_label: str) -> str:
    """Draw parts in percent on top of each other, a column for each of ``xs``, which are whole
    numbers.

    Args:
        shares: keys of SHARES; their labels, and a value for each x.
    """
    def draw(axes: Any) -> None:
        edges = [edge for x in xs for edge in (x - 0.5, x + 0.5)]
        at_both_edges = ([value for value in values for _ in range(2)]
                         for _, values in shares.values())
        axes.stackplot(edges, *at_both_edges, labels=[label for label, _ in shares.values()],
                       colors=[SHARES[key] for key in shares], linewidth=0)
        axes.set_ylim(0, 100)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(x_label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return _svg(name, SIZE, draw)


def bar_chart(name: str, bars: Sequence[Bar], form: Callable[[float], str]) -> str:
    """Draw bars from top to bottom, each under its label and with its value at the end."""
    def draw(axes: Any) -> None:
        axes.barh(range(len(bars)), [bar.value for bar in bars], height=0.4,
                  color=COLOURS["full"])
        highest = [bar.ends[1] if bar.ends else bar.value for bar in bars]
        axes.set_xlim(0, 1.15 * max([*highest, 1e-9]))
        for place, (bar, end) in enumerate(zip(bars, highest)):
            if bar.ends:
                axes.errorbar(bar.value, place, color=PLAIN, linewidth=1, capsize=2.5,
                              xerr=[[bar.value - bar.ends[0]], [bar.ends[1] - bar.value]])
            axes.annotate(form(bar.value), (end, place), xytext=(5, 0),
                          textcoords="offset points", va="center", fontsize=8.5)
            axes.annotate(bar.label, (0, place - 0.25), va="bottom", fontsize=8.5, color=PLAIN)
        axes.set_ylim(len(bars) - 0.6, -0.7)
        axes.set_axis_off()
    return _svg(name, (SIZE[0], 0.2 + INCHES_PER_BAR * len(bars)), draw)


def _svg(name: str, size: tuple[float, float], draw: Callable[[Any], None]) -> str:
    """Return a figure of one pair of axes, without what HTML has no place for.

    Raises:
        RequestError: Matplotlib, the ``report`` extra, is not installed.
    """
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise RequestError("Matplotlib, which draws the report's curves, is not installed: "
                           "pip install '.[report]' (make report does)") from None
    from matplotlib.figure import Figure
    file = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # Matplotlib only measures the text, with a box for a letter its font lacks; it is the
        # browser that draws it, in a font that has Chinese.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure = Figure(size, layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = re.sub("(fill|stroke): (#[0-9a-f]{6})", _variable, file.getvalue())
    # Groups are numbered from 1 in each figure, but a page may have an id only once; nothing
    # refers to these. What is referred to has ids made with the hash salt.
    return re.sub(r'<g id="[^"]*">', "<g>", svg[svg.index("<svg"):].strip())


def _variable(found: re.Match[str]) -> str:
    kind, colour = found.groups()
    return f"{kind}: var(--{VARIABLES[colour]}, {colour})"
