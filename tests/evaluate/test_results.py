"""The result folder: what it says, and that another result in it is never overwritten."""

import json

import numpy as np
import pytest

from common.cli import RequestError
from evaluate.predictions import gather_predictions, load_predictions
from evaluate.protocols import multi_scale_crops
from evaluate.results import (claim_folder, describe_protocol, read_result,
                              write_results)
from evaluate.scores import score

ABOUT = {**describe_protocol(multi_scale_crops(75)), "checkpoint": "a.ckpt",
         "mean": [127.5] * 3, "std": [127.5] * 3,
         "checkpoint_sha256": "c" * 64, "records": "records/val", "records_sha256": "d" * 64,
         "split": "val", "classes": 6, "has_blacklist": True, "blacklist_sha256": "b" * 64,
         "is_ilsvrc": False, "blacklist_is_ilsvrc": False,
         "speed": {"ranks": 1, "images_per_second_per_rank": 4.0, "waiting_for_data": 0.25}}


def predictions_of(blacklisted):
    """Class 5 is always said; images 1 to 4 are of the classes 5, 4, 0, 0."""
    probabilities = np.tile(np.float32([.0, .1, .1, .1, .2, .5]), (4, 1))
    return gather_predictions([1, 2, 3, 4], [5, 4, 0, 0], blacklisted, probabilities)


@pytest.fixture
def predictions():
    return predictions_of([False, False, True, False])


def test_the_json_holds_both_sets_and_what_they_are_of(tmp_path, predictions):
    write_results(tmp_path, ABOUT, predictions)
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["crops"], result["image_size"], result["scales"]) == (144, 75, [80, 88, 96, 112])
    assert result["checkpoint_sha256"] == "c" * 64 and result["records_sha256"] == "d" * 64
    full = result["sets"]["full"]
    assert (full["images"], full["top1_correct"], full["top5_correct"]) == (4, 1, 2)
    assert (full["top1_error"], full["top5_error"]) == (75.0, 50.0)
    assert full["top1_ci95"][0] < 75 < full["top1_ci95"][1]
    filtered = result["sets"]["filtered"]
    assert (filtered["images"], filtered["top1_correct"], filtered["top5_correct"]) == (3, 1, 2)


def test_the_score_can_be_had_again_from_the_saved_predictions(tmp_path, predictions):
    write_results(tmp_path, ABOUT, predictions)
    assert score(load_predictions(tmp_path / "predictions.npz")) == score(predictions)


def test_the_same_evaluation_may_be_done_again(tmp_path, predictions):
    write_results(tmp_path, ABOUT, predictions)
    claim_folder(tmp_path, {**ABOUT, "checkpoint": "moved/a.ckpt"})


@pytest.mark.parametrize("name, value", [
    ("crops", 1), ("image_size", 299), ("scales", [80, 91, 103, 112]),
    ("checkpoint_sha256", "e" * 64), ("records_sha256", "f" * 64), ("blacklist_sha256", None)])
def test_the_result_of_another_evaluation_is_kept(tmp_path, predictions, name, value):
    write_results(tmp_path, ABOUT, predictions)
    before = (tmp_path / "result.json").read_bytes()
    with pytest.raises(RequestError) as error:
        claim_folder(tmp_path, {**ABOUT, name: value})
    assert f"{name} {ABOUT[name]} there, {value} here" in str(error.value)
    assert (tmp_path / "result.json").read_bytes() == before


def test_a_curve_is_scored_from_the_places_of_the_labels(tmp_path):
    ranks = np.uint8([[5, 0], [0, 0], [4, 5], [1, 0]])  # 4 images after 1 and 2 crops
    probabilities = np.tile(np.float32([.0, .1, .1, .1, .2, .5]), (4, 1))
    predictions = gather_predictions([1, 2, 3, 4], [5, 4, 0, 0], [False, False, True, False],
                                     probabilities, ranks)
    result = write_results(tmp_path, {**ABOUT, "curve_crops": [1, 2]}, predictions)
    assert result["curve"] == {
        "crops": [1, 2], "full": {"top1_error": [75.0, 25.0], "top5_error": [25.0, 25.0]},
        "filtered": {"top1_error": [pytest.approx(200 / 3), 0.0],
                     "top5_error": [pytest.approx(100 / 3), 0.0]}}
    assert "## Error as crops are added" in (tmp_path / "result.md").read_text()
    assert np.array_equal(load_predictions(tmp_path / "predictions.npz").label_rank, ranks)


@pytest.mark.parametrize("content, message", [
    ("{torn", "is damaged"), ("[]", "holds no JSON object"),
    ('{"other": 1}', "not the result of an evaluation")])
def test_a_foreign_result_json_is_refused(tmp_path, content, message):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(RequestError, match=message):
        read_result(tmp_path / "result.json")
