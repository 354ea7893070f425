"""The result folder: ``predictions.npz``, ``result.json`` and ``result.md``."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Sequence

from common import RequestError, write_json, write_text
from evaluate.predictions import TOP, Predictions, save_predictions
from evaluate.protocols import Protocol
from evaluate.scores import Score, score

PREDICTIONS_NAME, JSON_NAME, PAGE_NAME = "predictions.npz", "result.json", "result.md"

# What makes two evaluations the same one: the same folder may only be written for these again.
IDENTITY = ("crops", "image_size", "scales", "checkpoint_sha256", "records_sha256")


def describe_protocol(protocol: Protocol) -> dict[str, Any]:
    return {"crops": protocol.crops, "image_size": protocol.image_size,
            "scales": list(protocol.scales)}


def claim_folder(folder: Path, about: dict[str, Any]) -> None:
    """Make ``folder``; RequestError if it cannot be written or holds another result.

    Args:
        about: with the values of ``IDENTITY``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise RequestError(f"{folder} cannot be written; choose another --out")
    path = folder / JSON_NAME
    if not path.exists():
        return
    there = read_result(path)
    differ = [f"{name} {there.get(name)} there, {about[name]} here"
              for name in IDENTITY if there.get(name) != about[name]]
    if differ:
        raise RequestError(f"{path} is the result of another evaluation ({'; '.join(differ)}); "
                           "choose another --out or remove that folder")


def read_result(path: Path) -> dict[str, Any]:
    """A ``result.json``; RequestError if it is none."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(f"{path} is damaged ({error}); remove it") from error
    if not isinstance(result, dict) or "sets" not in result:
        raise RequestError(f"{path} is not the result of an evaluation; choose another folder")
    return result


def write_results(folder: Path, about: dict[str, Any], predictions: Predictions) -> dict[str, Any]:
    """Save and score the predictions; ``result.json``, which says all is there, comes last.

    Args:
        about: what was evaluated: ``IDENTITY``, ``classes``, and where the files are.

    Returns:
        The content of ``result.json``.
    """
    scores = score(predictions)
    result = {**about, "sets": {name: asdict(value) for name, value in scores.items()}}
    save_predictions(folder / PREDICTIONS_NAME, predictions)
    write_text(folder / PAGE_NAME, result_page(about, scores))
    write_json(folder / JSON_NAME, result)
    return result


def result_page(about: dict[str, Any], scores: dict[str, Score]) -> str:
    """``result.md``: the table, what it is of, and what to know when reading it."""
    lines = [f"# Accuracy, {about['crops']} crop{'s' * (about['crops'] > 1)} of "
             f"{about['image_size']} pixels", "", accuracy_table(scores), ""]
    lines += [f"{note}\n" for note in notes(about, scores)]
    lines += [f"- shorter sides in pixels: {', '.join(map(str, about['scales']))}",
              f"- checkpoint: `{about['checkpoint']}`, sha256 `{about['checkpoint_sha256']}`",
              f"- records: `{about['records']}` ({about['split']}, {about['classes']} classes), "
              f"sha256 of the shards `{about['records_sha256']}`"]
    return "\n".join(lines) + "\n"


def notes(about: dict[str, Any], scores: dict[str, Score]) -> list[str]:
    """Sentences that belong to the table."""
    said = ["Errors in percent with their 95 % confidence intervals (Wilson)."]
    if not about["has_blacklist"]:
        said.append("The records were converted without a blacklist: only the full set is scored.")
    elif "filtered" not in scores:
        said.append("The blacklist marks none of these images: only the full set is scored.")
    if about["classes"] <= TOP:
        said.append(f"With {about['classes']} classes the five best are all of them, "
                    "so top-5 error is 0.")
    return said


def accuracy_table(scores: dict[str, Score]) -> str:
    """Both sets as a Markdown table."""
    heads = ("set", "images", "top-1 error", "top-5 error", "top-1 correct", "top-5 correct")
    return markdown_table([heads] + [
        (name, f"{value.images:,}", _percent(value.top1_error, value.top1_ci95),
         _percent(value.top5_error, value.top5_ci95), f"{value.top1_correct:,}",
         f"{value.top5_correct:,}") for name, value in scores.items()])


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """The rows, the first of them heads, with lined-up columns; all but the first to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [" | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
             for row in rows]
    ruler = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join(["| " + lines[0] + " |", "|" + ruler + "|",
                      *(f"| {line} |" for line in lines[1:])])


def _percent(error: float, interval: tuple[float, float]) -> str:
    return f"{error:.2f} ({interval[0]:.2f}-{interval[1]:.2f})"
