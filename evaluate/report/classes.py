"""The error of each class and the most confused pairs, as a section."""

from typing import Callable, Sequence, Union

from evaluate.predictions import Predictions
from evaluate.report.content import (Block, Figure, Figures, Missing, Section,
                                     Table, number)
from evaluate.report.inputs import Evaluation, Inputs
from evaluate.report.mistakes import ClassError, class_errors, confusions
from evaluate.report.plots import Bar, Line, bar_chart, line_chart
from evaluate.report.texts import Translate

BARS = 30  # classes; more are one line
WORST, PAIRS = 20, 20  # rows

Names = Callable[[int], str]  # of a label


def class_names(inputs: Inputs, evaluation: Evaluation, say: Translate) -> Names:
    """The names that the record set has, or numbers where it is not at hand."""
    records = inputs.records_of(evaluation)
    if records is None:
        return lambda label: say("label", label=label)
    return records.class_names.__getitem__


def classes_section(inputs: Inputs, say: Translate) -> Union[Section, Missing]:
    main = inputs.main
    if main is None or main.predictions is None:
        return Missing(say("classes.title"), say("mistakes.missing"))
    errors, names = class_errors(main.predictions), class_names(inputs, main, say)
    lead = say("classes.lead", name=main.name, crops=main.about["crops"],
               wrong=f"{sum(error.wrong1 for error in errors):,}",
               images=f"{main.predictions.images:,}", classes=f"{len(errors):,}",
               clean=f"{sum(not error.wrong1 for error in errors):,}")
    notes = [] if inputs.records_of(main) else [say("classes.no_names")]
    return Section("classes", say("classes.title"), [
        lead, *notes, Figures([_figure(errors, names, say)]), *_tables(errors, names, say),
        _pairs(main.predictions, names, say)])


def _figure(errors: Sequence[ClassError], names: Names, say: Translate) -> Figure:
    if len(errors) <= BARS:
        bars = [Bar(names(error.label), error.top1_error) for error in errors]
        return Figure(bar_chart("classes", bars, number), say("classes.chart"))
    line = Line("", range(1, len(errors) + 1), [error.top1_error for error in errors])
    return Figure(line_chart("classes", [line], say("classes.rank")), say("classes.sorted"))


def _tables(errors: Sequence[ClassError], names: Names, say: Translate) -> list[Table]:
    heads = [say(key) for key in ("class", "images", "classes.wrong", "top1.percent",
                                  "top5.percent")]
    rows = [[names(error.label), f"{error.images:,}", f"{error.wrong1:,}",
             f"{error.top1_error:.2f}", f"{error.top5_error:.2f}"] for error in errors]
    whole = Table(heads, rows, say("classes.all", count=f"{len(rows):,}"),
                  folded=len(rows) > WORST)
    if len(rows) <= WORST:
        return [whole]
    return [Table(heads, rows[:WORST], say("classes.worst", count=WORST)), whole]


def _pairs(predictions: Predictions, names: Names, say: Translate) -> Block:
    found = confusions(predictions, PAIRS)
    if not found:
        return say("pairs.none")
    rows = [[names(pair.label), names(pair.said), f"{pair.images:,}", f"{pair.share:.1f}"]
            for pair in found]
    heads = [say(key) for key in ("pairs.true", "pairs.said", "images", "pairs.share")]
    return Table(heads, rows, say("pairs.caption"), left=(0, 1))
