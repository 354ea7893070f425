"""The result folder: what it says, and that another result in it is never overwritten."""

import json

import numpy as np
import pytest

from common import RequestError
from evaluate.predictions import gather_predictions, load_predictions
from evaluate.protocols import multi_scale_crops
from evaluate.results import (accuracy_table, claim_folder, describe_protocol, notes, read_result,
                              result_page, write_results)
from evaluate.scores import score

ABOUT = {**describe_protocol(multi_scale_crops(75)), "checkpoint": "a.ckpt",
         "checkpoint_sha256": "c" * 64, "records": "records/val", "records_sha256": "d" * 64,
         "split": "val", "classes": 6, "has_blacklist": True}


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


def test_the_page_shows_the_table_the_digests_and_the_scales(predictions):
    page = result_page(ABOUT, score(predictions))
    assert "# Accuracy, 144 crops of 75 pixels" in page
    for text in ("c" * 64, "d" * 64, "80, 88, 96, 112", "| full ", "| filtered |", "a.ckpt"):
        assert text in page


def test_the_columns_of_the_table_are_lined_up(predictions):
    lines = accuracy_table(score(predictions)).splitlines()
    assert len(lines) == 4
    assert len({tuple(where for where, letter in enumerate(line) if letter == "|")
                for line in lines}) == 1
    assert "75.00 (30.06-95.44)" in lines[2]


@pytest.mark.parametrize("change, marked, said", [
    ({}, True, None),
    ({"has_blacklist": False}, False, "converted without a blacklist: only the full set"),
    ({}, False, "marks none of these images: only the full set"),
    ({"classes": 5}, True, "With 5 classes the five best are all of them")])
def test_what_a_reader_has_to_know_is_said(change, marked, said):
    found = notes({**ABOUT, **change}, score(predictions_of([False, False, marked, False])))
    assert len(found) == (2 if said else 1)
    assert said is None or said in found[1]


def test_the_same_evaluation_may_be_done_again(tmp_path, predictions):
    write_results(tmp_path, ABOUT, predictions)
    claim_folder(tmp_path, {**ABOUT, "checkpoint": "moved/a.ckpt"})


@pytest.mark.parametrize("name, value", [
    ("crops", 1), ("image_size", 299), ("scales", [80, 91, 103, 112]),
    ("checkpoint_sha256", "e" * 64), ("records_sha256", "f" * 64)])
def test_the_result_of_another_evaluation_is_kept(tmp_path, predictions, name, value):
    write_results(tmp_path, ABOUT, predictions)
    before = (tmp_path / "result.json").read_bytes()
    with pytest.raises(RequestError) as error:
        claim_folder(tmp_path, {**ABOUT, name: value})
    assert f"{name} {ABOUT[name]} there, {value} here" in str(error.value)
    assert (tmp_path / "result.json").read_bytes() == before


@pytest.mark.parametrize("content, message", [
    ("{torn", "is damaged"), ("[]", "not the result of an evaluation"),
    ('{"other": 1}', "not the result of an evaluation")])
def test_a_foreign_result_json_is_refused(tmp_path, content, message):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(RequestError, match=message):
        read_result(tmp_path / "result.json")
