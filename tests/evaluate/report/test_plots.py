"""Charts are SVG whose text is text, the same every time, fit for one page."""

import warnings
from xml.etree import ElementTree

from evaluate.report.plots import Bar, Line, bar_chart, line_chart

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
