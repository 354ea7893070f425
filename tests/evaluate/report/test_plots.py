"""Charts are SVG whose text is text, the same every time, fit for one page, light or dark."""

import re
import warnings
from pathlib import Path
from xml.etree import ElementTree

from evaluate.report.plots import Bar, Line, bar_chart, line_chart, share_chart

LINES = [Line("完整集", [1, 2, 3], [9.0, None, 7.5]), Line("b", [1, 2, 3], [1, 2, 3], "filtered")]


def texts_of(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter()
            if element.tag.endswith("}text")]


def test_text_is_text_in_any_language_and_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = line_chart("a", LINES, "轮次", [(2, "阶段 2")])
    assert {"完整集", "b", "轮次", "阶段 2"} <= set(texts_of(svg))


def test_the_same_chart_has_the_same_bytes_and_another_one_does_not():
    assert line_chart("a", LINES, "x") == line_chart("a", LINES, "x")
    assert line_chart("a", LINES, "x") != line_chart("a", LINES[:1], "x")


def test_a_dollar_in_a_name_is_no_formula():
    assert "a$_{x$" in bar_chart("d", [Bar("a$_{x$", 1.0)], "{:.1f}".format)


def test_bars_carry_their_labels_and_values():
    svg = bar_chart("c", [Bar("ours", 120.0, (110.0, 130.0)), Bar("zero", 0.0)], "{:.1f}".format)
    assert texts_of(svg) == ["120.0", "ours", "0.0", "zero"]


def test_a_line_alone_has_no_legend():
    assert "alone" not in texts_of(line_chart("d", [Line("alone", [1], [1])], "x"))


SHARES = {"steps": ("steps", [80.0, 50.0]), "validation": ("validation", [20.0, 50.0])}


def test_shares_have_a_legend_and_a_column_for_each_epoch():
    svg = share_chart("s", SHARES, [1, 2], "epoch")
    assert {"steps", "validation", "epoch", "1", "2", "100"} <= set(texts_of(svg))
    assert "var(--validation, #2b8a6e)" in svg
    assert "<path" in share_chart("s", {"steps": ("steps", [100.0])}, [1], "epoch")


def test_powers_of_2_are_drawn_by_exponent():
    svg = line_chart("l", [Line("", [1, 2], [1024.0, 65536.0])], "epoch", powers_of_2=True)
    assert {"1,024", "4,096", "16,384", "65,536"} <= set(texts_of(svg))


def test_every_colour_is_one_that_the_style_sheet_has_for_light_and_dark():
    """Text without a colour of its own would be black on a dark page."""
    ends = Bar("ours", 120.0, (110.0, 130.0))
    svgs = [line_chart("a", [*LINES, Line("c", [1, 2, 3], [1, 2, 3], "ema_full")], "x", [(2, "p")]),
            bar_chart("b", [ends], "{:.1f}".format), share_chart("s", SHARES, [1, 2], "epoch")]
    light, dark = (Path(__file__).parents[3] / "evaluate" / "report" / "page.css").read_text(
        "utf-8").split("prefers-color-scheme: dark")
    for svg in svgs:
        elements = [element for element in ElementTree.fromstring(svg).iter()
                    if element.tag.endswith("}text")]
        assert all("fill: var(--" in element.get("style") for element in elements)
        assert not re.findall("(?:fill|stroke): #", svg)
        for name in re.findall(r"var\((--[a-z-]+), #", svg):
            assert f"{name}: " in light and f"{name}: " in dark, name
