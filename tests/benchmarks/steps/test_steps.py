"""Training is timed by its own command; the warm-up is dropped, and what cannot run has no number.
"""

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import synthetic
from benchmarks.steps import steps_plan as plans
from benchmarks.steps import step_table as steps
from benchmarks.steps import training_runs
from benchmarks.steps.steps_plan import VARIANTS, StepsPlan, plan_steps
from benchmarks.steps.request import (SIMULATED_CARD, TRAINER, StepsRequest, Target, _target,
                                      find_device)
from benchmarks.steps.step_table import benchmark_steps
from benchmarks.steps.training_runs import Epoch, Workload, run_training, train_flags
from benchmarks.table import render
from benchmarks.timing import run_process
from common.cli import RequestError
from common.forms import HistoryLine
from train.options import parse

CPU, ASCEND = (Target("CPU", False, None, "float32 throughout"),
               Target("Ascend", True, 8, "HF32"))
# The program of the module that is the first argument, with a network that compiles in seconds.
WITH_TINY_NETWORK = """
import importlib, sys
from common.cli import run_command
from tests.train.tiny import build_tiny_network
from train import trainer
trainer.build_network = build_tiny_network
sys.exit(run_command(importlib.import_module(sys.argv.pop(1)).main))
"""
WORKLOAD = Workload("CPU", "float32", 1, 8, 75, steps_per_epoch=10, warmup_epochs=1, epochs=2)


def asked(tmp_path, target=CPU, **values) -> StepsPlan:
    return plan_steps(StepsRequest(tmp_path, **values), target)


@pytest.fixture
def made(monkeypatch) -> list:
    """Devices are stand-ins, no images are made; the list tells how many were to be."""
    counts = []
    monkeypatch.setattr(steps, "find_device",
                        lambda request: {"auto": CPU, "Ascend": ASCEND}[request.device])
    monkeypatch.setattr(steps, "make_folders_and_records",
                        lambda root, images, workers: counts.append(images))
    return counts


def one_line(page: str) -> str:
    """Without the spaces that line the columns up."""
    return re.sub(" +", " ", page)


@pytest.mark.parametrize("cards, launcher", [
    (1, []), (8, ["inceptionv4.launch", "--ranks", "8", "--log-dir", "{work}/log"])])
def test_a_run_is_the_trainers_or_the_launchers_and_leaves_nothing(cards, launcher, monkeypatch,
                                                                   tmp_path):
    """The warm-up is dropped, and the checkpoint is shared out to the steps."""
    def train(*words, environment):
        words = [str(word) for word in words]
        start = [word.format(work=tmp_path) for word in launcher] + ["train"]
        assert words[:2 + len(start)] == [sys.executable, "-m", *start]
        assert environment == {"A": "b"} and words[-2:] == ["--records", "r"]
        folder = Path(words[words.index("--run") + 1])
        folder.mkdir()
        if cards > 1:
            (tmp_path / "log").mkdir()
        lines = (HistoryLine(epoch, 10 * epoch, 1.0, 0.1, ms, 16.0, waiting, seconds_since)
                 for epoch, ms, waiting, seconds_since in (
                     (1, 9000, 0.25, None), (2, 500, 0.25, 2.0), (3, 700, None, 3.0)))
        (folder / "history.jsonl").write_text("".join(
            json.dumps(line.to_json()) + "\n" for line in lines))
    monkeypatch.setattr(training_runs, "run_process", train)
    workload = replace(WORKLOAD, cards=cards)
    second, third = run_training(workload, ["--records", "r"], tmp_path, {"A": "b"})
    assert second == pytest.approx(Epoch(0.5, 0.5 + 0.2, 0.25))
    assert third[:2] == pytest.approx((0.7, 0.7 + 0.3)) and third.waiting is None
    assert os.listdir(tmp_path) == []
    last, = run_training(replace(workload, warmup_epochs=2, epochs=1), ["--records", "r"],
                         tmp_path, {"A": "b"})
    assert last == third


@pytest.mark.parametrize("cards, preset", [(1, "adsl-1p"), (8, "adsl-8p")])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_trainer_understands_every_row(variant, cards, preset, tmp_path):
    plan = asked(tmp_path)
    workload = replace(WORKLOAD, cards=cards, precision="float16")
    flags = [*train_flags(workload, Path("run")), *variant.flags(plan)]
    asked_for, recipe = parse([str(word) for word in flags])
    assert (recipe.preset, recipe.batch_size, recipe.image_size, recipe.steps_per_epoch,
            recipe.epochs) == (preset, 8, 75, 10, 3)
    assert (asked_for.images, asked_for.records) == (
        (plan.images, None) if variant.source == "images" else (None, plan.records))
    assert (asked_for.device, recipe.precision) == ("CPU", "float16")
    assert asked_for.sink is variant.sink
    assert recipe.normalize_on == variant.normalize_on


def test_the_rows_are_the_seeds_and_end_with_our_default():
    assert [(row.source, row.normalize_on, row.sink, bool(row.environment))
            for row in VARIANTS] == [
        ("images", "host", False, True), ("images", "host", True, True),
        ("records", "host", False, True), ("records", "host", True, True),
        ("records", "device", False, False), ("records", "device", True, False)]


def test_what_cannot_run_says_why(tmp_path):
    plain, sink, *_ = VARIANTS
    two_cards = replace(asked(tmp_path, target=ASCEND._replace(cards=2)), images=None)
    assert sink.unavailable_reason(1, asked(tmp_path)) == "CPU has no sink mode"
    assert sink.unavailable_reason(8, asked(tmp_path, target=ASCEND)) == ""
    assert VARIANTS[2].unavailable_reason(8, two_cards) == "this machine has 2 Ascend cards"
    assert VARIANTS[2].unavailable_reason(2, two_cards) == ""
    assert plain.unavailable_reason(99, asked(tmp_path)) == ""
    assert plain.unavailable_reason(1, two_cards) == "give --images too"


def test_the_table_has_means_spreads_and_ratios_and_no_number_for_sink_mode(
        tmp_path, made, monkeypatch):
    turns = []

    def made_up(workload, flags, work, environment):
        turns.append((workload.cards, "--images" in flags))
        assert environment == ({"JPEG_DECODER": "mindspore"} if "host" in flags else {})
        seconds = 0.4 if "--images" in flags else 0.2
        return [Epoch(each, 2 * each, 0.1) for each in (seconds, 2 * seconds)]
    monkeypatch.setattr(steps, "run_training", made_up)
    table = benchmark_steps(StepsRequest(tmp_path, repeats=3))
    page = one_line(render(table.with_figures()))
    assert turns == 3 * [(1, True), (1, False), (1, False), (2, True), (2, False), (2, False)]
    alone, saving = page.split("## ")[1:3]
    assert alone.startswith("1 process, batch 8, 75 px on CPU: steps alone\n")
    assert saving.startswith("1 process, batch 8, 75 px on CPU: with a checkpoint after each epoch")
    assert f"| {VARIANTS[0].name} | 600 | 400–800 | 13.3 | 1 | 10.0 | |" in alone
    assert f"| {VARIANTS[4].name} | 300 | 200–400 | 26.7 | 2 | 10.0 | |" in alone
    assert f"| {VARIANTS[0].name} | 1,200 | 800–1,600 | 6.67 | 1 | 10.0 | |" in saving
    assert page.count("– | – | – | – | – | CPU has no sink mode |") == 12
    assert "waiting for data, % | note |" in page and "cores" not in page.split("Machine:")[0]
    assert page.count("2 processes, batch 4 each, 75 px on CPU") == 2
    together = page.split("## ")[3]  # 8 images per step, as of one process
    assert f"| {VARIANTS[0].name} | 600 | 400–800 | 13.3 | 1 | 10.0 | |" in together
    assert "ms/step (mean)" in page and "device CPU" in page and "steps per epoch 10" in page
    assert os.listdir(tmp_path) == [] and made == [600]


def test_the_trainer_is_compared_with_the_bare_loop(tmp_path, made, monkeypatch):
    bare, fed = iter([0.2, 0.4, 0.3]), iter([0.306, 0.5, 0.1])
    monkeypatch.setattr(steps, "run_bare_loop", lambda *_: [Epoch(next(bare), 0)])
    monkeypatch.setattr(steps, "run_training", lambda *_: [Epoch(next(fed), 0.4, 0.02)])
    table = benchmark_steps(StepsRequest(tmp_path, TRAINER, "Ascend"))
    assert [row.seconds for row in table.rows] == [[0.2, 0.4, 0.3], [0.306, 0.5, 0.1], [0.4] * 3]
    assert table.title.endswith("1 card, batch 32, 299 px on Ascend")
    assert table.closing == ["trainer with its feed: +2.0 % against the bare loop, fixed batch"]
    page = one_line(render(table.with_figures()))
    assert "| 306 | 100–500 | 105 | 1.02 | 2.0 |" in page


def test_sizes_follow_from_the_device_unless_given(tmp_path):
    table, trainer = asked(tmp_path), asked(tmp_path, rows="trainer")
    assert table.workloads == (WORKLOAD, replace(WORKLOAD, cards=2, batch_size=4))
    assert trainer.workloads == (Workload("CPU", "float32", 1, 16, 75, 20, 1, 3),)
    ascend = asked(tmp_path, ASCEND)
    assert ascend.workloads == (Workload("Ascend", "float32", 1, 32, 299, 100, 3, 10),
                                Workload("Ascend", "float32", 8, 128, 299, 100, 3, 10))
    assert (table.repeats, trainer.repeats, ascend.repeats) == (2, 3, 3)
    given = asked(tmp_path, cards=(4,), batch_size=(6,), epochs=5, precision="float16")
    assert given.workloads == (replace(WORKLOAD, cards=4, batch_size=6, epochs=5,
                                       precision="float16"),)
    several = asked(tmp_path, cards=(1, 4, 2), batch_size=(8, 6, 9), steps_per_epoch=100)
    assert several.images_to_make == 100 * 4 * 6
    assert table.images_to_make == 2 * 300  # the loss needs two classes


@pytest.mark.parametrize("values, message", [
    ({"repeats": 0}, "--repeats 0"), ({"warmup_epochs": 0}, "--warmup-epochs 0"),
    ({"cards": (1, 0)}, "--cards 0"), ({"cards": (1,)}, "--cards 1 --batch-size 8 4"),
    ({"cards": (2, 2)}, "--cards 2 2 --batch-size 8 4: give different"),
    ({"rows": "trainer", "cards": (2,)}, "--cards 2: --rows trainer is for 1 card"),
    ({"images": Path("nowhere")}, "nowhere"), ({"records": Path("nowhere")}, "nowhere"),
    ({"step_ms": (58.0,)}, "--step-ms 58: CPU takes its own time; give --device simulated")])
def test_a_wrong_request_is_refused_before_anything_is_made(tmp_path, values, message):
    with pytest.raises(RequestError, match=message):
        asked(tmp_path, **values)
    assert os.listdir(tmp_path) == []


def test_a_broken_run_and_too_few_images_are_named(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "1.jpeg").write_bytes(b"x")
    with pytest.raises(RequestError, match="has 2 images, an epoch of the largest run needs 80"):
        asked(tmp_path, images=tmp_path / "images")
    (tmp_path / "work").mkdir()
    with pytest.raises(RequestError, match="interrupted run"):
        asked(tmp_path)


def test_ascend_is_refused_where_there_is_none(capfd):
    assert _target("CPU", "float32") == CPU
    capfd.readouterr()
    try:
        assert find_device(StepsRequest(Path("out"), device="Ascend")).name == "Ascend"
    except RequestError as error:
        assert "device 'Ascend' cannot be used here" in str(error)
    assert capfd.readouterr() == ("", "")  # MindSpore's warnings are hidden


@pytest.mark.parametrize("rows, choice, found, expected", [
    ("table", "auto", CPU, SIMULATED_CARD), ("table", "auto", ASCEND, ASCEND),
    ("trainer", "auto", CPU, CPU), ("table", "CPU", CPU, CPU),
    ("table", "simulated", None, SIMULATED_CARD)])
def test_without_a_card_the_table_is_of_a_simulated_one(rows, choice, found, expected, monkeypatch):
    class Process:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def submit(self, function, *arguments):
            assert function is _target and arguments == (choice, "float32")
            return self

        def result(self):
            return found
    monkeypatch.setattr("benchmarks.steps.request.ProcessPoolExecutor", lambda *_: Process())
    assert find_device(StepsRequest(Path("out"), rows, choice)) == expected


def test_from_the_request_to_the_figures(tmp_path, monkeypatch, tmp_path_factory):
    modules = []
    script = tmp_path_factory.mktemp("program") / "program.py"  # the compile cache reads its file
    script.write_text(WITH_TINY_NETWORK)

    def with_tiny_network(python, flag, module, *words, **options):
        modules.append(module)
        program = {"train": "train.__main__"}.get(module, module)
        return run_process(python, script, program, *words, **options)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr(synthetic, "IMAGES_PER_CLASS", 6)
    monkeypatch.setattr(plans, "IMAGES_PER_CLASS", 6)
    monkeypatch.setattr(steps, "find_device", lambda *_: CPU)
    monkeypatch.setattr(training_runs, "run_process", with_tiny_network)
    table = benchmark_steps(StepsRequest(tmp_path, TRAINER, "CPU", batch_size=(4,), epochs=2,
                                         steps_per_epoch=3, repeats=1))
    assert table.settings["arithmetic"] == "float32 throughout"
    assert modules == ["benchmarks.steps.training_runs", "train"] and os.listdir(tmp_path) == []
    bare, fed, saving = (row.seconds for row in table.rows)
    assert len(bare) == len(fed) == len(saving) == 2
    assert min(bare) > 0 and all(whole > alone > 0 for whole, alone in zip(saving, fed))
    assert table.machine["device"] == "CPU"


def test_the_bare_loop_counts_seconds_per_step_and_fetches_every_loss(monkeypatch):
    events, now = [], [0.0]

    class Loss:
        def __float__(self):
            events.append("loss")
            now[0] += 1
            return 0.0
    monkeypatch.setattr(training_runs.time, "perf_counter", lambda: now[0])
    seconds = training_runs._seconds_per_step(
        lambda *_: events.append("step") or (Loss(), False), (1, 2), 3)
    assert seconds == 1.0 and events == ["step", "step", "loss", "step", "loss", "loss"]
