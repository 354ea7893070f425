"""What a section says where it has nothing to show, and what older or damaged files lead to."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from small import predictions_of

from common.cli import RequestError
from common.forms import HistoryLine
from convert.records.reader import RecordSet
from evaluate.report.accuracy import accuracy_section
from evaluate.report.blocks import Commands, LeftOut, Table
from evaluate.report.classes import class_names, classes_section
from evaluate.report.data_sheet import data_section
from evaluate.report.gallery import gallery_section
from evaluate.report.inputs import Inputs, read_inputs
from evaluate.report.page import SECTIONS
from evaluate.report.reproduction import reproduction_section
from evaluate.report.times import EpochTime, epoch_times, times_figure
from evaluate.report.training import training_section
from evaluate.report.translations import translator

T = translator("en")
SPEED = {"title": "Feeding", "items": 9, "unit": "images", "machine": {}, "settings": {},
         "rows": [{"name": "ours", "seconds": [1.0], "note": ""}]}
DOCTOR = {"argv": [], "seconds": 9.5, "machine": {}, "checks": []}
SCALE = {"stages": [], "settings": {}, "machine": {}}
NOTHING = Inputs(None, [], [], None, {}, [])


def sentences(section) -> list[str]:
    return [block for block in section if isinstance(block, str)]


def all_right(inputs) -> Inputs:
    """Results without a mistake."""
    return replace(inputs, evaluations=[
        replace(item, predictions=predictions_of([0, 1], [[0, 1], [1, 0]]))
        for item in inputs.evaluations])


@pytest.mark.parametrize("section, change, said", [
    (training_section, lambda inputs: NOTHING, "no run folder was given"),
    (training_section, lambda inputs: replace(inputs, run=replace(inputs.run, history=[])),
     "run has no finished epoch yet"),
    (gallery_section, lambda inputs: NOTHING, "no result has its predictions.npz"),
    (gallery_section, all_right, "results/deep/a-12 has no wrong image"),
    (classes_section, lambda inputs: NOTHING, "no result has its predictions.npz"),
    (data_section, lambda inputs: NOTHING, "no record set was found")])
def test_a_section_without_its_files_says_which(inputs, section, change, said):
    with pytest.raises(LeftOut, match=said):
        section(change(inputs), T)


def test_results_without_a_mistake_have_no_pairs(inputs):
    assert classes_section(all_right(inputs), T)[-1] == (
        "No image is wrong, so no classes are confused.")


def test_a_run_without_plan_or_scores_says_so(inputs):
    history = [replace(line, full_top1_error=None, full_top5_error=None, filtered_top1_error=None,
                       filtered_top5_error=None) for line in inputs.run.history]
    plain = sentences(training_section(inputs, T))
    run = replace(inputs.run, history=history, plan={})
    said = sentences(training_section(replace(inputs, run=run), T))
    assert plain == [] and len(said) == 2
    assert said[0] == "The run was not scored on a validation set."
    assert said[1].startswith(f"{inputs.run.folder / 'plan.json'} is missing")


def test_names_of_a_result_that_are_not_the_records_own_get_no_words_of_these(inputs, records):
    """Its record set has the words of other classes."""
    main = inputs.main
    for names, words, shown in (
            (["x", "y", "z"], None, ["x", "y", "z"]), (None, None, records.class_words),
            (records.class_names, None, records.class_words),
            (records.class_names, ["p", "q", "r"], ["p", "q", "r"])):
        item = replace(main, result=replace(main.result, class_names=names, class_words=words))
        assert class_names(inputs, item, T).short == shown
    gone = replace(inputs, record_sets={})
    item = replace(main, result=replace(main.result, class_names=None, class_words=None))
    assert class_names(gone, item, T).short == ["label 0", "label 1", "label 2"]


@pytest.mark.parametrize("names, gone, said", [
    (None, True, True), (None, False, False), (["x", "y", "z"], True, False)])
def test_numbers_in_place_of_names_have_their_reason(inputs, names, gone, said):
    about = replace(inputs.main.result, class_names=names, class_words=None)
    known = replace(inputs, evaluations=[replace(inputs.main, result=about)])
    section = classes_section(replace(known, record_sets={}) if gone else known, T)
    assert any("label numbers (--records)" in block for block in sentences(section)) == said


def test_results_without_predictions_have_figures_and_no_mistakes(inputs):
    """Of these the one with the most crops is the best, which is the last."""
    bare = replace(inputs, evaluations=[replace(item, predictions=None)
                                        for item in inputs.evaluations])
    assert bare.main is None and bare.best is bare.evaluations[-1]
    assert replace(bare, evaluations=[]).best is None


@pytest.mark.parametrize("name", ["speed.json", "doctor.json", "scale.json"])
def test_one_table_is_enough_for_a_page(tmp_path, name):
    content = {"speed.json": SPEED, "doctor.json": DOCTOR, "scale.json": SCALE}[name]
    run = tmp_path / "results" / "run"
    run.mkdir(parents=True)
    (run / name).write_text(json.dumps(content))
    found = read_inputs(None, tmp_path / "results", [], T)
    tables = (found.speed_tables, found.doctors, found.rehearsals)
    assert [len(each) for each in tables] == [name == each for each in (
        "speed.json", "doctor.json", "scale.json")] and not found.notes
    (run / "config.json").write_text("{}")  # a run that is among the results has its file once
    again = read_inputs(run, tmp_path / "results", [], T)
    assert (again.doctors, again.rehearsals) == (found.doctors, found.rehearsals)


@pytest.mark.parametrize("known", ["seconds_validating", "seconds_saving", "waiting_for_data",
                                   "seconds_since_last_epoch"])
def test_any_time_that_is_known_makes_a_table_of_times(known):
    line = HistoryLine(1, 10, 2.0, 0.1, 100.0, 5.0, None)
    assert epoch_times([line]) == [] and len(epoch_times([replace(line, **{known: 0.5})])) == 1


def test_averaged_weights_are_marked_next_to_their_checkpoint(inputs):
    one, twelve = inputs.evaluations
    averaged = replace(one, result=replace(one.result, weights="ema"))
    tables = [block for block in accuracy_section(replace(inputs, evaluations=[averaged, twelve]),
                                                  T) if isinstance(block, Table)]
    assert [row[-1] for row in tables[0].rows] == ["c" * 12 + " ema", "c" * 12]


def test_results_of_several_record_sets_name_them(inputs):
    one, twelve = inputs.evaluations
    other = replace(one, result=replace(one.result, records="v2/val", records_sha256="d" * 64))
    table, _ = [block for block in accuracy_section(replace(inputs, evaluations=[other, twelve]),
                                                    T) if isinstance(block, Table)]
    last = len(table.heads) - 1
    assert table.heads[-1] == "record set" and last in table.left and table.code == (last,)
    assert [row[-1] for row in table.rows] == [
        "v2/val dddddddddddd", f"{twelve.result.records} {twelve.result.records_sha256[:12]}"]


def test_a_digest_is_code_unless_it_is_empty_or_has_signs_of_markdown():
    cells = Table(["a"], [[""], ["b|c"], ["d`"], ["e"]], code=(0,)).markdown().splitlines()[2:]
    assert [cell.strip("| ").strip() for cell in cells] == ["", r"b\|c", r"d\`", "`e`"]


def test_a_record_set_without_notes_has_no_table_of_them(inputs, records):
    manifest = replace(records.manifest, repaired=[])
    sets = {records.sha256: RecordSet(Path("a"), manifest)}
    tables = [block for block in data_section(replace(inputs, record_sets=sets), T)
              if isinstance(block, Table)]
    assert [table.caption.split(" ")[0] for table in tables] == ["a", "Digests", "Shards"]


def test_ids_that_are_positions_are_in_the_command(inputs, records):
    listed = replace(records.manifest.blacklist, ids_are_positions=True)
    sets = {records.sha256: RecordSet(Path("a"), replace(records.manifest, blacklist=listed))}
    section = reproduction_section(replace(inputs, record_sets=sets), T)
    command = next(block.text for block in section if isinstance(block, Commands))
    words = command.replace("\\\n    ", "").split()
    assert words[words.index("--blacklist"):][:3] == ["--blacklist", "BLACKLIST",
                                                      "--ids-are-positions"]


@pytest.mark.parametrize("values", [{}, [], {"name": "a", "sets": {}}, {"sets": {"full": {}}}])
def test_scores_that_rescore_did_not_write_are_refused(trial, values):
    path = trial / "results" / "a-1" / "rescored-a.json"
    path.write_text(json.dumps(values))
    with pytest.raises(RequestError, match=f"{path} (was not written by rescore|does not hold)"):
        read_inputs(trial / "run", trial / "results", [], T)


def test_the_chart_of_an_epochs_time_has_what_took_time_from_the_bottom_up(monkeypatch):
    charts: list = []
    monkeypatch.setattr("evaluate.report.times.share_chart",
                        lambda *drawn: charts.append(drawn) or "<svg>")
    parts = {"steps": 6.0, "waiting": 2.0, "validation": 0.0, "checkpoint": 1.0, "other": 1.0}
    figure = times_figure([EpochTime(3, parts, None), EpochTime(4, dict.fromkeys(parts, 0.0), 2.0)],
                          T)
    (name, shares, epochs, label), = charts
    assert (name, epochs, label) == ("times", [3, 4], "epoch")
    assert list(shares.items()) == [
        ("waiting", ("waiting for data", [20, 0])), ("checkpoint", ("checkpoint", [10, 0])),
        ("other", ("other", [10, 0])), ("steps", ("steps", [60, 0]))]
    assert figure.caption == "share of each epoch's time, %"


def columns_of_words(table: Table) -> set[int]:
    return {place for place, cells in enumerate(zip(*table.rows))
            if not any(re.fullmatch("[-+0-9.,–%/× ]*", cell) for cell in cells)}


def test_columns_of_words_are_aligned_left_and_digests_are_code(inputs):
    """Numbers to the right, so that their digits stand below each other."""
    others = replace(inputs.evaluations[0].result, checkpoint_sha256="f" * 64)
    mixed = replace(inputs, evaluations=[replace(inputs.evaluations[0], result=others),
                                         *inputs.evaluations[1:]])
    found = {}
    for name, (_, section) in SECTIONS.items():
        if name in ("doctor", "scale"):
            continue
        for table in (block for block in section(mixed, T) if isinstance(block, Table)):
            found[table.caption] = table
            words = columns_of_words(table)
            assert words - set(table.left) == set(), (table.caption, table.rows[0])
            digests = {place for row in table.rows for place, cell in enumerate(row)
                       if re.fullmatch("[0-9a-f]{12}|[0-9a-f]{64}", cell)}
            assert digests <= set(table.code), table.caption
    folded = {caption for caption, table in found.items() if table.folded}
    assert {caption.split(" ")[0] for caption in folded} == {
        "Digests", "Shards", "What", "Values", "The"}
    assert found["Values of the recipe (config.json)"].code == (0,)
    assert found["Every epoch"].left == found["Time of every epoch"].left == ()
    assert found["Errors by number of crops"].left == ()
