"""The error of each class and the most confused pairs, from predictions alone, as a section."""

from collections import Counter
from typing import NamedTuple, Sequence

import numpy as np

from common.text import class_label
from evaluate.predictions import Predictions
from evaluate.report.accuracy import PERCENT
from evaluate.report.blocks import Block, Figure, Figures, LeftOut, Table, number
from evaluate.report.inputs import Evaluation, Inputs
from evaluate.report.plots import Bar, Line, bar_chart, line_chart
from evaluate.report.translations import Translate, counted_in
from evaluate.results import tops_of
from evaluate.tables import ClassError, class_errors, confusions

BARS = 30  # classes; more are one line
WORST, PAIRS = 10, 10  # rows


class Names(NamedTuple):
    """What to show for each label: on its own, and in a cell, where the class's name comes small
    after its words."""

    short: list[str]
    cells: list[str]


def class_names(inputs: Inputs, evaluation: Evaluation, t: Translate) -> Names:
    """Return the names in the result or, for older ones, in the record set; numbers if it was not
    found."""
    result, records = evaluation.result, inputs.records_of(evaluation)
    names, words = result.class_names, result.class_words
    if records is not None and names in (None, records.class_names):
        names, words = records.class_names, words or records.class_words
    if names is None:
        names = [t("label {label}", label=label) for label in range(result.classes)]
    words = words or [""] * len(names)
    classes = Counter(words)  # with the same words, such as ImageNet's two cranes
    return Names([text if text and classes[text] == 1 else class_label(name, text)
                  for name, text in zip(names, words)],
                 [f"{text}\n{name}" if text else name for name, text in zip(names, words)])


def classes_section(inputs: Inputs, t: Translate) -> list[Block]:
    main = inputs.main
    if main is None or main.predictions is None:
        raise LeftOut(t("no result has its predictions.npz."))
    errors, names = class_errors(main.predictions), class_names(inputs, main, t)
    blocks: list[Block] = [
        t("{name} ({crops}), full set: {wrong} of {images} went wrong; {clean} of "
          "{classes} had no error.", name=main.name,
          crops=counted_in(t, main.result.crops, "crop"),
          wrong=f"{sum(error.wrong for error in errors):,}",
          images=counted_in(t, main.predictions.images, "image"),
          classes=counted_in(t, len(errors), "class"),
          clean=f"{sum(not error.wrong for error in errors):,}")]
    if main.result.class_names is None and inputs.records_of(main) is None:
        blocks.append(t("The record set was not found, so classes are shown as label numbers "
                        "(--records)."))
    blocks += [Figures([_figure(errors, names, t)]), *_tables(errors, names, t),
               _pairs(main.predictions, names, t)]
    return blocks


def _figure(errors: Sequence[ClassError], names: Names, t: Translate) -> Figure:
    if len(errors) <= BARS:
        bars = [Bar(names.short[error.label], error.top1_error) for error in errors]
        return Figure(bar_chart("classes", bars, number), t("top-1 error per class, %"))
    line = Line("", range(1, len(errors) + 1), [error.top1_error for error in errors])
    return Figure(line_chart("classes", [line], t("class, worst first")),
                  t("top-1 error per class, worst first, %"))


def _tables(errors: Sequence[ClassError], names: Names, t: Translate) -> list[Table]:
    tops = tops_of(len(names.short))
    heads = [t(head) for head in ("class", "images", "wrong")] + [t(PERCENT[top]) for top in tops]
    rows = [[names.cells[error.label], f"{error.images:,}", f"{error.wrong:,}",
             *(f"{getattr(error, f'{top}_error'):.2f}" for top in tops)] for error in errors]
    whole = Table(heads, rows, t("All {count} classes, worst first", count=f"{len(rows):,}"))
    if not whole.is_folded:
        return [whole]
    return [Table(heads, rows[:WORST], t("The {count} worst classes", count=WORST)), whole]


def _pairs(predictions: Predictions, names: Names, t: Translate) -> Block:
    found = confusions(predictions, PAIRS)
    if not found:
        return t("No image is wrong, so no classes are confused.")
    of_class = np.bincount(predictions.label)
    rows = [[names.cells[label], names.cells[predicted], f"{images:,}",
             f"{100 * images / of_class[label]:.1f}"] for label, predicted, images in found]
    heads = [t(head) for head in ("true class", "predicted", "images",
                                  "share of the true class, %")]
    return Table(heads, rows, t("The most confused pairs"), left=(0, 1))
