"""Errors on both sets, beside published ones; and the best of them to see first."""

import itertools
from typing import Any, Sequence, Union

from evaluate.predictions import TOP
from evaluate.published import IMAGE_SIZE, Published
from evaluate.report.content import (Fact, Facts, Missing, Section, Table,
                                     interval)
from evaluate.report.inputs import Evaluation, Inputs
from evaluate.report.texts import Translate
from evaluate.result_page import markdown_table, published_beside
from evaluate.results import Result

SETS = ("full", "filtered")
SHORT = 12  # digits of a digest that tell two apart


def glance_section(inputs: Inputs, say: Translate) -> Union[Section, Missing]:
    """The errors of the result with the most crops."""
    if not inputs.evaluations:
        return Missing(say("glance.title"), say("glance.missing"))
    best = inputs.main or inputs.evaluations[-1]
    facts = [Fact(say("glance.label", top=say(top), set=say(f"set.{name}")),
                  f"{scored[f'{top}_error']:.2f} %",
                  say("glance.detail", interval=interval(scored[f"{top}_ci95"]),
                      images=f"{scored['images']:,}", crops=best.about["crops"]))
             for name, scored in best.about["sets"].items() for top in ("top1", "top5")]
    return Section("glance", say("glance.title"),
                   [say("glance.lead", name=best.name), Facts(facts)])


def accuracy_section(inputs: Inputs, say: Translate) -> Union[Section, Missing]:
    """A table for each set; the published figures follow the results they may stand beside."""
    if not inputs.evaluations:
        return Missing(say("accuracy.title"), say("accuracy.missing", folder=inputs.results))
    tables = [_set_table(name, inputs.evaluations, say) for name in SETS
              if any(name in item.about["sets"] for item in inputs.evaluations)]
    published = any(table.set_apart for table in tables)
    notes = [say("accuracy.published" if published else "accuracy.no_published")]
    return Section("accuracy", say("accuracy.title"),
                   [say("accuracy.lead"), *tables, *notes, *_notes(inputs.evaluations, say)])


def _set_table(name: str, evaluations: Sequence[Evaluation], say: Translate) -> Table:
    """The results of each number of crops, then what was published for it."""
    rows: list[list[str]] = []
    set_apart: set[int] = set()
    there = [item for item in evaluations if name in item.about["sets"]]
    for _, group in itertools.groupby(there, key=lambda item: item.about["crops"]):
        same = [(item, item.about["sets"][name]) for item in group]
        rows += [_row(item, scored) for item, scored in same]
        published = {row: None for item, scored in same
                     for row in published_beside(Result.from_json(item.about), name)}
        set_apart.update(range(len(rows), len(rows) + len(published)))
        rows += map(_published_row, published)
    heads = ["source", "crops", "pixels", "images", "top1.percent", "interval", "top5.percent",
             "interval", "checkpoint"]
    return Table([say(key) for key in heads], rows,
                 say("accuracy.caption", set=say(f"set.{name}")),
                 left=(0, 8), code=(8,), set_apart=frozenset(set_apart))


def _row(evaluation: Evaluation, scored: dict[str, Any]) -> list[str]:
    about = evaluation.about
    return [evaluation.name, f"{about['crops']}", f"{about['image_size']}",
            f"{scored['images']:,}", f"{scored['top1_error']:.2f}", interval(scored["top1_ci95"]),
            f"{scored['top5_error']:.2f}", interval(scored["top5_ci95"]),
            about["checkpoint_sha256"][:SHORT]]


def _published_row(row: Published) -> list[str]:
    return [f"{row.source} ({row.where})", f"{row.crops}", f"{IMAGE_SIZE}", f"{row.images:,}",
            f"{row.top1_error:.2f}", "", f"{row.top5_error:.2f}", "", ""]


def _notes(evaluations: Sequence[Evaluation], say: Translate) -> list[str]:
    unfiltered = [item.name for item in evaluations if "filtered" not in item.about["sets"]]
    few = [item.name for item in evaluations if item.about["classes"] <= TOP]
    return [say(f"accuracy.{key}", names=", ".join(names))
            for key, names in (("no_filtered", unfiltered), ("few_classes", few)) if names]


def summary(evaluations: Sequence[Evaluation], say: Translate) -> str:
    """All results as one Markdown table for the terminal; empty where there is none."""
    if not evaluations:
        return ""
    heads = [say(key) for key in ("folder", "crops", "set", "images")]
    heads += [f"{say(f'{top}.percent')} ({say('interval')})" for top in ("top1", "top5")]
    return markdown_table([heads] + [
        [item.name, f"{item.about['crops']} × {item.about['image_size']} px", say(f"set.{name}"),
         f"{scored['images']:,}",
         *(f"{scored[f'{top}_error']:.2f} ({interval(scored[f'{top}_ci95'])})"
           for top in ("top1", "top5"))]
        for item in evaluations for name, scored in item.about["sets"].items()], left=(0, 2))
