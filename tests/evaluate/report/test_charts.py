"""What charts draw, read from their axes: values, ends, colours, what is written where."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from common.cli import RequestError
from evaluate.report import plots
from evaluate.report.plots import (COLOURS, FEW, PALE, PAPER, PLAIN, SHARES, Bar, Line, bar_chart,
                                   line_chart, share_chart)


@pytest.fixture
def drawn(monkeypatch):
    """Calls a function that makes a chart; its name, its size in inches and its axes."""
    def call(make, *given, **named):
        charts = []

        def draw_on_axes(name, size, draw):
            axes = Figure(size, layout="constrained").add_subplot()
            draw(axes)
            axes.figure.draw_without_rendering()
            charts.append(SimpleNamespace(name=name, size=size, axes=axes))
            return "<svg>"
        with monkeypatch.context() as patched:
            patched.setattr(plots, "_svg", draw_on_axes)
            assert make(*given, **named) == "<svg>"
        return charts[0]
    return call


def notes_of(axes):
    """Text, point, its offset, size, colour and place of each annotation."""
    return [(text.get_text(), text.xy, text.xyann, text.get_fontsize(), to_hex(text.get_color()),
             text.get_va()) for text in axes.texts if isinstance(text, Annotation)]


def test_lines_run_from_0_through_the_values_that_they_have(drawn):
    many = list(range(1, FEW + 1))
    chart = drawn(line_chart, "a", [
        Line("full", [1, 2, 3], [9.0, None, 7.5], "full"),
        Line("filtered", [1, 2, 3], [8.0, 4.0, 2.0], "ema_filtered"),
        Line("", many, [1.0] * FEW)], "epoch", [(2, "phase 2")])
    axes = chart.axes
    assert (chart.name, chart.size, axes.get_ylim()) == ("a", (4.6, 2.9), (0, 1.08 * 9))
    full, filtered, long, mark = axes.lines
    assert (list(full.get_xdata()), list(full.get_ydata())) == ([1, 3], [9.0, 7.5])
    for line, colour, style, marker, face in (
            (full, COLOURS["full"], "-", "o", COLOURS["full"]),
            (filtered, COLOURS["ema_filtered"], "--", "o", PAPER),
            (long, PLAIN, "-", "None", PLAIN)):
        assert (to_hex(line.get_color()), line.get_linestyle(), line.get_marker(),
                to_hex(line.get_markerfacecolor())) == (colour, style, marker, face)
        assert (line.get_linewidth(), line.get_markersize()) == (1.5, 3.5)
        assert not line.get_clip_on()
    assert axes.get_xlabel() == "epoch"
    assert (mark.get_xdata()[0], to_hex(mark.get_color()), mark.get_linestyle(),
            mark.get_linewidth()) == (2, PALE, ":", 0.8)
    assert notes_of(axes) == [("phase 2", (2, 1.0), (2, 2), 8, PLAIN, "baseline")]
    note, = axes.texts
    assert (note.xycoords, note.anncoords) == (("data", "axes fraction"), "offset points")
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["full", "filtered"]
    assert legend.get_texts()[0].get_fontsize() == 8
    assert all(float(place).is_integer() for place in axes.get_xticks())
    assert any(line.get_visible() for line in axes.get_ygridlines())
    assert not any(line.get_visible() for line in axes.get_xgridlines())
    assert axes.yaxis.get_major_formatter()(0.12345, 0) == "0.1235"


def test_a_chart_of_nothing_or_of_zeros_has_a_height(drawn):
    for lines in ([], [Line("", [1], [0.0])], [Line("", [1, 2], [None, 0.0])]):
        axes = drawn(line_chart, "a", lines, "x").axes
        assert axes.get_ylim() == (0, 1) and axes.get_legend() is None


def test_powers_of_2_have_an_axis_of_their_own(drawn):
    axes = drawn(line_chart, "a", [Line("", [1, 2], [1024.0, 65536.0])], "x",
                 powers_of_2=True).axes
    scale = axes.yaxis.get_transform()
    assert (axes.get_yscale(), scale.base) == ("log", 2)
    assert axes.yaxis.get_major_formatter()(4096, 0) == "4,096"
    assert len(axes.yaxis.get_minorticklocs()) == 0


def test_a_bar_ends_at_its_value_and_shows_what_was_measured(drawn):
    chart = drawn(bar_chart, "b", [Bar("ours", 120.0, (110.0, 150.0)), Bar("zero", 0.0)],
                  "{:.1f}".format)
    axes = chart.axes
    assert chart.size == (4.6, pytest.approx(0.2 + 2 * 0.42))
    assert [(bar.get_width(), bar.get_height(), bar.get_y() + bar.get_height() / 2,
             to_hex(bar.get_facecolor())) for bar in axes.patches] == [
        (width, 0.4, pytest.approx(place), COLOURS["full"])
        for width, place in ((120, 0), (0, 1))]
    assert axes.get_xlim() == (0, pytest.approx(1.15 * 150))
    assert axes.get_ylim() == (pytest.approx(1.4), -0.7) and not axes.axison
    assert notes_of(axes) == [
        ("120.0", (150, 0), (5, 0), 8.5, notes_of(axes)[0][4], "center"),
        ("ours", (0, -0.25), (0, -0.25), 8.5, PLAIN, "bottom"),
        ("0.0", (0, 1), (5, 0), 8.5, notes_of(axes)[2][4], "center"),
        ("zero", (0, 0.75), (0, 0.75), 8.5, PLAIN, "bottom")]
    assert [text.anncoords for text in axes.texts] == ["offset points", "data"] * 2
    ends, = axes.collections
    segment, = ends.get_segments()
    assert segment.tolist() == [[110, 0], [150, 0]]
    assert (to_hex(ends.get_color()[0]), ends.get_linewidth()[0]) == (PLAIN, 1)
    assert [cap.get_markersize() for cap in axes.lines if cap.get_marker() == "|"] == [5, 5]
    assert drawn(bar_chart, "b", [Bar("zero", 0.0)], str).axes.get_xlim()[1] > 0


def test_shares_stand_on_top_of_each_other_in_their_colours(drawn):
    axes = drawn(share_chart, "s", {"waiting": ("w", [10.0, 20.0]), "steps": ("s", [90.0, 80.0])},
                 [3, 4], "epoch").axes
    assert (axes.get_xlim(), axes.get_ylim(), axes.get_xlabel()) == ((2.5, 4.5), (0, 100), "epoch")
    assert [(round(float(area.get_paths()[0].vertices[:, 1].max())),
             to_hex(area.get_facecolor()[0])) for area in axes.collections] == [
        (20, SHARES["waiting"]), (100, SHARES["steps"])]
    assert [float(area.get_linewidth()[0]) for area in axes.collections] == [0, 0]
    steps = axes.collections[1].get_paths()[0].vertices
    for x, bottom in ((2.5, 10), (3.5, 20), (4.5, 20)):
        assert bottom in np.round(steps[steps[:, 0] == x, 1])
    legend = axes.get_legend()
    assert legend._ncols in (2, 3)  # at most 3, and as many as there are labels
    assert [text.get_text() for text in legend.get_texts()] == ["w", "s"]
    assert legend.get_texts()[0].get_fontsize() == 8 and legend._loc == 8  # lower center
    assert legend.get_bbox_to_anchor().y0 == pytest.approx(axes.bbox.y1)  # above the axes
    assert all(float(place).is_integer() for place in axes.get_xticks())


def test_an_svg_has_its_size_no_date_and_no_background():
    svg = line_chart("a", [Line("", [1], [1.0])], "x")
    assert svg.startswith("<svg") and svg.endswith("</svg>") and "dc:date" not in svg
    assert 'width="331.2pt"' in svg and 'height="208.8pt"' in svg
    assert "fill: var(--paper" not in svg and "<g id" not in svg
    assert svg != line_chart("b", [Line("", [1], [1.0])], "x")  # ids are of the chart's name


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RequestError, match=r"pip install '\.\[report\]'"):
        bar_chart("a", [Bar("a", 1.0)], str)
