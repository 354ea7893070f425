"""A folder with all that a report can be made from: two results with mistakes, a run, a benchmark.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
from small import BLACKLISTED_IDS, RESULT, predictions_of

from evaluate.command import write_results
from evaluate.report.inputs import read_inputs
from evaluate.report.page import write_report
from evaluate.report.translations import LANGUAGES, translator
from evaluate.request import ReportRequest
from evaluate.results import Result

LABELS = [0, 1, 2, 0, 1, 2, 0]  # of the seven images of ``records``
FIRST = [0, 2, 2, 2, 1, 0, 0]  # images 2, 4 and 6 are wrong
SURE = [.9, .6, .9, .8, .9, .7, .9]

ABOUT = {**RESULT, "split": "val", "classes": 3, "is_ilsvrc": False, "blacklist_is_ilsvrc": False,
         "blacklist_sha256": "b" * 64, "device": "CPU", "versions": {"mindspore": "2.10.0"},
         "speed": {"ranks": 2, "images_per_second_per_rank": 4.0, "waiting_for_data": 0.25}}

HISTORY = [{"epoch": epoch, "step": 10 * epoch, "loss": 2.154 / epoch, "learning_rate": rate,
            "ms_per_step": ms, "images_per_second": speed, "waiting_for_data": waiting,
            "full_top1_error": 40.0 / epoch, "full_top5_error": 0.0,
            "filtered_top1_error": 38.5 / epoch, "filtered_top5_error": 0.0}
           for epoch, rate, ms, speed, waiting in (
               (1, 0.1, 900.0, 142.0, None), (2, 0.1, 480.0, 267.0, 0.125),
               (3, 0.02, 500.0, 256.0, 0.0))]
CONFIG = {"preset": "smoke", "phases": [{"epochs": 2}, {"epochs": 1}], "ranks": 8,
          "batch_size": 16, "optimizer": "adam", "device": "CPU",
          "argv": ["python", "-m", "inceptionv4.launch", "--ranks", "8", "train",
                   "--label-smoothing", "0.2"]}
PLAN = {"epochs": 3, "steps_per_epoch": 10, "epoch_learning_rates": [0.1, 0.1, 0.02]}
SPEED = {"title": "Feeding", "items": 100, "unit": "images", "ratio": "rate",
         "machine": {"cores": 2}, "settings": {"repeats": 2}, "closing": ["It is so."],
         "rows": [{"name": "theirs", "seconds": [2.0, 4.0, 2.0], "note": "", "section": "warm"},
                  {"name": "ours", "seconds": [1.0], "note": "good", "section": "warm"},
                  {"name": "none", "seconds": [], "note": "not installed", "section": "cold"}]}


def predictions(label_rank=None):
    first, labels = np.array(FIRST), np.array(LABELS)
    second = np.where(first == labels, (labels + 1) % 3, labels)
    top5 = np.stack([first, second, 3 - first - second], axis=1)
    sure = np.float32(SURE)
    shares = np.stack([sure, (1 - sure) * .75, (1 - sure) * .25], axis=1)
    marked = [image_id in BLACKLISTED_IDS for image_id in range(1, 8)]
    return predictions_of(LABELS, top5, marked, shares=shares, label_rank=label_rank)


def write_result(folder, records, label_rank=None, **changes):
    """Write a result folder of the made-up predictions."""
    folder.mkdir(parents=True)
    about = {**ABOUT, "records": str(records.folder), "records_sha256": records.sha256,
             "curve_crops": [6, 12], **changes}
    write_results(folder, Result.from_json(about), predictions(label_rank))


def make_trial(folder, records):
    """``results/`` with a-1 and deep/a-12, ``results/bench/speed.json`` and ``run/``."""
    results, run = folder / "results", folder / "run"
    typed = ["python", "-m", "evaluate", "--crops"]
    write_result(results / "a-1", records, crops=1, argv=[*typed, "1", "--out", "my results"])
    ranks = np.uint8([[0, 0]] * 5 + [[3, 0], [5, 0]])
    write_result(results / "deep" / "a-12", records, ranks, crops=12,
                 argv=[*typed, "12", "--curve"])
    (results / "bench").mkdir()
    (results / "bench" / "speed.json").write_text(json.dumps(SPEED))
    run.mkdir()
    (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in HISTORY))
    (run / "config.json").write_text(json.dumps(CONFIG))
    (run / "plan.json").write_text(json.dumps(PLAN))
    return folder


def write_pages(trial, run="run", results="results", **others):
    """Write the report of a trial folder; return the HTML, the Markdown, what is printed."""
    request = ReportRequest(trial / results, trial / "report.html",
                            trial / run if run else None, **others)
    table = write_report(request)
    return (request.out.read_text(encoding="utf-8"),
            request.markdown_copy.read_text(encoding="utf-8"), table)


@pytest.fixture
def trial(tmp_path, records):
    return make_trial(tmp_path, records)


@pytest.fixture
def inputs(trial):
    return read_inputs(trial / "run", trial / "results", [], translator("en"))


@pytest.fixture
def of_ten_classes(inputs):
    """The same, as if the network knew more classes than the five best."""
    return replace(inputs, record_sets={}, evaluations=[
        replace(item, result=replace(item.result, classes=10)) for item in inputs.evaluations])


@pytest.fixture
def write():
    return write_pages


@pytest.fixture(scope="session")
def pages(tmp_path_factory, records):
    """What is written of an unchanged trial folder in each language, the first at last "again"."""
    trial = make_trial(tmp_path_factory.mktemp("trial"), records)
    written = {language: write_pages(trial, lang=language) for language in LANGUAGES}
    return {**written, "again": write_pages(trial, lang=next(iter(LANGUAGES)))}
