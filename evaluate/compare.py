"""Two results of the same images: which is better, and could it be chance?"""

import numpy as np
from scipy.stats import binomtest

from common.cli import RequestError
from common.text import counted, short_digest
from evaluate.predictions import TOP, Predictions
from evaluate.request import CompareRequest
from evaluate.result_page import TOP_NAMES, markdown_table
from evaluate.results import Result, load_result, sets_of, tops_of

BEST = {"top1": 1, "top5": TOP}


def compare_results(request: CompareRequest) -> str:
    """Return the differences of two result folders on both sets, as text for the terminal.

    Raises:
        RequestError: a folder without a result, or results of different images.
    """
    (result_a, a), (result_b, b) = load_result(request.a), load_result(request.b)
    _check_same_images(a, b, request)
    rows: list[tuple[str, ...]] = [
        ("set", "images", "error", "A", "B", "B - A", "only A right", "only B right", "p")]
    for name, chosen in sets_of(a).items():
        for top in tops_of(min(result_a.classes, result_b.classes)):
            right_a, right_b = (_right(each, BEST[top])[chosen] for each in (a, b))
            rows.append((name, f"{chosen.sum():,}", TOP_NAMES[top], *_figures(right_a, right_b)))
    return "\n".join([
        f"A: {request.a}, {_describe(result_a)}", f"B: {request.b}, {_describe(result_b)}", "",
        markdown_table(rows), "", "Errors in percent; B - A in points; p: exact two-sided McNemar "
        "test."])


def _describe(result: Result) -> str:
    crops = counted(result.crops, "crop")
    weights = ", averaged weights" if result.weights == "ema" else ""
    checkpoint = short_digest(result.checkpoint_sha256)
    return f"{crops} of {result.image_size} px, checkpoint {checkpoint}{weights}"


def _check_same_images(a: Predictions, b: Predictions, request: CompareRequest) -> None:
    """Refuse results whose ids, labels or blacklist flags differ."""
    differ = np.setxor1d(a.image_id, b.image_id)
    if differ.size:
        raise RequestError(f"{request.a} and {request.b} are of different images: {differ.size:,} "
                           f"image ids are in one of them only ({differ[0]}); evaluate both on "
                           "the same records")
    for name in ("label", "blacklisted"):
        where = np.flatnonzero(getattr(a, name) != getattr(b, name))
        if where.size:
            raise RequestError(f"{request.a} and {request.b} differ in '{name}' for "
                               f"{counted(where.size, 'image')} (image id {a.image_id[where[0]]}); "
                               "evaluate both on the same records, with the same blacklist")


def _right(predictions: Predictions, best: int) -> np.ndarray:
    """Return whether the label is among the first ``best`` classes: bool (N,)."""
    return (predictions.top5[:, :best] == predictions.label[:, None]).any(axis=1)


def _figures(right_a: np.ndarray, right_b: np.ndarray) -> tuple[str, ...]:
    """Return both errors and their difference, the images that only one has right, and p."""
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return (f"{100 * np.mean(~right_a):.2f}", f"{100 * np.mean(~right_b):.2f}",
            f"{100 * (only_a - only_b) / len(right_a):+.2f}", f"{only_a:,}", f"{only_b:,}",
            f"{mcnemar_p(only_a, only_b):.2g}")


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Return p of the exact two-sided McNemar test: were both equally good, the images that only
    one has right would fall to either with probability 1/2 (Q. McNemar, Psychometrika 12, 1947)."""
    discordant = only_a + only_b
    return float(binomtest(only_a, discordant).pvalue) if discordant else 1.0
