"""Two results of the same images: which is better, and could it be chance?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from common.cli import RequestError
from evaluate.predictions import Predictions, load_predictions
from evaluate.request import CompareRequest
from evaluate.result_page import markdown_table
from evaluate.results import JSON_NAME, PREDICTIONS_NAME, Result, read_result, sets_of


@dataclass(frozen=True)
class Difference:
    """Errors in percent of two results on one set, and the images that only one has right."""

    images: int
    error_a: float
    error_b: float
    only_a_right: int
    only_b_right: int

    @property
    def points(self) -> float:
        """Return B's error less A's, in percentage points: negative where B is better."""
        return 100.0 * (self.only_a_right - self.only_b_right) / self.images

    @property
    def p_value(self) -> float:
        """Return p of the exact two-sided McNemar test: were both equally good, the images that
        only one has right would fall to either with probability 1/2 (Q. McNemar, Psychometrika 12,
        1947)."""
        discordant = self.only_a_right + self.only_b_right
        return float(binomtest(self.only_a_right, discordant).pvalue) if discordant else 1.0


def compare_results(request: CompareRequest) -> str:
    """Return the differences of two result folders on both sets, as text for the terminal.

    Raises:
        RequestError: a folder without a result, or results of different images.
    """
    (result_a, predictions_a), (result_b, predictions_b) = _load(request.a), _load(request.b)
    check_same_images(predictions_a, predictions_b, request.a, request.b)
    lines = [f"A: {request.a}, {_describe(result_a)}", f"B: {request.b}, {_describe(result_b)}", "",
             markdown_table(_rows(predictions_a, predictions_b)), "",
             "Errors in percent; B - A in points; p: exact two-sided McNemar test."]
    return "\n".join(lines)


def _load(folder: Path) -> tuple[Result, Predictions]:
    for name in (JSON_NAME, PREDICTIONS_NAME):
        if not (folder / name).exists():
            raise RequestError(f"{folder} is not the result of an evaluation: it has no {name}")
    return read_result(folder / JSON_NAME), load_predictions(folder / PREDICTIONS_NAME)


def _describe(result: Result) -> str:
    crops = f"{result.crops} crops" if result.crops > 1 else "1 crop"
    return f"{crops} of {result.image_size} px, checkpoint {result.checkpoint_sha256[:12]}"


def check_same_images(a: Predictions, b: Predictions, name_a: Path, name_b: Path) -> None:
    """Check that ids, labels and blacklist flags are the same.

    Raises:
        RequestError: they differ.
    """
    differ = np.setxor1d(a.image_id, b.image_id)
    if differ.size:
        raise RequestError(f"{name_a} and {name_b} are of different images: {differ.size:,} image "
                           f"ids are in one of them only ({differ[0]}); evaluate both on the same "
                           "records")
    for name in ("label", "blacklisted"):
        where = np.flatnonzero(getattr(a, name) != getattr(b, name))
        if where.size:
            raise RequestError(f"{name_a} and {name_b} differ in '{name}' for {where.size:,} "
                               f"images (image id {a.image_id[where[0]]}); evaluate both on the "
                               "same records, with the same blacklist")


def differences(a: Predictions, b: Predictions) -> dict[tuple[str, str], Difference]:
    """Return the difference by set ("full", "filtered") and figure ("top-1", "top-5"); the images
    have to be the same."""
    found = {}
    for name, chosen in sets_of(a).items():
        for figure, best in (("top-1", 1), ("top-5", None)):
            found[name, figure] = _difference(_right(a, best)[chosen], _right(b, best)[chosen])
    return found


def _right(predictions: Predictions, best: int | None) -> np.ndarray:
    return (predictions.top5[:, :best] == predictions.label[:, None]).any(axis=1)


def _difference(right_a: np.ndarray, right_b: np.ndarray) -> Difference:
    return Difference(len(right_a), 100.0 * float(np.mean(~right_a)),
                      100.0 * float(np.mean(~right_b)), int((right_a & ~right_b).sum()),
                      int((right_b & ~right_a).sum()))


def _rows(a: Predictions, b: Predictions) -> list[tuple[str, ...]]:
    heads = ("set", "images", "error", "A", "B", "B - A", "only A right", "only B right", "p")
    return [heads, *(
        (name, f"{value.images:,}", figure, f"{value.error_a:.2f}", f"{value.error_b:.2f}",
         f"{value.points:+.2f}", f"{value.only_a_right:,}", f"{value.only_b_right:,}",
         f"{value.p_value:.2g}") for (name, figure), value in differences(a, b).items())]
