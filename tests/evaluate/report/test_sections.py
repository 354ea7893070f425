"""The figures of each section, from made-up files whose figures are known."""

from dataclasses import replace
from pathlib import Path

import pytest
from small import RESULT, predictions_of

from common.forms import SpeedRow
from convert.records.reader import RecordSet
from convert.sources.ilsvrc import IlsvrcCheck
from evaluate.report.accuracy import accuracy_section, curve_section, glance_section
from evaluate.report.blocks import LeftOut, Table
from evaluate.report.classes import BARS, classes_section
from evaluate.report.data_sheet import FILES_SHOWN, data_section
from evaluate.report.gallery import confident_mistakes, gallery_section
from evaluate.report.inputs import Evaluation, Inputs
from evaluate.report.plots import Bar
from evaluate.report.speed import speed_section
from evaluate.report.translations import translator
from evaluate.result_page import FILTERED, FULL
from evaluate.results import Result
from evaluate.tables import class_errors, confusions

T = translator("en")


def tables(section):
    return [block for block in section if isinstance(block, Table)]


def test_accuracy_stands_by_set_and_folder(of_ten_classes):
    full, filtered = tables(accuracy_section(of_ten_classes, T))
    assert [row[:5] for row in full.rows] == [
        ["results/a-1", "1", "75", "7", "42.86"], ["results/deep/a-12", "12", "75", "7", "42.86"]]
    assert [row[3:5] for row in filtered.rows] == [["5", "40.00"]] * 2
    assert [row[5:8] for row in full.rows][0] == ["15.82–74.95", "0.00", "0.00–35.43"]
    assert not full.set_apart and not filtered.set_apart


def test_notes_name_the_results_of_few_classes_and_those_without_a_blacklist(inputs):
    many = ilsvrc(1)
    sets = {"full": many.result.sets["full"]}
    without = replace(many, name="other", result=replace(many.result, sets=sets))
    section = accuracy_section(replace(inputs, evaluations=[*inputs.evaluations, many, without]), T)
    notes = [block for block in section if type(block) is str][-2:]
    assert [note.split(":")[0] for note in notes] == ["other", "results/a-1, results/deep/a-12"]
    assert "no image is on a blacklist" in notes[0]
    assert "with five classes or fewer" in notes[1]


def test_five_classes_or_fewer_have_no_top_5_error(inputs):
    """Nowhere, and a dash next to results of more classes."""
    full, _ = tables(accuracy_section(inputs, T))
    curve, = tables(curve_section(inputs, T))
    heads = [*full.heads, *curve.heads, *(head for table in tables(classes_section(inputs, T))
                                          for head in table.heads),
             *(fact.label for fact in glance_section(inputs, T)[1].facts)]
    assert not any("top-5" in head for head in heads) and "top-1 error, %" in heads
    mixed, _ = tables(accuracy_section(
        replace(inputs, evaluations=[inputs.evaluations[0], ilsvrc(1)]), T))
    assert [row[4:8] for row in mixed.rows[:2]] == [["42.86", "15.82–74.95", "–", "–"],
                                                    ["18.00", "17.00–19.00", "4.00", "3.00–5.00"]]


def test_the_errors_of_the_most_crops_are_seen_first(of_ten_classes):
    lead, facts = glance_section(of_ten_classes, T)
    assert lead == "From results/deep/a-12, the result with the most crops."
    assert [(fact.label, fact.value) for fact in facts.facts] == [
        ("top-1 error, full set", "42.86 %"), ("top-5 error, full set", "0.00 %"),
        ("top-1 error, filtered set", "40.00 %"), ("top-5 error, filtered set", "0.00 %")]
    assert [fact.detail for fact in facts.facts[:2]] == [
        "95 %: 15.82–74.95; 7 images, 12 crops", "95 %: 0.00–35.43; 7 images, 12 crops"]


def test_of_several_results_with_the_most_crops_the_newest_comes_first(inputs):
    twelve = inputs.evaluations[1]
    newer = replace(twelve, name="newer", result=replace(
        twelve.result, made={**twelve.result.made, "date": "2099-01-01"}))
    lead, _ = glance_section(replace(inputs, evaluations=[twelve, newer]), T)
    assert lead == "From newer, one of the results with the most crops."


def test_one_is_no_plural(inputs):
    single = replace(inputs, evaluations=inputs.evaluations[:1])
    _, facts = glance_section(single, T)
    assert facts.facts[0].detail == "95 %: 15.82–74.95; 7 images, 1 crop"
    assert classes_section(single, T)[0] == (
        "results/a-1 (1 crop), full set: 3 of 7 images went wrong; 0 of 3 classes had no error.")


def ilsvrc(crops, **changes):
    scored = {"top1_correct": 0, "top5_correct": 0, "top1_error": 18.0, "top5_error": 4.0,
              "top1_ci95": (17, 19), "top5_ci95": (3, 5)}
    about = {**RESULT, "crops": crops, "image_size": 299, "classes": 1000, "is_ilsvrc": True,
             "blacklist_is_ilsvrc": True,
             "sets": {"full": {**scored, "images": FULL},
                      "filtered": {**scored, "images": FILTERED}}, **changes}
    return Evaluation(f"crops-{crops}", Result.from_json(about), None)


@pytest.mark.parametrize("crops, full, filtered", [
    (1, ["mindcv"], ["Inception-v4 paper"]), (12, ["Inception-v4 paper"], []),
    (144, ["Inception-v4 paper", "original report"], ["original report"]), (10, [], [])])
def test_published_figures_follow_results_of_the_same_set_and_crops(crops, full, filtered):
    both = tables(accuracy_section(Inputs(None, [ilsvrc(crops)] * 2, [], None, {}, []), T))
    for table, names in zip(both, (full, filtered)):
        assert table.set_apart == set(range(2, len(table.rows)))
        apart = [row[0] for row in table.rows[2:]]
        assert [text.split(",")[0].split(" (")[0] for text in apart] == names
        assert len(table.rows) == 2 + len(names)


def test_the_papers_single_crop_has_a_note_on_its_authors_crop():
    squashed = replace(ilsvrc(1), name="squashed")
    squashed = replace(squashed, result=replace(squashed.result, single_crop="squash"))
    evaluations = [ilsvrc(1), squashed, replace(ilsvrc(12), name="twelve")]
    for language, keep, squash in (("en", "--single-crop squash does as they do", "is taken as in"),
                                   ("zh", "--single-crop squash 则与作者", "与论文作者的代码相同")):
        section = accuracy_section(Inputs(None, evaluations, [], None, {}, []),
                                   translator(language))
        notes = [block for block in section if type(block) is str and "87.5 %" in block]
        assert len(notes) == 2 and "twelve" not in "".join(notes)
        assert keep in notes[0] and notes[1].startswith("squashed") and squash in notes[1]
    section = accuracy_section(Inputs(None, evaluations[2:], [], None, {}, []), T)
    assert not any("87.5 %" in block for block in section if type(block) is str)


def test_no_published_figure_stands_next_to_other_images():
    section = accuracy_section(Inputs(None, [ilsvrc(144, is_ilsvrc=False)], [], None, {}, []), T)
    assert not any(table.set_apart for table in tables(section))
    assert any("No published figure" in block for block in section if type(block) is str)


def test_the_curve_is_that_of_the_result(of_ten_classes):
    table, = tables(curve_section(of_ten_classes, T))
    assert table.rows == [["6", "28.57", "14.29", "40.00", "20.00"],
                          ["12", "0.00", "0.00", "0.00", "0.00"]]
    with pytest.raises(LeftOut, match="no result was made with --curve"):
        curve_section(Inputs(None, [], [], None, {}, []), T)


@pytest.mark.parametrize("change, dots", [
    ({}, [([1], [300 / 7]), ([1], [40.0])]), ({"records_sha256": "0"}, []),
    ({"checkpoint_sha256": "0"}, []), ({"weights": "ema"}, [])])
def test_dots_of_the_curve_are_results_of_the_same_checkpoint_and_records(
        of_ten_classes, monkeypatch, change, dots):
    charts = []
    monkeypatch.setattr("evaluate.report.accuracy.line_chart",
                        lambda name, lines, x_label: charts.append(lines) or "<svg>")
    one, twelve = of_ten_classes.evaluations
    changed = replace(one, result=replace(one.result, **change))
    lead = curve_section(replace(of_ten_classes, evaluations=[changed, twelve]), T)[0]
    assert ("Single dots" in lead) == bool(dots)
    top1, top5 = charts
    assert [(line.label, line.of_set, line.xs) for line in top1[:2]] == [
        ("full set", "full", [6, 12]), ("filtered set", "filtered", [6, 12])]
    assert [line.ys for line in top1[:2]] == [[pytest.approx(200 / 7), 0.0], [40.0, 0.0]]
    assert [(line.xs, line.ys) for line in top1[2:]] == dots
    assert [line.ys for line in top5] == [
        [pytest.approx(100 / 7), 0.0], [20.0, 0.0], *[[0.0]] * len(dots)]


def test_speed_tables_have_medians_rates_and_ratios(inputs, monkeypatch):
    charts = []
    monkeypatch.setattr("evaluate.report.speed.bar_chart",
                        lambda name, bars, form: charts.append(bars) or "<svg>")
    section = speed_section(inputs, T)
    evaluations, warm, cold = tables(section)
    assert evaluations.rows[1][2:] == ["2", "12", "75", "4", "48", "25.0"]
    assert warm.rows == [["theirs", "2", "2–4", "50", "1", ""],
                         ["ours", "1", "1–1", "100", "2", "good"]]
    assert cold.rows == [["none", "–", "–", "–", "–", "not installed"]]
    # Each bar from the slowest to the fastest repeat; none for what was not run.
    assert charts == [[Bar("theirs", 50.0, (25.0, 50.0)), Bar("ours", 100.0, (100.0, 100.0))]]
    assert section[-2:] == [
        "It is so.", "Machine: cores 2. Settings: repeats 2. From results/bench."]


def test_a_table_of_steps_shows_the_mean_in_ms_and_the_items_of_each_row(inputs):
    table = replace(inputs.speed_tables[0][1], items=None, average="mean", per_step=True,
                    rows=[SpeedRow("a", [0.1, 0.2, 0.6], items=30)])
    shown, = tables(speed_section(Inputs(None, [], [("a", table.with_figures())], None, {}, []), T))
    assert shown.heads[1] == "ms/step (mean)" and shown.rows == [
        ["a", "300", "100–600", "100", "1", ""]]


def test_a_simulated_cards_table_is_one_of_its_own_and_says_so(inputs):
    row = SpeedRow("a", [0.1], "slow", "card: warm", 30, "card", 0.25, 12.5)
    simulated = replace(inputs.speed_tables[0][1], rows=[row])
    tables_found = [*inputs.speed_tables, ("results/simulated", simulated.with_figures())]
    section = speed_section(replace(inputs, speed_tables=tables_found), T)
    *_, cold, shown = tables(section)
    assert "cores for one card" not in cold.heads
    assert shown.heads[-3:] == ["waiting for data, %", "cores for one card", "note"]
    assert shown.rows == [["a", "0.1", "0.1–0.1", "300", "1", "25.0", "12.5", "card; slow"]]
    sentences = [block for block in section if isinstance(block, str)]
    assert [line for line in sentences if "was simulated" in line] == [sentences[-3]]
    assert sentences[-1].endswith("From results/simulated.")
    chinese = speed_section(replace(inputs, speed_tables=tables_found), translator("zh"))
    assert "模拟" in chinese[-3] and "每卡所需核数" in tables(chinese)[-1].heads


def test_classes_and_pairs_are_counted(inputs):
    predictions = inputs.main.predictions
    errors = class_errors(predictions)
    assert [(error.label, error.images, error.wrong, error.top5_error) for error in errors] == [
        (1, 2, 1, 0), (2, 2, 1, 0), (0, 3, 1, 0)]
    assert confusions(predictions, 2) == [(0, 2, 1), (1, 2, 1)]
    assert confident_mistakes(predictions, 2) == [3, 5]
    *_, pairs = tables(classes_section(inputs, T))
    assert [row[2:] for row in pairs.rows] == [["1", "33.3"], ["1", "50.0"], ["1", "50.0"]]


def test_of_many_classes_the_worst_are_shown_and_the_rest_folded():
    labels = range(BARS + 10)
    top5 = [(label, label + 1) for label in labels]
    top5[7] = 8, 9
    evaluation = replace(ilsvrc(1), predictions=predictions_of(labels, top5))
    inputs = Inputs(None, [evaluation], [], None, {}, [])
    worst, whole, pairs = tables(classes_section(inputs, T))
    assert worst.rows[0] == ["label 7", "1", "1", "100.00", "100.00"] and not worst.is_folded
    assert len(whole.rows) == BARS + 10 and whole.is_folded
    assert pairs.rows == [["label 7", "label 8", "1", "100.0"]]
    mistakes, = tables(gallery_section(inputs, T))  # without images, and the label is not in top5
    assert mistakes.rows == [["8", "label 7", "label 8", "50.0", "–"]] and not mistakes.folded


def test_the_data_sheet_has_counts_digests_and_notes(inputs, records):
    counts, digests, notes, shards = tables(data_section(inputs, T))
    shown = dict(counts.rows)
    assert (shown["images"], shown["classes"], shown["shards"]) == ("7", "3", "2")
    assert shown["blacklist: ids, stored images flagged"] == "2 / 2"
    assert shown["files repaired, rejected, ignored"] == "1 / 0 / 0"
    assert shown["ILSVRC2012's validation set"] == "no"
    file_bytes = sum(path.stat().st_size for path in records.folder.glob("*.mindrecord*"))
    assert shown["bytes of images, of files"] == (
        f"{records.manifest.image_bytes:,} / {file_bytes:,}")
    assert ["sha256 of the shards", records.sha256] in digests.rows
    assert notes.rows[0][1] == "repaired" and len(notes.rows) <= FILES_SHOWN
    assert [row[3] for row in shards.rows] == [
        shard.sha256 for shard in records.manifest.shards]


def test_the_data_sheet_lists_the_first_files_and_counts_the_others(inputs, records):
    repaired, = records.manifest.repaired
    manifest = replace(records.manifest, rejected=[repaired] * 2, ignored=["a.txt"] * FILES_SHOWN,
                       ilsvrc=IlsvrcCheck(True, True, None))
    sets = {records.sha256: RecordSet(Path("moved"), manifest)}
    section = data_section(replace(inputs, record_sets=sets), T)
    counts, _, notes, _ = tables(section)
    assert ["files repaired, rejected, ignored", "1 / 2 / 50"] in counts.rows
    assert ["ILSVRC2012's validation set", "yes"] in counts.rows
    assert [row[1] for row in notes.rows] == ["rejected"] * 2 + ["repaired"] + ["ignored"] * 47
    assert "More files are listed in moved/manifest.json: 3." in section
