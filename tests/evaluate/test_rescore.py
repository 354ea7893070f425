"""Scores from stored predictions: other labels, some of the images, some of the classes."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from small import RESULT, predictions_of

from evaluate.predictions import gather_predictions, load_predictions, save_predictions
from evaluate.request import RescoreRequest
from evaluate.results import wilson_interval

NAMES = [f"n{number}" for number in range(8)]
LABELS = [0, 1, 2, 3, 0, 1]
BEST = [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [3, 4, 5, 6, 7], [4, 3, 0, 1, 2], [5, 6, 7, 0, 1],
        [1, 0, 2, 3, 4]]
REAL = [[0], [0, 1], [], [7], [6, 2], [1]]  # right first: 1, 2, 6; among five: 5; wrong: 4


@pytest.fixture
def folder(tmp_path):
    """A result folder of six images, the second one blacklisted."""
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", predictions_of(LABELS, BEST, [False, True] + [False] * 4))
    return tmp_path / "out"


def write(folder, predictions, **about):
    save_predictions(folder / "predictions.npz", predictions)
    values = {**RESULT, "classes": len(NAMES), "class_names": NAMES, **about}
    (folder / "result.json").write_text(json.dumps(values))


@pytest.fixture
def rescored(call, folder):
    """Calls the command; returns the sets that it wrote, as images, top-1 and top-5 correct."""
    def called(name, *arguments):
        code, text, errors = call("rescore", folder, *arguments)
        assert code == 0, errors
        path = folder / f"rescored-{name}.json"
        assert text.startswith(str(path))
        written = json.loads(path.read_text())
        for score in written["sets"].values():
            wrong = score["images"] - score["top1_correct"]
            assert score["top1_error"] == pytest.approx(100 * wrong / score["images"])
            assert score["top1_ci95"] == wilson_interval(wrong, score["images"])
        return {name: (score["images"], score["top1_correct"], score["top5_correct"])
                for name, score in written["sets"].items()}
    return called


def listed(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_real_counts_a_prediction_in_the_list_and_leaves_out_empty_lists(rescored, tmp_path):
    real = listed(tmp_path / "real.json", json.dumps(REAL))
    assert rescored("real", "--real", real) == {"full": (5, 3, 4), "filtered": (4, 2, 3)}
    ids = listed(tmp_path / "some.txt", 1, 4, "ILSVRC2012_val_00000003.JPEG")
    assert rescored("real-some", "--real", real, "--ids", ids) == {"full": (2, 1, 1)}


def test_ids_choose_the_images_or_those_to_leave_out(rescored, tmp_path):
    ids = listed(tmp_path / "some.txt", "# chosen", 2, 4, 5)
    assert rescored("some", "--ids", ids) == {"full": (3, 0, 3), "filtered": (2, 0, 2)}
    assert rescored("without-some", "--ids", ids, "--without") == {"full": (3, 2, 2)}


def test_the_blacklist_as_ids_to_leave_out_gives_the_filtered_set(rescored, tmp_path):
    ids = listed(tmp_path / "list.txt", 2)
    assert rescored("without-list", "--ids", ids, "--without") == {"full": (5, 2, 4)}
    assert rescored("list", "--ids", ids) == {"full": (1, 0, 1)}


def test_classes_are_chosen_from_by_all_probabilities(rescored, folder, tmp_path):
    """Of the images of n1, n6 and n7 two are right: among these three, worst first."""
    shares = np.float32([[.5, .01, .1, .1, .1, .1, .02, .07],   # n1 is last: 0.01
                         [.5, .04, .1, .1, .1, .1, .03, .03],   # n1 is first: 0.04
                         [.2, .3, .1, .1, .1, .1, .06, .04],    # n1
                         [.2, .3, .1, .1, .1, .1, .06, .04]])   # of n2: left out
    write(folder, gather_predictions([1, 2, 3, 4], [1, 1, 1, 2], [False] * 4, shares,
                                     keep_probabilities=True))
    classes = listed(tmp_path / "few.txt", "n7", "n1", "", "n6")
    assert rescored("few", "--classes", classes) == {"full": (3, 2, 3)}


def test_names_of_classes_may_have_spaces_and_what_comes_next_is_the_report(
        rescored, folder, tmp_path, monkeypatch):
    shown: list = []
    monkeypatch.setattr("evaluate.__main__.print_next",
                        lambda command, under_make: shown.append(command))
    spaced = ["big cat", *NAMES[1:]]
    write(folder, gather_predictions([1], [0], [False], np.float32([[.2] + [.1] * 7]),
                                     keep_probabilities=True), class_names=spaced)
    assert rescored("few", "--classes", listed(tmp_path / "few.txt", "big cat", "n1")) == {
        "full": (1, 1, 1)}
    assert shown[0].endswith(f" -m evaluate report --results {folder.parent} --out report.html")
    request = RescoreRequest(str(folder), ids=str(tmp_path / "ids"))  # as a Python user gives them
    assert (request.result, request.ids) == (folder, tmp_path / "ids")


def test_all_classes_give_the_score_of_the_five_best_although_float16_has_ties(
        rescored, folder, tmp_path):
    shares = np.float32([[.50001, .50002, 0, 0, 0, 0, 0, 0]])
    predictions = gather_predictions([1], [1], [False], shares, keep_probabilities=True)
    assert predictions.probabilities[0, 0] == predictions.probabilities[0, 1]
    write(folder, predictions)
    everything = listed(tmp_path / "all.txt", *NAMES)
    assert rescored("all", "--classes", everything) == {"full": (1, 1, 1)}


@pytest.mark.parametrize("option, lines, said", [
    ("real", ["[[0], [1]]"], "file has labels of 2 images, but the predictions are of .* 1 to 6"),
    ("real", [json.dumps(REAL[:5] + [[8]])], "file: label 8 of image 6 is not one of the 8"),
    ("real", ["[0]"], "file: 0 of image 1 is not a list"),
    ("real", ["[["], "file is damaged"),
    ("real", ["{}"], "file does not hold a list"),
    ("real", [json.dumps([[]] * 6)], "no image is left to score by file"),
    ("ids", ["7"], "file, line 1: image id 7 is outside 1 to 6"),
    ("classes", ["n1", "n8"], "needs.*evaluate again with --keep-probabilities")])
def test_what_does_not_fit_is_one_error_line(call, folder, tmp_path, option, lines, said):
    code, _, errors = call("rescore", folder, f"--{option}", listed(tmp_path / "file", *lines))
    assert code == 2 and len(errors) == 1
    assert re.search(said, errors[0])
    assert not list(folder.glob("rescored-*"))


def test_ids_and_classes_that_are_not_in_the_predictions_are_named(call, folder, tmp_path):
    stored = load_predictions(folder / "predictions.npz")
    ids = [1, 2, 3, 4, 5, 9]
    write(folder, replace(stored, image_id=np.int32(ids),
                          probabilities=np.zeros((6, 8), np.float16)))
    for option, line, said in (("ids", 6, "lists image id 6, which is not in the predictions"),
                               ("classes", "n8", "'n8' is not one of the 8 classes")):
        path = listed(tmp_path / f"{option}.txt", line)
        code, _, errors = call("rescore", folder, f"--{option}", path)
        assert code == 2 and str(path) in errors[0] and said in errors[0]


@pytest.mark.parametrize("names, columns", [(NAMES * 2, 8), ([], 8), (NAMES, 4)])
def test_class_names_of_other_predictions_are_refused(call, folder, tmp_path, names, columns):
    stored = load_predictions(folder / "predictions.npz")
    write(folder, replace(stored, probabilities=np.zeros((6, columns), np.float16)),
          class_names=names)
    code, _, errors = call("rescore", folder, "--classes", listed(tmp_path / "few", "n1"))
    assert code == 2 and "its predictions are not of the" in errors[0]


@pytest.mark.parametrize("arguments, said", [
    ([], "give --real, --ids or --classes"), (["--real", "a", "--classes", "b"], "one of them"),
    (["--real", "a", "--without"], "give that file"), (["--real", "none.json"], "none.json")])
def test_a_request_that_means_nothing_is_refused(call, folder, arguments, said):
    code, _, errors = call("rescore", folder, *arguments)
    assert code == 2 and said in errors[0]


def test_other_files_of_the_same_name_do_not_replace_scores(call, folder, tmp_path):
    for content, code in ((REAL, 0), (REAL, 0), ([[0]] * 6, 2)):
        real = listed(tmp_path / "real.json", json.dumps(content))
        found, _, errors = call("rescore", folder, "--real", real)
        assert found == code
    assert "rescored-real.json was made by other files (real: was" in errors[0]
    for name, option, code in (("some", ["--without"], 0), ("without-some", [], 2)):
        ids = listed(tmp_path / f"{name}.txt", 2)
        found, _, errors = call("rescore", folder, "--ids", ids, *option)
        assert found == code
    assert "rescored-without-some.json was made by other files (without: was True" in errors[0]


def test_an_evaluation_keeps_the_probabilities_that_it_is_asked_for(call, words, tmp_path):
    assert call(*words("out"), "--keep-probabilities")[0] == 0
    found = load_predictions(tmp_path / "out" / "predictions.npz")
    assert found.probabilities.shape == (7, 3)
    np.testing.assert_allclose(
        np.take_along_axis(found.probabilities, found.top5, axis=1), found.top5_prob, atol=5e-4)
    names = json.loads((tmp_path / "out" / "result.json").read_text())["class_names"]
    code, text, _ = call("rescore", tmp_path / "out", "--classes", listed(tmp_path / "c", *names))
    assert code == 0 and "Left out: 0 images. " in text
