"""Accuracy from hand-made predictions; the result folder: what it says, old files, and that no
other result is overwritten."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from small import four_images, predictions_of

from common.cli import RequestError
from evaluate.command import write_results
from evaluate.predictions import load_predictions
from evaluate.result_folder import claim_result_folder
from evaluate.results import (Curve, CurveErrors, Result, read_result, score,
                              wilson_interval)


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


def test_with_fewer_than_five_classes_every_label_is_among_the_best():
    full, = score(predictions_of([0, 1, 2], [[2, 1, 0], [1, 0, 2], [0, 1, 2]])).values()
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


@pytest.fixture
def predictions():
    return four_images()


def test_the_files_hold_the_scores_of_both_sets_and_what_they_are_of(tmp_path, planned,
                                                                     predictions):
    result = write_results(tmp_path, planned, predictions)
    assert read_result(tmp_path / "result.json") == result
    values = json.loads((tmp_path / "result.json").read_text())
    assert (values["crops"], values["scales"]) == (144, [80, 88, 96, 112])
    assert values["speed"] == {"ranks": 2, "images_per_second_per_rank": 4.0,
                               "waiting_for_data": 0.25, "seconds_of_all_ranks": 0.5}
    assert values["argv"] == ["python", "-m", "evaluate"] and "curve" not in values
    full, filtered = values["sets"]["full"], values["sets"]["filtered"]
    assert (full["images"], full["top1_correct"], full["top5_correct"]) == (4, 1, 2)
    assert (full["top1_error"], full["top5_error"]) == (75.0, 50.0)
    assert (filtered["images"], filtered["top1_correct"], filtered["top5_correct"]) == (3, 1, 2)
    assert score(load_predictions(tmp_path / "predictions.npz")) == result.sets
    classes = (tmp_path / "classes.csv").read_text().splitlines()[1:]
    assert [row.split(",")[:2] for row in classes] == [[f"{label}"] * 2 for label in range(6)]


@pytest.mark.parametrize("known", ["has_ilsvrc_names", "is_ilsvrc", "has_blacklist", None])
def test_images_may_be_filtered_for_any_of_three_reasons(planned, known):
    nothing = {"has_ilsvrc_names": False, "is_ilsvrc": False, "has_blacklist": False}
    result = replace(planned, **{**nothing, **({known: True} if known else {})})
    assert result.may_be_filtered == (known is not None)


def test_the_result_of_an_old_version_is_read(tmp_path, planned, predictions):
    values = replace(planned, sets=score(predictions)).to_json()
    for key in ("is_ilsvrc", "blacklist_is_ilsvrc", "versions", "speed", "device", "argv", "mean"):
        del values[key]
    (tmp_path / "result.json").write_text(json.dumps({**values, "unknown": 1}))
    old = read_result(tmp_path / "result.json")
    assert (old.is_ilsvrc, old.versions, old.speed, old.argv) == (False, {}, None, None)
    assert old.sets == score(predictions) and old.std == [127.5] * 3


def test_the_same_evaluation_may_be_done_again(tmp_path, planned, predictions):
    write_results(tmp_path, planned, predictions)
    claim_result_folder(tmp_path, replace(planned, checkpoint="moved/a.ckpt", argv=["other"]))


@pytest.mark.parametrize("name, value", [
    ("crops", 1), ("image_size", 299), ("scales", [80, 91, 103, 112]), ("mean", [0.0] * 3),
    ("std", [1.0] * 3), ("checkpoint_sha256", "e" * 64), ("records_sha256", "f" * 64),
    ("blacklist_sha256", None)])
def test_the_result_of_another_evaluation_is_kept(tmp_path, planned, predictions, name, value):
    write_results(tmp_path, planned, predictions)
    before = (tmp_path / "result.json").read_bytes()
    with pytest.raises(RequestError) as error:
        claim_result_folder(tmp_path, replace(planned, **{name: value}))
    before_and_now = (each[:12] if each and "sha256" in name else each
                      for each in (getattr(planned, name), value))
    assert f"({name}: was {{}}, now {{}})".format(*before_and_now) in str(error.value)
    assert (tmp_path / "result.json").read_bytes() == before


def test_a_curve_is_scored_from_the_places_of_the_labels(tmp_path, planned):
    ranks = np.uint8([[5, 0], [0, 0], [4, 5], [1, 0]])  # 4 images after 1 and 2 crops
    result = write_results(tmp_path, planned, four_images(label_rank=ranks))
    third = pytest.approx(100 / 3)
    assert result.curve == Curve([1, 2], {
        "full": CurveErrors([75.0, 25.0], [25.0, 25.0]),
        "filtered": CurveErrors([2 * third.expected, 0.0], [third, 0.0])})
    assert read_result(tmp_path / "result.json") == result
    lines = (tmp_path / "result.md").read_text().splitlines()
    start = lines.index("## Error as crops are added")
    assert [cell.strip() for cell in lines[start + 5].split("|")[1:-1]] == [
        "2", "0.0556", "25.00", "25.00", "0.00", "0.00"]
    assert np.array_equal(load_predictions(tmp_path / "predictions.npz").label_rank, ranks)


def test_a_curve_without_a_filtered_set_survives_the_file(planned):
    result = replace(planned, curve=Curve([1], {"full": CurveErrors([1.0], [0.0])}))
    assert result.to_json()["curve"] == {
        "crops": [1], "full": {"top1_error": [1.0], "top5_error": [0.0]}}
    assert Result.from_json(result.to_json()) == result


@pytest.mark.parametrize("change, named", [
    ({"classes": "ten"}, "classes is 'ten'"), ({"crops": None}, "crops is None"),
    ({"crops": True}, "crops is True"), ({"scales": [80, "x"]}, r"scales is \[80, 'x'\]"),
    ({"class_names": 5}, "class_names is 5"), ({"mean": ["1"]}, "mean is"),
    ({"sets": {"full": {**asdict(score(four_images())["full"]), "images": "4"}}}, "images is '4'")])
def test_a_value_of_the_wrong_kind_is_named(tmp_path, planned, change, named):
    write_results(tmp_path, planned, four_images())
    path = tmp_path / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RequestError, match=f"{path} is not the result of an evaluation .{named}"):
        read_result(path)


@pytest.mark.parametrize("content, message", [
    ("{torn", "is damaged"), ("[]", "does not hold a JSON object"),
    ('{"other": 1}', "not the result of an evaluation"),
    ('{"sets": []}', "not the result of an evaluation"),
    ('{"sets": {}, "crops": 1}', "not the result of an evaluation")])
def test_a_foreign_result_json_is_refused(tmp_path, content, message):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(RequestError, match=message):
        read_result(tmp_path / "result.json")
