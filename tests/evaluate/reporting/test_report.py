"""The page holds the figures of the files it was made from, and says what is missing."""

import json
from xml.etree import ElementTree

import pytest

from common import RequestError
from evaluate.curves import training_curves
from evaluate.report import write_report

SCORED = {"images": 96, "top1_correct": 72, "top5_correct": 95, "top1_error": 25.0,
          "top5_error": 1.04, "top1_ci95": [17.4, 34.5], "top5_ci95": [0.2, 5.7]}


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results" / "crops-1"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps(
        {"crops": 1, "image_size": 75, "checkpoint_sha256": "ab" * 32,
         "sets": {"filtered": SCORED}}))
    return folder.parent


def test_figures_of_results_and_history_stand_in_the_page(results, tmp_path):
    (tmp_path / "history.jsonl").write_text(json.dumps(
        {"epoch": 1, "step": 37, "loss": 2.154, "learning_rate": 0.1}))
    table = write_report(tmp_path, results, tmp_path / "report.html")
    assert "| 1 × 75 px | filtered |     96 |   25.00 (17.40–34.50) |" in table
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<td>25.00 (17.40–34.50)</td>" in page and "<td>filtered</td>" in page
    assert "<td>37</td><td>2.154</td><td>0.1</td><td>–</td>" in page


def test_the_curves_are_a_picture_inside_the_page_the_same_every_time():
    epochs = [{"epoch": epoch, "loss": 2 / epoch, "learning_rate": 0.1, "full_top1_error": 9.0}
              for epoch in (1, 2)]
    picture = training_curves(epochs)
    assert picture.startswith("<svg") and picture == training_curves(epochs)
    assert picture != training_curves(epochs[:1])
    assert ElementTree.fromstring(picture).tag.endswith("svg")


def test_what_is_missing_is_said(results, tmp_path):
    write_report(None, results, tmp_path / "report.html")
    assert "No history of a run was given." in (tmp_path / "report.html").read_text("utf-8")


def test_nothing_to_report_is_refused(tmp_path):
    with pytest.raises(RequestError, match="train or evaluate first"):
        write_report(tmp_path, tmp_path / "none", tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
