"""Accuracy from predictions alone: top-1 and top-5 error on the full and the filtered set."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from common import RequestError
from evaluate.predictions import Predictions

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


def score(predictions: Predictions) -> dict[str, Score]:
    """``full``: all images; ``filtered``: those not blacklisted, absent where none is.

    With five classes or fewer the five best are all classes, and top-5 error is 0.
    """
    scores = {"full": score_subset(predictions, np.ones(predictions.images, bool))}
    if predictions.blacklisted.any():
        scores["filtered"] = score_subset(predictions, ~predictions.blacklisted)
    return scores


def score_subset(predictions: Predictions, chosen: np.ndarray) -> Score:
    """The score of the rows where ``chosen``, bool (N,), is true; RequestError if none is."""
    hits = (predictions.top5 == predictions.label[:, None])[chosen]  # (images, <= 5)
    images, top1, top5 = len(hits), int(hits[:, 0].sum()), int(hits.any(axis=1).sum())
    if not images:
        raise RequestError("no image is left to score: every one is blacklisted")
    return Score(images, top1, top5, _error(top1, images), _error(top5, images),
                 _interval(top1, images), _interval(top5, images))


def _error(correct: int, images: int) -> float:
    return 100.0 * (images - correct) / images


def _interval(correct: int, images: int) -> tuple[float, float]:
    return wilson_interval(images - correct, images)


def wilson_interval(events: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share, in percent (E. B. Wilson, JASA 22, 1927).

    Stays within 0 and 100 and has a width where no or every trial is an event.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, weight = events / trials, z * z / trials
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight * weight / 4) / (1 + weight)
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)
