"""Which files a report is made from, and what the page notes of those it cannot use."""

import json
import shutil
from pathlib import Path

import pytest

from common.cli import RequestError
from evaluate.report.inputs import read_inputs
from evaluate.report.translations import translator


def read(trial, records=()):
    return read_inputs(trial / "run", trial / "results", records, translator("en"))


def change_results(trial, **changes):
    for path in (trial / "results").glob("**/result.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_results_and_tables_at_any_depth_are_named_by_their_folders(trial, records):
    (trial / "results" / "bench" / "old").mkdir()
    shutil.copy(trial / "results" / "bench" / "speed.json",
                trial / "results" / "bench" / "old" / "result.json")
    inputs = read(trial)
    assert [item.name for item in inputs.evaluations] == ["results/a-1", "results/deep/a-12"]
    assert [name for name, _ in inputs.speed_tables] == ["results/bench", "results/bench/old"]
    assert inputs.main.name == "results/deep/a-12" and not inputs.notes
    assert inputs.records_of(inputs.main).folder == records.folder


def test_a_folder_given_from_here_is_named_from_here(trial, monkeypatch):
    """So that the name is the path to it, as of the demo's results."""
    monkeypatch.chdir(trial.parent)
    inputs = read_inputs(None, Path(trial.name, "results"), [], translator("en"))
    assert [item.name for item in inputs.evaluations] == [
        f"{trial.name}/results/a-1", f"{trial.name}/results/deep/a-12"]
    monkeypatch.chdir(trial / "results")
    assert read_inputs(None, Path("."), [], translator("en")).main.name == "deep/a-12"


@pytest.mark.parametrize("change", [
    {"rows": [1]}, {"rows": 1}, {"rows": [{"name": "a", "seconds": [1.0]}], "items": None},
    {"rows": [{"name": "a", "seconds": [0.0]}]}])
def test_a_table_of_other_values_is_named_and_not_used(trial, change):
    path = trial / "results" / "bench" / "speed.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    inputs = read(trial)
    assert not inputs.speed_tables and str(path) in inputs.notes[0]


def test_a_table_that_mixes_simulated_and_measured_rows_is_not_used(trial):
    path = trial / "results" / "bench" / "speed.json"
    about = json.loads(path.read_text())
    about["rows"][0]["simulated"] = "simulated card, 58 ms per step"
    path.write_text(json.dumps(about))
    inputs = read(trial)
    assert not inputs.speed_tables
    assert inputs.notes == [f"{path} is neither an evaluation result nor a benchmark table and was "
                            "not used."]


def test_a_damaged_file_is_refused(trial):
    (trial / "results" / "bench" / "speed.json").write_text('{"title": ')
    with pytest.raises(RequestError, match="speed.json is damaged"):
        read(trial)


def test_predictions_of_another_result_are_refused(trial):
    path = trial / "results" / "a-1" / "result.json"
    about = json.loads(path.read_text())
    about["sets"]["full"]["top1_correct"] += 1
    path.write_text(json.dumps(about))
    with pytest.raises(RequestError, match="do not belong together"):
        read(trial)


def test_the_result_with_the_most_crops_that_has_predictions_is_the_main_one(trial):
    (trial / "results" / "deep" / "a-12" / "predictions.npz").unlink()
    assert read(trial).main.name == "results/a-1"


@pytest.mark.parametrize("dates, main", [(("2026-01-02", "2026-01-01"), "a-1"),
                                         (("2026-01-01", "2026-01-02"), "deep/a-12")])
def test_of_results_with_as_many_crops_the_newest_is_the_main_one(trial, dates, main):
    for name, date in zip(("a-1", "deep/a-12"), dates):
        path = trial / "results" / name / "result.json"
        values = {**json.loads(path.read_text()), "crops": 12, "made": {"date": date}}
        path.write_text(json.dumps(values))
    assert read(trial).main.name == f"results/{main}"


@pytest.mark.parametrize("change", [{"records": "/nowhere"}, {"records_sha256": "0" * 64}])
def test_records_that_moved_or_changed_are_not_used(trial, change, records):
    change_results(trial, **change)
    inputs = read(trial)
    note, = inputs.notes
    assert "no longer exists" in note
    assert not inputs.record_sets and inputs.records_of(inputs.main) is None


def test_records_that_moved_are_found_where_they_are_given(trial, records):
    change_results(trial, records="/nowhere")
    inputs = read(trial, [records.folder])
    assert not inputs.notes and inputs.records_of(inputs.main).folder == records.folder


@pytest.mark.parametrize("name", ["data", "val_records"])
def test_records_that_the_run_names_are_used(trial, records, name):
    config = {name: str(records.folder), f"{name}_sha256": records.sha256}
    (trial / "run" / "config.json").write_text(json.dumps(config))
    shutil.rmtree(trial / "results")
    assert list(read(trial).record_sets) == [records.sha256]


def test_records_with_a_missing_shard_are_noted_but_refused_where_they_are_given(
        trial, records, tmp_path):
    copy = shutil.copytree(records.folder, tmp_path / "copy")
    next(copy.glob("*.mindrecord")).unlink()
    change_results(trial, records=str(copy))
    note, = read(trial).notes
    assert "cannot be used" in note and "is missing" in note
    with pytest.raises(RequestError, match="is missing"):
        read(trial, [copy])


def test_nothing_to_report_is_refused(tmp_path):
    with pytest.raises(RequestError, match="--run .*run is not a folder"):
        read_inputs(tmp_path / "run", tmp_path / "results", [], translator("en"))
    (tmp_path / "run").mkdir()
    with pytest.raises(RequestError, match="--run .*run is no run folder"):
        read_inputs(tmp_path / "run", tmp_path / "results", [], translator("en"))
    with pytest.raises(RequestError, match="train or evaluate first"):
        read_inputs(None, tmp_path / "results", [], translator("en"))
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="--results .*file is not a folder"):
        read_inputs(None, tmp_path / "file", [], translator("en"))
