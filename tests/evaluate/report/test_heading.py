"""The title names the data, the heading says where the results come from."""

from dataclasses import replace

import pytest

from evaluate.report.heading import origin_facts, page_title
from evaluate.report.inputs import Inputs, RunFiles
from evaluate.report.translations import translator

T = translator("en")
MADE = {"date": "2026-11-26 21:00 UTC", "commit": "0123456789ab", "host": "a"}


def with_results(inputs, *changes):
    return replace(inputs, evaluations=[
        replace(item, result=replace(item.result, **values))
        for item, values in zip(inputs.evaluations, changes)])


@pytest.mark.parametrize("folder, title", [
    ("demo/records/val", "Inception-v4 on demo/records, 3 classes"),
    ("/data/birds/val", "Inception-v4 on birds, 3 classes"),
    ("v2", "Inception-v4 on v2, 3 classes"), ("val", "Inception-v4 on val, 3 classes")])
def test_the_title_names_the_records_of_the_most_crops(inputs, folder, title):
    assert page_title(with_results(inputs, {"records": "x"}, {"records": folder}), T) == title


def test_ilsvrcs_own_images_are_called_imagenet(inputs):
    of_imagenet = with_results(inputs, {}, {"is_ilsvrc": True})
    assert page_title(of_imagenet, T) == "Inception-v4 on ImageNet (ILSVRC2012)"
    assert page_title(of_imagenet, translator("zh")) == "Inception-v4：ImageNet (ILSVRC2012)"


def test_without_results_the_title_is_that_of_the_runs_data(inputs, records, monkeypatch):
    config = {"data": "birds/train", "data_sha256": records.sha256}
    alone = replace(inputs, evaluations=[], run=replace(inputs.run, config=config))
    assert page_title(alone, T) == "Inception-v4 on birds, 3 classes"
    assert page_title(replace(alone, record_sets={}), T) == "Inception-v4 on birds"
    monkeypatch.setattr("evaluate.report.heading.CLASS_NAMES_SHA256", records.class_names_sha256)
    assert page_title(alone, T) == "Inception-v4 on ImageNet (ILSVRC2012)"
    assert page_title(Inputs(None, [], [], None, {}, []), T) == "Inception-v4"


def test_dates_commits_hosts_and_devices_of_run_and_results_are_listed(inputs):
    made = {**MADE, "date": "2026-11-24 09:00 UTC", "host": "b"}
    run = replace(inputs.run, config={"device": "Ascend", "made": made})
    facts = origin_facts(with_results(replace(inputs, run=run), {"made": MADE}, {}), T)
    assert [(fact.label, fact.value) for fact in facts.facts] == [
        ("date", "2026-11-24 09:00 UTC – 2026-11-26 21:00 UTC"), ("commit", "0123456789ab"),
        ("host", "a, b"), ("device", "Ascend, CPU")]


def test_what_older_files_do_not_say_is_said_to_be_unknown(inputs, tmp_path):
    old = replace(inputs, run=RunFiles(tmp_path, [], {}, {"made": None}))
    assert [(fact.label, fact.value) for fact in origin_facts(old, T).facts] == [
        ("device", "CPU"), ("date, commit, host", "not recorded (older version)")]
    assert origin_facts(Inputs(None, [], [], None, {}, []), T) is None
