"""Accuracy from predictions alone: top-1 and top-5 error on the full and the filtered set."""

import math
from dataclasses import dataclass
from statistics import NormalDist

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


def sets_of(predictions: Predictions) -> dict[str, np.ndarray]:
    """Which rows, bool (N,), are in ``full``: all, and in ``filtered``: those not blacklisted,
    absent where none is."""
    sets = {"full": np.ones(predictions.images, bool)}
    if predictions.blacklisted.any():
        sets["filtered"] = ~predictions.blacklisted
    return sets


def score(predictions: Predictions) -> dict[str, Score]:
    """The score of each set. With five classes or fewer the five best are all classes, and top-5
    error is 0."""
    return {name: score_subset(predictions, chosen)
            for name, chosen in sets_of(predictions).items()}


def score_subset(predictions: Predictions, chosen: np.ndarray) -> Score:
    """The score of the rows where ``chosen``, bool (N,), is true; RequestError if none is."""
    hits = (predictions.top5 == predictions.label[:, None])[chosen]  # (images, <= 5)
    return _score(len(hits), int(hits[:, 0].sum()), int(hits.any(axis=1).sum()))


def curve_scores(predictions: Predictions) -> dict[str, list[Score]]:
    """For each set the scores after the first crops (``Protocol.curve``), from ``label_rank``;
    ValueError for predictions without it."""
    if predictions.label_rank is None:
        raise ValueError("the predictions were made without a curve")
    return {name: [_score(len(ranks), int((ranks == 0).sum()), int((ranks < TOP).sum()))
                   for ranks in predictions.label_rank[chosen].T]
            for name, chosen in sets_of(predictions).items()}


def _score(images: int, top1: int, top5: int) -> Score:
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
