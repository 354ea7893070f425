"""The result folder: ``predictions.npz``, ``result.json`` and ``result.md``."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Sequence

from common.cli import RequestError
from common.files import write_json, write_text
from evaluate.predictions import Predictions, save_predictions
from evaluate.protocols import Protocol
from evaluate.result_page import result_page
from evaluate.scores import curve_scores, score

PREDICTIONS_NAME, JSON_NAME, PAGE_NAME = "predictions.npz", "result.json", "result.md"

# What makes two evaluations the same one: the same folder may only be written for these again.
IDENTITY = ("crops", "image_size", "scales", "checkpoint_sha256", "mean", "std",
            "records_sha256", "blacklist_sha256")


def describe_protocol(protocol: Protocol) -> dict[str, Any]:
    return {"crops": protocol.crops, "image_size": protocol.image_size,
            "scales": list(protocol.scales), "curve_crops": list(protocol.curve)}


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


def load_json(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object; RequestError if it does not."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(f"{path} is damaged ({error}); remove it") from error
    if not isinstance(content, dict):
        raise RequestError(f"{path} holds no JSON object; remove it")
    return content


def read_result(path: Path) -> dict[str, Any]:
    """A ``result.json``; RequestError if it is none."""
    result = load_json(path)
    if "sets" not in result:
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
    if predictions.label_rank is not None:
        result["curve"] = describe_curve(about["curve_crops"], predictions)
    save_predictions(folder / PREDICTIONS_NAME, predictions)
    write_text(folder / PAGE_NAME, result_page(result, scores))
    write_json(folder / JSON_NAME, result)
    return result


def describe_curve(crops: Sequence[int], predictions: Predictions) -> dict[str, Any]:
    """Errors in percent of each set after the first ``crops``."""
    return {"crops": list(crops), **{
        name: {"top1_error": [value.top1_error for value in scores],
               "top5_error": [value.top5_error for value in scores]}
        for name, scores in curve_scores(predictions).items()}}
