"""``classes.csv`` and the file of many evaluations."""

import csv
import json
from dataclasses import replace

import pytest
from small import predictions_of

from common.cli import RequestError
from evaluate.results import score
from evaluate.tables import (append_result, check_results_file, class_errors, confusions,
                             write_classes, write_result_rows)

# Class 0 has no image, half of class 1 is taken for 2, class 2 twice for 3 and once for 1.
PREDICTIONS = predictions_of([1, 1, 2, 2, 2, 2, 3], [
    [1, 2], [2, 1], [2, 1], [3, 1], [3, 2], [1, 2], [3, 2]], [True] + [False] * 6)


def read(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_class_has_its_images_accuracy_and_the_class_it_is_taken_for(tmp_path):
    write_classes(tmp_path / "classes.csv", PREDICTIONS, ["a", "b, c", "d", "e"])
    assert read(tmp_path / "classes.csv") == [
        ["label", "class", "images", "top1", "top5", "confused_with", "confused_images"],
        ["0", "a", "0", "", "", "", ""], ["1", "b, c", "2", "50.0", "100.0", "d", "1"],
        ["2", "d", "4", "25.0", "75.0", "e", "2"], ["3", "e", "1", "100.0", "100.0", "", ""]]


def test_the_most_frequent_confusion_comes_first():
    labels = [0, 1, 1, 2, 2, 2]
    found = predictions_of(labels, [((label + 1) % 3, label) for label in labels])
    assert confusions(found, 2) == [(2, 0, 3), (1, 2, 2)]
    assert [error.label for error in class_errors(found)] == [0, 1, 2]
    alike = predictions_of(range(200), [(label + 1, label) for label in range(200)])
    assert confusions(alike, 3) == [(0, 1, 1), (1, 2, 1), (2, 3, 1)]


def test_evaluations_are_appended_in_timms_columns_each_once(planned, tmp_path):
    path = tmp_path / "results.csv"
    one = replace(planned, sets=score(PREDICTIONS), crops=1, image_size=299, scales=[342],
                  param_count=42_679_816)
    for result in (one, replace(one, crops=144, scales=[320, 352, 384, 448]), one):
        check_results_file(path)
        append_result(path, result)
    heads, *rows = read(path)
    assert heads[:9] == ["model", "top1", "top1_err", "top5", "top5_err", "param_count",
                         "img_size", "crop_pct", "interpolation"]
    assert rows[0] == ["inception_v4", "42.8571", "57.1429", "85.7143", "14.2857", "42.68", "299",
                       "0.874", "bicubic", "1", "records/val", "val", "full", "7", "c" * 64, "raw"]
    assert [(row[7], row[9], row[12]) for row in rows] == [
        ("0.874", "1", "full"), ("0.874", "1", "filtered"), ("", "144", "full"),
        ("", "144", "filtered")]
    write_result_rows(tmp_path / "one.csv", one)
    assert read(tmp_path / "one.csv") == [heads, *rows[:2]]


@pytest.mark.parametrize("name, content, said", [
    ("a.csv", b"model,top1\n", "a.csv has other columns than model"),
    ("a.csv", b"\xff", "is not a text file"),
    ("a.txt", None, "ends in .csv"), ("none/a.csv", None, "its folder does not exist")])
def test_a_file_of_another_kind_is_refused_before_the_network_runs(
        run, tmp_path, name, content, said):
    if content:
        (tmp_path / name).write_bytes(content)
    code, printed, errors = run(results_file=tmp_path / name)
    assert (code, printed) == (2, "") and said in errors[0]
    assert content is None or (tmp_path / name).read_bytes() == content


def test_a_line_that_was_cut_short_is_refused(planned, tmp_path):
    path = tmp_path / "results.csv"
    append_result(path, replace(planned, sets=score(PREDICTIONS)))
    path.write_text(path.read_text()[:-1])
    with pytest.raises(RequestError, match="ends within a line"):
        check_results_file(path)


def test_an_evaluation_writes_both(run, tmp_path, records):
    assert run(results_file=tmp_path / "all.csv")[0] == 0
    classes = read(tmp_path / "out" / "classes.csv")[1:]
    assert [row[1] for row in classes] == records.class_names
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert sum(int(row[2]) for row in classes) == result["sets"]["full"]["images"] == 7
    assert result["param_count"] == 8 * 3 * 15 * 15 + 2 * 8 + 200 * 3 + 3
    assert [row[12] for row in read(tmp_path / "all.csv")] == ["set", "full", "filtered"]
