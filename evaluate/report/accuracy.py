"""Errors on both sets next to published ones, the best of them first, and errors by crops."""

import itertools
from typing import Sequence, Union

from evaluate.predictions import TOP
from evaluate.report.content import (Block, Fact, Facts, Figure, Figures, Missing, Section, Table,
                                     interval)
from evaluate.report.inputs import Evaluation, Inputs
from evaluate.report.plots import COLOURS, Line, line_chart
from evaluate.report.translations import Translate
from evaluate.result_page import IMAGE_SIZE, Published, markdown_table, published_beside
from evaluate.results import Score

# By their names in the files; the values are sentences, which are translated where they are shown.
SETS = {"full": "full", "filtered": "filtered"}
ERRORS = {"top1": "top-1 error", "top5": "top-5 error"}
PERCENT = {"top1": "top-1 error, %", "top5": "top-5 error, %"}

SHORT = 12  # digits of a digest that tell two apart


def error_of(scored: Score, top: str) -> float:
    """Return the error in percent: of "top1" or "top5"."""
    return scored.top1_error if top == "top1" else scored.top5_error


def _interval_of(scored: Score, top: str) -> str:
    return interval(scored.top1_ci95 if top == "top1" else scored.top5_ci95)


def glance_section(inputs: Inputs, t: Translate) -> Union[Section, Missing]:
    """Show the errors of the result with the most crops."""
    if not inputs.evaluations:
        return Missing(t("At a glance"), t("there is no evaluation result."))
    best = inputs.main or inputs.evaluations[-1]
    facts = [Fact(t("{top}, {set} set", top=t(ERRORS[top]), set=t(SETS[name])),
                  f"{error_of(scored, top):.2f} %",
                  t("95 %: {interval}; {images} images, {crops} crops",
                    interval=_interval_of(scored, top), images=f"{scored.images:,}",
                    crops=best.result.crops))
             for name, scored in best.result.sets.items() for top in ERRORS]
    return Section("glance", t("At a glance"), [
        t("From {name}, the result with the most crops.", name=best.name), Facts(facts)])


def accuracy_section(inputs: Inputs, t: Translate) -> Union[Section, Missing]:
    """Show a table for each set; published figures follow the results of the same kind."""
    if not inputs.evaluations:
        return Missing(t("Accuracy"), t("{folder} has no evaluation result.",
                                        folder=inputs.results))
    tables = [_set_table(name, inputs.evaluations, t) for name in SETS
              if any(name in item.result.sets for item in inputs.evaluations)]
    blocks: list[Block] = [
        t("Errors are in percent, with 95 % confidence intervals (Wilson). The full set is every "
          "image of the records; the filtered set leaves out the images on the blacklist."),
        *tables]
    if any(table.set_apart for table in tables):
        blocks.append(t("Grey rows are published figures for the same images and the same number "
                        "of crops (299 pixels)."))
    else:
        blocks.append(t("No published figure is shown: those of the paper, the ADSL lab and "
                        "mindcv are for ILSVRC2012's own validation images and 1, 12 or 144 "
                        "crops, and appear only next to results for the same."))
    return Section("accuracy", t("Accuracy"), [*blocks, *_notes(inputs.evaluations, t)])


def _set_table(name: str, evaluations: Sequence[Evaluation], t: Translate) -> Table:
    """Return the results of each number of crops, then what was published for it."""
    rows: list[list[str]] = []
    set_apart: set[int] = set()
    scored = [item for item in evaluations if name in item.result.sets]
    for _, group in itertools.groupby(scored, key=lambda item: item.result.crops):
        same = list(group)
        rows += [_row(item, item.result.sets[name]) for item in same]
        published = {row: None for item in same for row in published_beside(item.result, name)}
        set_apart.update(range(len(rows), len(rows) + len(published)))
        rows += map(_published_row, published)
    heads = [t(head) for head in (
        "source", "crops", "px", "images", "top-1 error, %", "95 % interval", "top-5 error, %",
        "95 % interval", "checkpoint sha256")]
    return Table(heads, rows, t("{set} set", set=t(SETS[name])), left=(0, 8), code=(8,),
                 set_apart=frozenset(set_apart))


def _row(evaluation: Evaluation, scored: Score) -> list[str]:
    result = evaluation.result
    return [evaluation.name, f"{result.crops}", f"{result.image_size}", f"{scored.images:,}",
            f"{scored.top1_error:.2f}", interval(scored.top1_ci95),
            f"{scored.top5_error:.2f}", interval(scored.top5_ci95),
            result.checkpoint_sha256[:SHORT]]


def _published_row(row: Published) -> list[str]:
    return [f"{row.source} ({row.where})", f"{row.crops}", f"{IMAGE_SIZE}", f"{row.images:,}",
            f"{row.top1_error:.2f}", "", f"{row.top5_error:.2f}", "", ""]


def _notes(evaluations: Sequence[Evaluation], t: Translate) -> list[str]:
    notes = []
    unfiltered = [item.name for item in evaluations if "filtered" not in item.result.sets]
    if unfiltered:
        notes.append(t("{names}: no image is on a blacklist, so only the full set is scored.",
                       names=", ".join(unfiltered)))
    few = [item.name for item in evaluations if item.result.classes <= TOP]
    if few:
        notes.append(t("{names}: with five classes or fewer the top five include every class, so "
                       "the top-5 error is 0.", names=", ".join(few)))
    return notes


def curve_section(inputs: Inputs, t: Translate) -> Union[Section, Missing]:
    """Show the errors by number of crops, of results made with ``--curve``."""
    title = t("Accuracy against the number of crops")
    curves = [item for item in inputs.evaluations if item.result.curve is not None]
    if not curves:
        return Missing(title, t("no result was made with --curve (python -m evaluate)."))
    return Section("curve", title, [block for item in curves
                                    for block in _curve_blocks(item, inputs.evaluations, t)])


def _curve_blocks(curve: Evaluation, evaluations: Sequence[Evaluation], t: Translate
                  ) -> list[Block]:
    same = (curve.result.checkpoint_sha256, curve.result.records_sha256)
    others = [item for item in evaluations if item.result.curve is None and (
        item.result.checkpoint_sha256, item.result.records_sha256) == same]
    lead = t("{name}: the error when only the first crops are averaged, in the order scale, "
             "square, view.", name=curve.name)
    if others:
        lead += " " + t("Single dots are other results of the same checkpoint and records.")
    figures = [Figure(line_chart(f"curve {curve.name} {top}", _curve_lines(curve, others, top, t),
                                 t("crops")),
                      t("{top}, % ({name})", top=t(ERRORS[top]), name=curve.name))
               for top in ERRORS]
    return [lead, Figures(figures), _curve_table(curve, t)]


def _points(curve: Evaluation, name: str, top: str) -> list[float]:
    """Return the errors of one set in percent, one per point; none for a set without."""
    assert curve.result.curve is not None, "only results with a curve are asked for theirs"
    errors = curve.result.curve.full if name == "full" else curve.result.curve.filtered
    if errors is None:
        return []
    return errors.top1_error if top == "top1" else errors.top5_error


def _curve_lines(curve: Evaluation, others: Sequence[Evaluation], top: str, t: Translate
                 ) -> list[Line]:
    assert curve.result.curve is not None
    lines = [Line(t("{set} set", set=t(SETS[name])), curve.result.curve.crops,
                  _points(curve, name, top), COLOURS[name], dashed=name == "filtered")
             for name in SETS if _points(curve, name, top)]
    return lines + [Line("", [item.result.crops], [error_of(scored, top)], COLOURS[name],
                         dashed=name == "filtered")
                    for item in others for name, scored in item.result.sets.items()]


def _curve_table(curve: Evaluation, t: Translate) -> Table:
    assert curve.result.curve is not None
    columns = [(name, top) for name in SETS for top in PERCENT if _points(curve, name, top)]
    heads = [t("crops")] + [t("{set}, {top}", set=t(SETS[name]), top=t(PERCENT[top]))
                            for name, top in columns]
    rows = [[f"{crops}", *(f"{_points(curve, name, top)[place]:.2f}" for name, top in columns)]
            for place, crops in enumerate(curve.result.curve.crops)]
    return Table(heads, rows, t("Errors by number of crops"), left=())


def summary(evaluations: Sequence[Evaluation], t: Translate) -> str:
    """Return all results as one Markdown table for the terminal; empty if there is none."""
    if not evaluations:
        return ""
    heads = [t(head) for head in ("folder", "crops", "set", "images")]
    heads += [f"{t(PERCENT[top])} ({t('95 % interval')})" for top in PERCENT]
    return markdown_table([heads] + [
        [item.name, f"{item.result.crops} × {item.result.image_size} px", t(SETS[name]),
         f"{scored.images:,}",
         *(f"{error_of(scored, top):.2f} ({_interval_of(scored, top)})" for top in ERRORS)]
        for item in evaluations for name, scored in item.result.sets.items()], left=(0, 2))
