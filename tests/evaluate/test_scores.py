"""Accuracy from hand-made predictions."""

import numpy as np
import pytest

from common.cli import RequestError
from evaluate.predictions import Predictions
from evaluate.results import score, wilson_interval


def predictions_of(labels, top5, blacklisted=None):
    images = len(labels)
    top5 = np.asarray(top5, np.int32)
    return Predictions(np.arange(1, images + 1, dtype=np.int32), np.asarray(labels, np.int32),
                       np.asarray(blacklisted or [False] * images), top5,
                       np.full(top5.shape, 0.1, np.float32))


def test_top1_and_top5_on_both_sets():
    scores = score(predictions_of(
        labels=[7, 7, 7, 7], blacklisted=[False, True, False, False],
        top5=[[7, 1, 2, 3, 4],    # right at once
              [1, 7, 2, 3, 4],    # among the five; blacklisted
              [1, 2, 3, 4, 7],    # the last of the five
              [1, 2, 3, 4, 5]]))  # wrong
    full, filtered = scores["full"], scores["filtered"]
    assert (full.images, full.top1_correct, full.top5_correct) == (4, 1, 3)
    assert (full.top1_error, full.top5_error) == (75.0, 25.0)
    assert (filtered.images, filtered.top1_correct, filtered.top5_correct) == (3, 1, 2)
    assert filtered.top1_error == pytest.approx(200 / 3)
    assert filtered.top5_error == pytest.approx(100 / 3)


def test_without_blacklisted_images_there_is_no_filtered_set():
    assert list(score(predictions_of([0], [[0, 1, 2, 3, 4]]))) == ["full"]


def test_with_fewer_than_five_classes_every_label_is_among_the_best():
    full = score(predictions_of([0, 1, 2], [[2, 1, 0], [1, 0, 2], [0, 1, 2]]))["full"]
    assert (full.top1_correct, full.top5_correct, full.top5_error) == (1, 3, 0.0)


def test_a_blacklist_of_everything_leaves_nothing_to_score():
    with pytest.raises(RequestError, match="every one is blacklisted"):
        score(predictions_of([0], [[0, 1, 2, 3, 4]], blacklisted=[True]))


@pytest.mark.parametrize("events, trials, low, high", [
    (81, 263, 25.53, 36.62), (15, 148, 6.24, 16.05), (0, 20, 0.0, 16.11), (1, 29, 0.61, 17.18)])
def test_wilson_interval_against_published_values(events, trials, low, high):
    """R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson_interval(events, trials) == pytest.approx((low, high), abs=0.005)


def test_a_score_has_the_intervals_of_its_own_errors():
    """1 of 29 wrong at top-1, none at top-5; 3 blacklisted: 1 of 29 is 1 of 26 of the filtered."""
    wrong_first, right = [1, 0, 2, 3, 4], [0, 1, 2, 3, 4]
    scores = score(predictions_of([0] * 29, [wrong_first] + [right] * 28,
                                  [False] * 26 + [True] * 3))
    assert scores["full"].top1_ci95 == pytest.approx((0.61, 17.18), abs=0.005)
    assert scores["full"].top5_ci95 == wilson_interval(0, 29)
    assert scores["filtered"].top1_ci95 == wilson_interval(1, 26)
