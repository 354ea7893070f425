"""Accuracy from predictions alone: top-1 and top-5 error on the full and the filtered set."""

from dataclasses import dataclass
from typing import Optional, Sequence

import numpy as np

from common.cli import RequestError
from evaluate.predictions import TOP, Predictions

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Score:
    """Errors and the ends of their 95 % confidence intervals in percent."""

    images: int
    top1_correct: int
    top5_correct: int
    top1_error: float
    top5_error: float
    top1_ci95: tuple[float, float]
    top5_ci95: tuple[float, float]


@dataclass(frozen=True)
class CurveErrors:
    """Errors of one set in percent, one per point of the curve."""

    top1_error: list[float]
    top5_error: list[float]


@dataclass(frozen=True)
class Curve:
    """How the errors change as crops are added: the first ``crops[i]`` crops give point i."""

    crops: list[int]
    full: CurveErrors
    filtered: Optional[CurveErrors] = None


def sets_of(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return which rows, bool (N,), are in each set.

    "full" has all rows, "filtered" those that are not blacklisted; without a blacklisted row there
    is no "filtered".
    """
    sets = {"full": np.ones(predictions.images, bool)}
    if predictions.blacklisted.any():
        sets["filtered"] = ~predictions.blacklisted
    return sets


def score(predictions: Predictions) -> dict[str, Score]:
    """Return the score of each set.

    With five classes or fewer the five best are all classes, and the top-5 error is 0.

    Raises:
        RequestError: every image is blacklisted.
    """
    hits = predictions.top5 == predictions.label[:, None]  # (images, <= 5)
    return {name: _score(hits[chosen, 0], hits[chosen].any(axis=1))
            for name, chosen in sets_of(predictions).items()}


def score_curve(predictions: Predictions, crops: Sequence[int]) -> Curve:
    """Return the errors of each set after the first ``crops`` (``Protocol.curve``), from
    ``label_rank``, which the predictions must have."""
    assert predictions.label_rank is not None, "the predictions were made without a curve"
    errors = {}
    for name, chosen in sets_of(predictions).items():
        points = [_score(ranks == 0, ranks < TOP) for ranks in predictions.label_rank[chosen].T]
        errors[name] = CurveErrors([point.top1_error for point in points],
                                   [point.top5_error for point in points])
    return Curve(list(crops), **errors)


def _score(top1: np.ndarray, top5: np.ndarray) -> Score:
    """Return the score of images of which ``top1`` and ``top5``, bool (N,), are correct."""
    images = len(top1)
    if not images:
        raise RequestError("no image is left to score: every one is blacklisted")
    wrong1, wrong5 = int((~top1).sum()), int((~top5).sum())
    return Score(images, images - wrong1, images - wrong5, 100.0 * wrong1 / images,
                 100.0 * wrong5 / images, wilson_interval(wrong1, images),
                 wilson_interval(wrong5, images))


def wilson_interval(events: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share in percent (E. B. Wilson, JASA 22, 1927).

    It stays within 0 and 100 and is wider than 0 even where no or every trial is an event.
    """
    from scipy.stats import \
        binomtest  # not above: it takes longer than a command's --help may
    low, high = binomtest(events, trials).proportion_ci(CONFIDENCE, "wilson")
    return 100 * float(low), 100 * float(high)
