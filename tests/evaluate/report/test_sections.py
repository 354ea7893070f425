"""The figures of each section, from made-up files whose figures are known."""

import numpy as np
import pytest

from evaluate.predictions import Predictions
from evaluate.published import FILTERED, FULL
from evaluate.report.accuracy import accuracy_section
from evaluate.report.classes import BARS, classes_section
from evaluate.report.content import Commands, Missing, Table
from evaluate.report.crop_curve import curve_section
from evaluate.report.data_sheet import REMARKS, data_section
from evaluate.report.inputs import Evaluation, Inputs, read_inputs
from evaluate.report.mistakes import (class_errors, confident_mistakes,
                                      confusions)
from evaluate.report.reproduction import reproduction_section
from evaluate.report.speed import speed_section
from evaluate.report.texts import speaker
from evaluate.report.training import phase_marks, training_section

SAY = speaker("en")


@pytest.fixture
def inputs(trial):
    return read_inputs(trial / "run", trial / "results", [])


def tables(section):
    return [block for block in section.blocks if isinstance(block, Table)]


def test_accuracy_stands_by_set_and_folder(inputs):
    full, filtered = tables(accuracy_section(inputs, SAY))
    assert [row[:5] for row in full.rows] == [
        ["results/a-1", "1", "75", "7", "42.86"], ["results/deep/a-12", "12", "75", "7", "42.86"]]
    assert [row[3:5] for row in filtered.rows] == [["5", "40.00"]] * 2
    assert not full.set_apart and not filtered.set_apart


def ilsvrc(crops, **changes):
    scored = {"top1_correct": 0, "top5_correct": 0, "top1_error": 18.0, "top5_error": 4.0,
              "top1_ci95": (17, 19), "top5_ci95": (3, 5)}
    about = {"crops": crops, "image_size": 299, "classes": 1000, "checkpoint_sha256": "c" * 64,
             "scales": [342], "checkpoint": "", "records": "", "records_sha256": "",
             "has_blacklist": True,
             "is_ilsvrc": True, "blacklist_is_ilsvrc": True,
             "sets": {"full": {**scored, "images": FULL},
                      "filtered": {**scored, "images": FILTERED}}, **changes}
    return Evaluation(f"crops-{crops}", None, about, None)


@pytest.mark.parametrize("crops, full, filtered", [
    (1, ["mindcv"], ["Inception-v4 paper"]), (12, ["Inception-v4 paper"], []),
    (144, ["Inception-v4 paper", "ADSL lab's report"], ["ADSL lab's report"]), (10, [], [])])
def test_published_figures_follow_results_of_the_same_set_and_crops(crops, full, filtered):
    both = tables(accuracy_section(Inputs(None, [ilsvrc(crops)] * 2, [], None, {}, []), SAY))
    for table, names in zip(both, (full, filtered)):
        assert table.set_apart == set(range(2, len(table.rows)))
        apart = [row[0] for row in table.rows[2:]]
        assert [text.split(",")[0].split(" (")[0] for text in apart] == names
        assert len(table.rows) == 2 + len(names)


@pytest.mark.parametrize("change", [{"is_ilsvrc": False}, {"is_ilsvrc": None}])
def test_no_published_figure_stands_beside_other_images(change):
    section = accuracy_section(Inputs(None, [ilsvrc(144, **change)], [], None, {}, []), SAY)
    assert not any(table.set_apart for table in tables(section))
    assert any("No published figure" in block for block in section.blocks if type(block) is str)


def test_training_shows_every_epoch_and_where_phases_begin(inputs):
    table, = tables(training_section(inputs, SAY))
    assert table.rows[1] == ["2", "20", "1.077", "0.1", "500", "32.0", "–", "20.00", "0.00",
                             "19.25", "0.00"]
    assert [(mark.x, mark.label) for mark in phase_marks(inputs.run.config, SAY)] == [
        (0, "phase 1"), (2, "phase 2")]


def test_the_curve_is_that_of_the_result(inputs):
    table, = tables(curve_section(inputs, SAY))
    assert table.rows == [["6", "14.29", "14.29", "20.00", "20.00"],
                          ["12", "0.00", "0.00", "0.00", "0.00"]]
    assert isinstance(curve_section(Inputs(None, [], [], None, {}, []), SAY), Missing)


def test_speed_tables_have_medians_rates_and_ratios(inputs):
    evaluations, warm, cold = tables(speed_section(inputs, SAY))
    assert evaluations.rows[1][2:7] == ["2", "12", "75", "4", "48"]
    assert warm.rows == [["theirs", "2", "2–4", "50", "1", ""],
                         ["ours", "1", "1–1", "100", "2", "good"]]
    assert cold.rows == [["none", "–", "–", "–", "–", "not installed"]]


def test_a_table_of_steps_shows_the_mean_in_ms_and_the_items_of_each_row(inputs):
    table = {**inputs.speed_tables[0].table, "items": None, "average": "mean", "per_step": True,
             "rows": [{"name": "a", "seconds": [0.1, 0.3], "note": "", "items": 32}]}
    steps = inputs.speed_tables[0].__class__("steps", table)
    shown, = tables(speed_section(Inputs(None, [], [steps], None, {}, []), SAY))
    assert shown.heads[1] == "ms/step (mean)" and shown.rows == [
        ["a", "200", "100–300", "160", "1", ""]]


def test_classes_and_pairs_are_counted(made_predictions):
    errors = class_errors(made_predictions())
    assert [(error.label, error.images, error.wrong1, error.wrong5) for error in errors] == [
        (1, 2, 1, 0), (2, 2, 1, 0), (0, 3, 1, 0)]
    assert [(pair.label, pair.said, pair.images, pair.of)
            for pair in confusions(made_predictions(), 2)] == [(0, 2, 1, 3), (1, 2, 1, 2)]
    assert confident_mistakes(made_predictions(), 2).tolist() == [3, 5]


def test_of_many_classes_the_worst_are_shown_and_the_rest_folded():
    labels = np.arange(BARS + 10, dtype=np.int32)
    top5 = np.stack([labels, labels + 1], axis=1)
    top5[7] = top5[7, ::-1]
    found = Predictions(labels + 1, labels, np.zeros(len(labels), bool), top5.astype(np.int32),
                        np.float32([[.6, .4]] * len(labels)))
    about = {"crops": 1, "records_sha256": "d" * 64}
    section = classes_section(
        Inputs(None, [Evaluation("a", None, about, found)], [], None, {}, []), SAY)
    worst, whole, pairs = tables(section)
    assert worst.rows[0] == ["label 7", "1", "1", "100.00", "0.00"] and not worst.folded
    assert len(whole.rows) == BARS + 10 and whole.folded
    assert pairs.rows == [["label 7", "label 8", "1", "100.0"]]


def test_the_data_sheet_has_counts_digests_and_remarks(inputs, records):
    counts, digests, remarks, shards = tables(data_section(inputs, SAY))
    shown = dict(counts.rows)
    assert (shown["images"], shown["classes"], shown["shards"]) == ("7", "3", "2")
    assert shown["blacklist: ids, stored images marked"] == "2 / 2"
    assert ["sha256 of the shards", records.sha256] in digests.rows
    assert remarks.rows[0][1] == "repaired" and len(remarks.rows) <= REMARKS
    assert [row[3] for row in shards.rows] == [
        shard.sha256 for shard in records.manifest.shards]


def test_the_commands_name_records_checkpoint_and_crops(inputs, records):
    commands, = [block.text.split("\n\n") for block in reproduction_section(inputs, SAY).blocks
                 if isinstance(block, Commands)]
    commands = [command.replace("\\\n    ", "") for command in commands]
    assert commands[0].startswith("python -m convert run --source SOURCE --split val --out "
                                  f"{records.folder} --shards 2")
    assert "--preset smoke" in commands[1]
    assert "--checkpoint run/a.ckpt --crops 12" in commands[3] and "--curve" in commands[3]


def test_a_run_of_several_ranks_is_launched(inputs):
    inputs.run.config["ranks"] = 8
    blocks = reproduction_section(inputs, SAY).blocks
    commands, = [block.text for block in blocks if isinstance(block, Commands)]
    assert "python -m inceptionv4.launch \\\n    --ranks 8 \\\n    --log-dir" in commands
