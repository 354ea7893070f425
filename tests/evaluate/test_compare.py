"""Two results of the same images: the difference and what a paired test says of it."""

import json

import numpy as np
import pytest

from common.cli import RequestError
from evaluate.compare import compare_results, mcnemar_p
from evaluate.predictions import Predictions, save_predictions
from evaluate.request import CompareRequest

# The keys without which a file is no result.
ABOUT = {"crops": 1, "image_size": 75, "scales": [86], "checkpoint": "a.ckpt",
         "checkpoint_sha256": "c" * 64, "records": "val", "records_sha256": "d" * 64,
         "classes": 10, "has_blacklist": False, "sets": {}}


def predictions_of(best, blacklisted=None, ids=None, second=0):
    """The label is 0 for each of the images; ``best`` and ``second`` are what is said of them."""
    images = len(best)
    top5 = np.stack([np.asarray(best), np.full(images, second)], axis=1).astype(np.int32)
    return Predictions(np.asarray(ids or range(1, images + 1), np.int32),
                       np.zeros(images, np.int32),
                       np.asarray(blacklisted or [False] * images), top5,
                       np.full(top5.shape, .5, np.float32))


def write(folder, predictions, **about):
    folder.mkdir()
    save_predictions(folder / "predictions.npz", predictions)
    (folder / "result.json").write_text(json.dumps({**ABOUT, **about}))
    return folder


A = [0, 0, 0, 0, 1, 1, 0, 0]  # right: images 1-4, 7, 8
B = [0, 1, 1, 1, 0, 1, 0, 1]  # right: images 1, 5, 7


@pytest.mark.parametrize("only_a, only_b, expected", [
    (4, 1, 0.375), (1, 4, 0.375), (0, 0, 1.0), (0, 6, 0.03125), (5, 5, 1.0)])
def test_the_p_value_is_the_binomial_tail_by_hand(only_a, only_b, expected):
    """4 and 1: 2 * (C(5,0) + C(5,1)) / 2^5 = 12 / 32; 0 and 6: 2 / 2^6."""
    assert mcnemar_p(only_a, only_b) == pytest.approx(expected)


def test_the_table_names_both_and_their_difference_on_both_sets(call, tmp_path):
    listed = [False] * 7 + [True]
    a = write(tmp_path / "a", predictions_of(A, listed))
    b = write(tmp_path / "b", predictions_of(B, listed, second=5), crops=144)
    code, text, _ = call("compare", a, b)
    assert code == 0
    assert f"A: {a}, 1 crop of 75 px" in text and f"B: {b}, 144 crops of 75 px" in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()
            if "top-" in line]
    assert rows == [
        ["full", "8", "top-1", "25.00", "62.50", "+37.50", "4", "1", "0.38"],
        ["full", "8", "top-5", "0.00", "62.50", "+62.50", "5", "0", "0.062"],
        ["filtered", "7", "top-1", "28.57", "57.14", "+28.57", "3", "1", "0.62"],
        ["filtered", "7", "top-5", "0.00", "57.14", "+57.14", "4", "0", "0.12"]]
    assert call("compare", a, tmp_path / "none")[0] == 2


@pytest.mark.parametrize("other, said", [
    (predictions_of(B[:7]), "of different images: 1 image ids.*.8."),
    (predictions_of(B, ids=[1, 2, 3, 4, 5, 6, 7, 9]), "of different images: 2 image ids"),
    (predictions_of(B, [True] + [False] * 7), "differ in 'blacklisted' for 1 images .image id 1")])
def test_results_of_different_images_are_refused(tmp_path, other, said):
    a, b = write(tmp_path / "a", predictions_of(A)), write(tmp_path / "b", other)
    with pytest.raises(RequestError, match=said):
        compare_results(CompareRequest(a, b))


def test_a_folder_without_a_result_is_named(tmp_path):
    a = write(tmp_path / "a", predictions_of(A))
    with pytest.raises(RequestError, match="b is not the result.*no result.json"):
        compare_results(CompareRequest(a, tmp_path / "b"))
