"""Errors on both sets next to published ones, the best of them first, and errors by crops."""

import itertools
import os
from typing import Any, Sequence, Union

from common.text import short_digest
from evaluate.report.blocks import Block, Fact, Facts, Figure, Figures, LeftOut, Links, Table
from evaluate.report.inputs import Evaluation, Inputs
from evaluate.report.plots import Line, line_chart
from evaluate.report.translations import Translate, counted_in
from evaluate.rescore import RescoredResult
from evaluate.result_page import (SINGLE_CROP_NOTE, Published, markdown_table,
                                  papers_single_crop_shown, published_next_to)
from evaluate.results import CLASSES_NAME, ROWS_NAME, Curve, CurveErrors, Score, tops_of
from inceptionv4 import IMAGE_SIZE

# By their names in the files; the values are sentences, which are translated where they are shown.
SETS = {"full": "full", "filtered": "filtered"}
ERRORS = {"top1": "top-1 error", "top5": "top-5 error"}
PERCENT = {"top1": "top-1 error, %", "top5": "top-5 error, %"}

# How rescore made scores, by the files it was given.
RESCORED = {
    "real": "a prediction is right if it is one of the image's ReaL labels (Beyer and others, "
            "2020); images without such a label are left out.",
    "ids": "only the images that the list names.",
    "without": "all images but those that the list names.",
    "classes": "only the images of the classes that the list names, and the network chooses among "
               "these classes only."}


def _error_of(scored: Union[Score, CurveErrors], top: str) -> Any:
    """Return the error in percent of "top1" or "top5"; of a curve, one per point."""
    return getattr(scored, f"{top}_error")


def _interval_of(scored: Score, top: str) -> str:
    low, high = getattr(scored, f"{top}_ci95")
    return f"{low:.2f}–{high:.2f}"


def glance_section(inputs: Inputs, t: Translate) -> list[Block]:
    """Show the errors of the result with the most crops."""
    best = inputs.best
    if best is None:
        raise LeftOut(t("there is no evaluation result."))
    facts = [Fact(t("{top}, {set} set", top=t(ERRORS[top]), set=t(SETS[name])),
                  f"{_error_of(scored, top):.2f} %",
                  t("95 %: {interval}; {images}, {crops}",
                    interval=_interval_of(scored, top),
                    images=counted_in(t, scored.images, "image"),
                    crops=counted_in(t, best.result.crops, "crop")))
             for name, scored in best.result.sets.items() for top in tops_of(best.result.classes)]
    are_several = sum(item.result.crops == best.result.crops for item in inputs.evaluations) > 1
    lead = (t("From {name}, one of the results with the most crops.", name=best.name)
            if are_several else t("From {name}, the result with the most crops.", name=best.name))
    return [lead, Facts(facts)]


def accuracy_section(inputs: Inputs, t: Translate) -> list[Block]:
    """Show a table for each set; published figures follow the results of the same kind."""
    if not inputs.evaluations:
        raise LeftOut(t("{folder} has no evaluation result.", folder=inputs.results))
    tables = [_set_table(name, inputs.evaluations, t) for name in SETS
              if any(name in item.result.sets for item in inputs.evaluations)]
    ilsvrc = any(item.result.may_be_filtered for item in inputs.evaluations)
    blocks: list[Block] = [
        t("Errors are in percent, with 95 % confidence intervals (Wilson)."),
        *([t("The full set is every image of the records; the filtered set leaves out the images "
             "on the blacklist.")] if ilsvrc else []), *tables]
    if any(table.set_apart for table in tables):
        blocks.append(t("Grey rows are published figures for the same images and the same number "
                        "of crops ({size} pixels).", size=IMAGE_SIZE))
        blocks += _single_crop_notes(inputs.evaluations, t)
    elif ilsvrc:
        blocks.append(t("No published figure is shown: those of the paper, the original (ADSL) "
                        "report and mindcv are for ILSVRC2012's own validation images and 1, 12 or "
                        "144 crops, and appear only next to results for the same."))
    return [*blocks, *_notes(inputs.evaluations, t), *_rescored_blocks(inputs.evaluations, t),
            *_links(inputs, t)]


def _single_crop_notes(evaluations: Sequence[Evaluation], t: Translate) -> list[str]:
    """Return how the paper's authors take a single crop, where their figure for one is shown."""
    names: dict[str, list[str]] = {}
    for item in evaluations:
        if papers_single_crop_shown(item.result):
            names.setdefault(item.result.single_crop, []).append(item.name)
    return [t("{names}: {note}", names=", ".join(of), note=t(SINGLE_CROP_NOTE[way]))
            for way, of in names.items()]


def _set_table(name: str, evaluations: Sequence[Evaluation], t: Translate) -> Table:
    """Return the results of each number of crops, then what was published for it."""
    rows: list[list[str]] = []
    set_apart: set[int] = set()
    scored = [item for item in evaluations if name in item.result.sets]
    tops = _tops_of_any(scored)
    for _, group in itertools.groupby(scored, key=lambda item: item.result.crops):
        same = list(group)
        rows += [_row(item, item.result.sets[name], tops) for item in same]
        ours = len(rows)
        rows += map(_published_row, dict.fromkeys(
            published for item in same for published in published_next_to(item.result, name)))
        set_apart.update(range(ours, len(rows)))
    heads = [t(head) for head in ("source", "crops", "px", *_figure_heads(tops), "record set",
                                  "checkpoint sha256")]
    figures = len(heads) - 2
    shown = [*range(figures), *(column for column in (figures, figures + 1)
                                if len({row[column] for place, row in enumerate(rows)
                                        if place not in set_apart}) > 1)]  # not the same everywhere
    texts = range(figures, len(shown))
    return Table([heads[column] for column in shown],
                 [[row[column] for column in shown] for row in rows],
                 t("{set} set", set=t(SETS[name])), left=(0, *texts), code=tuple(texts),
                 set_apart=frozenset(set_apart))


def _tops_of_any(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Return which errors say something of any of the results."""
    return tops_of(max(item.result.classes for item in evaluations))


def _row(evaluation: Evaluation, scored: Score, tops: Sequence[str]) -> list[str]:
    result = evaluation.result
    return [evaluation.name, f"{result.crops}", f"{result.image_size}",
            *_figures(scored, tops, result.classes),
            f"{result.records} {short_digest(result.records_sha256)}",
            short_digest(result.checkpoint_sha256) + (" ema" if result.weights == "ema" else "")]


def _figure_heads(tops: Sequence[str]) -> list[str]:
    return ["images", *(head for top in tops for head in (PERCENT[top], "95 % interval"))]


def _figures(scored: Score, tops: Sequence[str], classes: int) -> list[str]:
    """Return the cells under ``_figure_heads``, with dashes for what says nothing of so many
    classes."""
    cells = [f"{scored.images:,}"]
    for top in tops:
        cells += ([f"{_error_of(scored, top):.2f}", _interval_of(scored, top)]
                  if top in tops_of(classes) else ["–", "–"])
    return cells


def _rescored_blocks(evaluations: Sequence[Evaluation], t: Translate) -> list[Block]:
    """Return a table of the scores by ``rescore`` and what they are, if there are any."""
    found = [(item, rescored) for item in evaluations for rescored in item.rescored]
    if not found:
        return []
    tops = _tops_of_any([item for item, _ in found])
    rows = [[item.name, rescored.name, t(SETS[name]), f"{item.result.crops}",
             *_figures(scored, tops, item.result.classes), f"{rescored.left_out:,}"]
            for item, rescored in found for name, scored in rescored.sets.items()]
    heads = [t(head) for head in ("source", "scored by", "set", "crops", *_figure_heads(tops),
                                  "images left out")]
    ways = dict.fromkeys((rescored.name, way) for _, rescored in found
                         for way in _ways_of(rescored))
    return [Table(heads, rows, t("Other labels and subsets"), left=(0, 1, 2)),
            *(t("{name}: {way}", name=name, way=t(RESCORED[way])) for name, way in ways)]


def _ways_of(rescored: RescoredResult) -> list[str]:
    """Return the keys of RESCORED that say how the scores were made."""
    return ["without" if kind == "ids" and rescored.without else kind for kind in rescored.files]


def _links(inputs: Inputs, t: Translate) -> list[Links]:
    """Return links to the tables for other programs, where the results have them."""
    rows = []
    for item in inputs.evaluations:
        paths = [item.folder / name for name in (ROWS_NAME, CLASSES_NAME)] if item.folder else []
        found = [os.path.relpath(path, inputs.page.parent) for path in paths if path.exists()]
        rows += [(item.name, found)] if found else []
    lead = t("The same for a spreadsheet: {result} has a row per set, {classes} one per class.",
             result=ROWS_NAME, classes=CLASSES_NAME)
    return [Links(lead, rows)] if rows else []


def _published_row(row: Published) -> list[str]:
    return [f"{row.source} ({row.where})", f"{row.crops}", f"{IMAGE_SIZE}", f"{row.images:,}",
            f"{row.top1_error:.2f}", "", f"{row.top5_error:.2f}", "", "", ""]


def _notes(evaluations: Sequence[Evaluation], t: Translate) -> list[str]:
    notes = []
    unfiltered = [item.name for item in evaluations
                  if item.result.may_be_filtered and "filtered" not in item.result.sets]
    if unfiltered:
        notes.append(t("{names}: no image is on a blacklist, so only the full set is scored.",
                       names=", ".join(unfiltered)))
    few = [item.name for item in evaluations if "top5" not in tops_of(item.result.classes)]
    if few:
        notes.append(t("{names}: with five classes or fewer the top five include every class, so "
                       "there is no top-5 error.", names=", ".join(few)))
    return notes


def curve_section(inputs: Inputs, t: Translate) -> list[Block]:
    """Show the errors by number of crops, of results made with ``--curve``."""
    blocks: list[Block] = []
    for item in inputs.evaluations:
        if item.result.curve is not None:
            others = [other for other in inputs.evaluations if other.result.curve is None and
                      other.result.checkpoint_sha256 == item.result.checkpoint_sha256 and
                      other.result.weights == item.result.weights and
                      other.result.records_sha256 == item.result.records_sha256]
            tops = tops_of(item.result.classes)
            blocks += _curve_blocks(item.name, item.result.curve, others, tops, t)
    if not blocks:
        raise LeftOut(t("no result was made with --curve (python -m evaluate)."))
    return blocks


def _curve_blocks(name: str, curve: Curve, others: Sequence[Evaluation], tops: Sequence[str],
                  t: Translate) -> list[Block]:
    lead = t("{name}: the error when only the first crops are averaged, in the order scale, "
             "square, view.", name=name)
    if others:
        lead += " " + t("Single dots are other results of the same checkpoint and records.")
    figures = [Figure(line_chart(f"curve {name} {top}", _curve_lines(curve, others, top, t),
                                 t("crops")),
                      t("{top}, % ({name})", top=t(ERRORS[top]), name=name))
               for top in tops]
    return [lead, Figures(figures), _curve_table(curve, tops, t)]


def _curve_lines(curve: Curve, others: Sequence[Evaluation], top: str, t: Translate) -> list[Line]:
    """Return a line for each set, and a dot for each set of other results."""
    lines = [Line(t("{set} set", set=t(SETS[name])), curve.crops, _error_of(errors, top), name)
             for name, errors in curve.sets.items()]
    return lines + [Line("", [item.result.crops], [_error_of(scored, top)], name)
                    for item in others for name, scored in item.result.sets.items()]


def _curve_table(curve: Curve, tops: Sequence[str], t: Translate) -> Table:
    columns = [(name, errors, top) for name, errors in curve.sets.items() for top in tops]
    heads = [t("crops")] + [t("{set}, {top}", set=t(SETS[name]), top=t(PERCENT[top]))
                            for name, _, top in columns]
    rows = [[f"{crops}", *(f"{error:.2f}" for error in errors)] for crops, *errors in
            zip(curve.crops, *(_error_of(errors, top) for _, errors, top in columns))]
    return Table(heads, rows, t("Errors by number of crops"), left=())


def summary(evaluations: Sequence[Evaluation], t: Translate) -> str:
    """Return all results as one Markdown table for the terminal; empty if there is none."""
    if not evaluations:
        return ""
    tops = _tops_of_any(evaluations)
    heads = [t(head) for head in ("folder", "crops", "set", "images")]
    heads += [t("{top}, % (95 % interval)", top=t(ERRORS[top])) for top in tops]
    return markdown_table([heads] + [
        [item.name, f"{item.result.crops} × {item.result.image_size} {t('px')}", t(SETS[name]),
         f"{scored.images:,}",
         *(f"{_error_of(scored, top):.2f} ({_interval_of(scored, top)})"
           if top in tops_of(item.result.classes) else "–" for top in tops)]
        for item in evaluations for name, scored in item.result.sets.items()], left=(0, 2))
