"""Tables that other programs read: ``classes.csv`` of a result, and a file of many evaluations with
the columns of timm's ``validate.py --results-file``."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Optional, Sequence

import numpy as np

from common.cli import RequestError
from common.files import read_bytes, write_text
from evaluate.predictions import Predictions
from evaluate.protocols import CENTRE_FRACTION, SQUASH
from evaluate.results import Result

CLASS_COLUMNS = ("label", "class", "images", "top1", "top5", "confused_with", "confused_images")
MODEL = "inception_v4"  # timm's name of the network
# The first nine are timm's, with its units: percent, and millions of parameters.
RESULT_COLUMNS = ("model", "top1", "top1_err", "top5", "top5_err", "param_count", "img_size",
                  "crop_pct", "interpolation", "crops", "records", "split", "set", "images",
                  "checkpoint_sha256", "weights")


@dataclass(frozen=True)
class ClassError:
    """A class's images, how many of them are wrong, and its errors in percent."""

    label: int
    images: int
    wrong: int
    top1_error: float
    top5_error: float


def class_errors(predictions: Predictions) -> list[ClassError]:
    """Return the error of each class that has an image, the worst first; of equal ones the lower
    label."""
    labels = predictions.label
    hits = predictions.top5 == labels[:, None]  # (images, <= 5)
    images = np.bincount(labels)
    wrong1, wrong5 = np.bincount(labels, ~hits[:, 0]), np.bincount(labels, ~hits.any(axis=1))
    errors = [ClassError(label, int(images[label]), int(wrong1[label]),
                         100.0 * wrong1[label] / images[label],
                         100.0 * wrong5[label] / images[label])
              for label in np.flatnonzero(images).tolist()]
    return sorted(errors, key=lambda error: (-error.top1_error, -error.top5_error, error.label))


def confusions(predictions: Predictions, most: Optional[int] = None) -> list[tuple[int, int, int]]:
    """Return the ``most`` frequent (label, predicted label, images), the labels not being equal,
    or all of them."""
    pairs, counts = np.unique(np.stack([predictions.label, predictions.top5[:, 0]], axis=1),
                              axis=0, return_counts=True)
    wrong = np.flatnonzero(pairs[:, 0] != pairs[:, 1])
    order = wrong[np.argsort(-counts[wrong], kind="stable")][:most]
    return [(*pairs[place].tolist(), int(counts[place])) for place in order]


def write_classes(path: Path, predictions: Predictions, class_names: Sequence[str]) -> None:
    """Write a row per class in label order: its images, its top-1 and top-5 accuracy in percent on
    the full set, and the class that it is most often taken for, with the number of images."""
    errors = {error.label: error for error in class_errors(predictions)}
    confused: dict[int, tuple[int, int]] = {}
    for label, predicted, images in confusions(predictions):
        confused.setdefault(label, (predicted, images))
    rows: list[list[Any]] = []
    for label, name in enumerate(class_names):
        row: list[Any] = [label, name, 0, "", "", "", ""]  # a class without images
        if label in errors:
            error = errors[label]
            row[2:5] = error.images, *map(_accuracy, (error.top1_error, error.top5_error))
        if label in confused:
            predicted, row[6] = confused[label]
            row[5] = class_names[predicted]
        rows.append(row)
    write_text(path, _csv([CLASS_COLUMNS, *rows]))


def _accuracy(error: float) -> float:
    return round(100 - error, 4)


def check_results_file(path: Path) -> None:
    """Check that rows can be appended to ``path``: a new file, or one with the same columns.

    Raises:
        RequestError: the file has other columns or ends within a line, or its folder is missing.
    """
    if path.suffix != ".csv":
        raise RequestError(f"--results-file {path}: give a name that ends in .csv")
    if not path.exists():
        if not path.parent.is_dir():
            raise RequestError(f"--results-file {path}: its folder does not exist; create it")
        return
    try:
        text = read_bytes(path).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise RequestError(f"--results-file {path} is not a text file; give another one") from None
    if text and not text.startswith(_csv([RESULT_COLUMNS])):
        raise RequestError(f"--results-file {path} has other columns than {RESULT_COLUMNS[0]}, "
                           f"{RESULT_COLUMNS[1]}, …, {RESULT_COLUMNS[-1]}; give another file")
    if text and not text.endswith("\n"):
        raise RequestError(f"--results-file {path} ends within a line; complete that line or give "
                           "another file")


def append_result(path: Path, result: Result) -> None:
    """Append a row per set of the result, unless the file has that row already."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    known = set(text.splitlines())
    rows = [row for row in map(_csv_line, _result_rows(result)) if row not in known]
    heads = [] if text else [_csv_line(RESULT_COLUMNS)]
    with path.open("a", encoding="utf-8") as file:  # one write: rows of other programs stay whole
        file.write("".join(f"{line}\n" for line in heads + rows))


def _result_rows(result: Result) -> list[list[Any]]:
    share: Any = ""  # of the shorter side; there is no single one at several scales
    if result.single_crop == SQUASH:
        share = CENTRE_FRACTION
    elif len(result.scales) == 1:
        share = round(result.image_size / result.scales[0], 3)
    return [[MODEL, _accuracy(score.top1_error), round(score.top1_error, 4),
             _accuracy(score.top5_error), round(score.top5_error, 4),
             "" if result.param_count is None else round(result.param_count / 1e6, 2),
             result.image_size, share,
             result.interpolation, result.crops, result.records, result.split, name,
             score.images, result.checkpoint_sha256, result.weights]
            for name, score in result.sets.items()]


def _csv_line(row: Sequence[Any]) -> str:
    return _csv([row])[:-1]


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
