"""The training's figures: every epoch, its time, its loss scale."""

from dataclasses import replace

import pytest

from evaluate.report.blocks import Table
from evaluate.report.times import epoch_times, times_table
from evaluate.report.training import rate_line, training_section
from evaluate.report.translations import translator

T = translator("en")


def test_training_shows_every_epoch_and_where_phases_begin(of_ten_classes, monkeypatch):
    inputs = of_ten_classes
    charts = {}
    monkeypatch.setattr("evaluate.report.training.line_chart",
                        lambda name, *drawn: charts.update({name: drawn}) or "<svg>")
    facts, _, table, _ = training_section(inputs, T)
    assert [(fact.label, fact.value, fact.detail) for fact in facts.facts] == [
        ("epochs", "3", "of 3 planned"), ("images per step", "128", "8 × 16"),
        ("optimizer", "adam", "preset smoke, CPU"),
        ("images per second", "256", "median of the epochs; 500 ms per step"),
        ("best single-crop top-1 error", "12.83 %", "filtered set, epoch 3")]
    assert table.rows[1] == ["2", "20", "1.077", "0.1", "480", "267.0", "12.5", "20.00",
                             "0.00", "19.25", "0.00"]
    assert [row[6] for row in table.rows] == ["–", "12.5", "0.0"]
    assert all(drawn[1:] == ("epoch", [(0, "phase 1"), (2, "phase 2")])
               for drawn in charts.values())
    assert {name: [line.ys for line in drawn[0]] for name, drawn in charts.items()} == {
        "loss": [[2.154, 1.077, 0.718]], "rate": [inputs.run.plan["epoch_learning_rates"]],
        "training top1": [[40.0, 20.0, 40 / 3], [38.5, 19.25, 38.5 / 3]],
        "training top5": [[0.0] * 3] * 2}


def test_averaged_weights_have_lines_and_columns_of_their_own(of_ten_classes, monkeypatch):
    inputs = of_ten_classes
    charts = {}
    monkeypatch.setattr("evaluate.report.training.line_chart",
                        lambda name, lines, *_: charts.update({name: lines}) or "<svg>")
    history = [replace(line, ema_full_top1_error=7.0 * line.epoch, ema_full_top5_error=1.0,
                       filtered_top1_error=None, filtered_top5_error=None)
               for line in inputs.run.history]
    run = replace(inputs.run, history=history, config={**inputs.run.config, "accumulate": 4})
    facts, _, table, _ = training_section(replace(inputs, run=run), T)
    assert [(fact.value, fact.detail) for fact in (facts.facts[1], facts.facts[-1])] == [
        ("512", "8 × 16 × 4"), ("7.00 %", "full set, averaged weights, epoch 1")]
    assert [(line.label, line.ys[0]) for line in charts["training top1"]] == [
        ("full set", 40.0), ("full set, averaged weights", 7.0)]
    assert table.heads[-2] == "full set, averaged weights, top-1 error, %"
    assert table.rows[1][-5:] == ["12.5", "20.00", "0.00", "14.00", "1.00"]  # not filtered


def test_five_classes_or_fewer_have_no_top_5_error(inputs):
    _, figures, table, _ = training_section(inputs, T)
    assert not any("top-5" in text for text in [*table.heads,
                                                *(figure.caption for figure in figures.figures)])
    assert table.rows[1][-2:] == ["20.00", "19.25"]


def test_the_time_between_epochs_is_shared_among_what_happens_there(inputs):
    """Two seconds between epochs 1 and 2, which has ten steps of 480 ms; resumed before 3."""
    first, second, third = inputs.run.history
    history = [replace(first, seconds_validating=1.0, seconds_saving=0.5),
               replace(second, seconds_since_last_epoch=2.0, seconds_saving=99.0), third]
    run = replace(inputs.run, history=history)
    facts = training_section(replace(inputs, run=run), T)[0].facts
    shown, = [fact for fact in facts if fact.label == "time between epochs"]
    assert (shown.value, shown.detail) == ("29.4 %", "of it all; validating 14.7 %, saving 7.4 %")


def test_the_learning_rate_is_that_of_the_plan_or_else_of_the_history(inputs):
    """Plans of older versions have that of every step."""
    older = {"epochs": 3, "steps_per_epoch": 10, "learning_rates": [0.1] * 20 + [0.02] * 10}
    for plan in (inputs.run.plan, older, {}):
        line = rate_line(replace(inputs.run, plan=plan))
        assert (line.xs, line.ys) == ([1, 2, 3], [0.1, 0.1, 0.02])


def test_an_epochs_time_is_shared_among_its_parts(inputs):
    """Ten steps of 480 ms, an eighth of it waiting; 1 s of validation, 0.5 s of checkpoint, 2 s
    until the next epoch, whose process is the same."""
    first, second, third = inputs.run.history
    history = [replace(first, compile_seconds=9.0),
               replace(second, seconds_validating=1.0, seconds_saving=0.5),
               replace(third, seconds_since_last_epoch=2.0)]
    times = epoch_times(history)
    assert times[1].seconds == pytest.approx({
        "steps": 4.2, "waiting": 0.6, "validation": 1.0, "checkpoint": 0.5, "other": 0.5})
    table = times_table(times, T)
    assert table.heads == ["epoch", "seconds", "steps, %", "waiting for data, %", "validation, %",
                           "checkpoint, %", "other, %", "seconds compiling before it"]
    assert table.rows == [["1", "9.0", "100.0", "0.0", "0.0", "0.0", "0.0", "9.0"],
                          ["2", "6.8", "61.8", "8.8", "14.7", "7.4", "7.4", "–"],
                          ["3", "5.0", "100.0", "0.0", "0.0", "0.0", "0.0", "–"]]


def test_parts_that_took_no_time_are_not_shown_and_an_old_history_has_none(inputs):
    second = inputs.run.history[1]
    assert times_table(epoch_times([second]), T).heads == [
        "epoch", "seconds", "steps, %", "waiting for data, %"]
    old = replace(inputs.run, history=[replace(second, waiting_for_data=None)])
    assert epoch_times(old.history) == []
    kinds = [type(block) for block in training_section(replace(inputs, run=old), T)]
    assert kinds.count(Table) == 1


def test_a_dynamic_loss_scale_and_its_skipped_steps_are_shown(inputs, monkeypatch):
    charts = {}
    monkeypatch.setattr("evaluate.report.training.line_chart", lambda name, lines, *_, **options:
                        charts.update({name: (lines[0].ys, options)}) or "<svg>")
    history = [replace(line, loss_scale=2.0 ** (16 - line.epoch), skipped_steps=line.epoch)
               for line in inputs.run.history]
    run = replace(inputs.run, history=history)
    facts, _, table, _ = training_section(replace(inputs, run=run), T)
    shown, = [fact for fact in facts.facts if fact.label == "skipped steps"]
    assert (shown.value, shown.detail) == (
        "6", "of 30, their gradients overflowed; loss scale at the end 8,192")
    assert charts["scale"] == ([32768.0, 16384.0, 8192.0], {"powers_of_2": True})
    assert table.heads[7:9] == ["loss scale", "skipped steps"]
    assert [row[7:9] for row in table.rows] == [["32,768", "1"], ["16,384", "2"], ["8,192", "3"]]
