"""Accuracy against the number of crops, of results made with ``--curve``."""

from typing import Sequence, Union

from evaluate.report.accuracy import SETS
from evaluate.report.content import (Block, Figure, Figures, Missing, Section,
                                     Table)
from evaluate.report.inputs import Evaluation, Inputs
from evaluate.report.plots import COLOURS, Line, line_chart
from evaluate.report.texts import Translate


def curve_section(inputs: Inputs, say: Translate) -> Union[Section, Missing]:
    curves = [item for item in inputs.evaluations if "curve" in item.about]
    if not curves:
        return Missing(say("curve.title"), say("curve.missing"))
    return Section("curve", say("curve.title"),
                   [block for item in curves for block in _blocks(item, inputs.evaluations, say)])


def _blocks(curve: Evaluation, evaluations: Sequence[Evaluation], say: Translate) -> list[Block]:
    others = [item for item in evaluations if "curve" not in item.about and all(
        item.about[name] == curve.about[name] for name in ("checkpoint_sha256", "records_sha256"))]
    figures = [Figure(line_chart(f"curve {curve.name} {top}", _lines(curve, others, top, say),
                                 say("crops")),
                      say("curve.chart", top=say(top), name=curve.name))
               for top in ("top1", "top5")]
    notes = [say("curve.lead", name=curve.name)] + [say("curve.dots")] * bool(others)
    return [" ".join(notes), Figures(figures), _table(curve, say)]


def _lines(curve: Evaluation, others: Sequence[Evaluation], top: str, say: Translate) -> list[Line]:
    points = curve.about["curve"]
    lines = [Line(say("curve.line", set=say(f"set.{name}")), points["crops"],
                  points[name][f"{top}_error"], COLOURS[name], dashed=name == "filtered")
             for name in SETS if name in points]
    return lines + [Line("", [item.about["crops"]], [scored[f"{top}_error"]], COLOURS[name],
                         dashed=name == "filtered")
                    for item in others for name, scored in item.about["sets"].items()]


def _table(curve: Evaluation, say: Translate) -> Table:
    points = curve.about["curve"]
    columns = [(name, top) for name in SETS if name in points for top in ("top1", "top5")]
    heads = [say("crops")] + [say("curve.head", set=say(f"set.{name}"), top=say(f"{top}.percent"))
                              for name, top in columns]
    rows = [[f"{crops}", *(f"{points[name][f'{top}_error'][place]:.2f}" for name, top in columns)]
            for place, crops in enumerate(points["crops"])]
    return Table(heads, rows, say("curve.table"), left=())
