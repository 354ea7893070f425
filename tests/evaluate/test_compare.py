"""Two results of the same images: the difference and what a paired test says of it."""

import json

import pytest
from small import RESULT, predictions_of

from common.cli import RequestError
from evaluate.compare import compare_results, mcnemar_p
from evaluate.predictions import save_predictions
from evaluate.request import CompareRequest


def answers(best, second=0, **others):
    """Predictions of images of class 0, each with two classes."""
    return predictions_of([0] * len(best), [(each, second) for each in best], **others)


def write(folder, predictions, **about):
    folder.mkdir()
    save_predictions(folder / "predictions.npz", predictions)
    (folder / "result.json").write_text(json.dumps({**RESULT, **about}))
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
    a = write(tmp_path / "a", answers(A, blacklisted=listed))
    b = write(tmp_path / "b", answers(B, 5, blacklisted=listed), crops=144, weights="ema")
    code, text, _ = call("compare", a, b)
    assert code == 0
    assert f"A: {a}, 1 crop of 75 px" in text and f"B: {b}, 144 crops of 75 px" in text
    assert [line.endswith(", averaged weights") for line in text.splitlines()[:2]] == [False, True]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()
            if "top-" in line]
    assert rows == [
        ["full", "8", "top-1", "25.00", "62.50", "+37.50", "4", "1", "0.38"],
        ["full", "8", "top-5", "0.00", "62.50", "+62.50", "5", "0", "0.062"],
        ["filtered", "7", "top-1", "28.57", "57.14", "+28.57", "3", "1", "0.62"],
        ["filtered", "7", "top-5", "0.00", "57.14", "+57.14", "4", "0", "0.12"]]
    code, _, errors = call("compare", a, tmp_path / "none")
    assert code == 2 and "none is not the result of an evaluation: it has no" in errors[0]


def test_five_classes_or_fewer_are_compared_by_the_best_alone(call, tmp_path):
    a, b = (write(tmp_path / name, answers(best), classes=classes)
            for name, best, classes in (("a", A, 9), ("b", B, 5)))
    _, text, _ = call("compare", a, b)
    assert "top-1" in text and "top-5" not in text


@pytest.mark.parametrize("other, said", [
    (answers(B[:7]), "of different images: 1 image ids.*.8."),
    (answers(B, ids=[1, 2, 3, 4, 5, 6, 7, 9]), "of different images: 2 image ids"),
    (answers(B, blacklisted=[True] + [False] * 7),
     "differ in 'blacklisted' for 1 image .image id 1")])
def test_results_of_different_images_are_refused(tmp_path, other, said):
    a, b = write(tmp_path / "a", answers(A)), write(tmp_path / "b", other)
    with pytest.raises(RequestError, match=said):
        compare_results(CompareRequest(a, b))
