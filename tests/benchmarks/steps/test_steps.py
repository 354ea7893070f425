"""Training is timed by its own command; the warm-up is dropped, and what cannot run has no number.
"""

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.__main__ import main
from benchmarks.steps import bare_loop
from benchmarks.steps import step_table as steps
from benchmarks.steps.devices import Target, find_device
from benchmarks.steps.request import DEFAULTS, TABLE, TRAINER, StepsPlan, StepsRequest, plan_steps
from benchmarks.steps.step_table import (VARIANTS, Data, benchmark_steps, unavailable_reason,
                                         variant_flags)
from benchmarks.steps.training_runs import (Epoch, Workload, command_of, measured_epochs,
                                            run_training, train_flags)
from benchmarks.table import render
from common.cli import ArgumentParser, CheckFailed, RequestError
from common.forms import HistoryLine, SpeedTable
from common.options import add_options, from_arguments
from train.recipe import parse

ROOT = Path(__file__).parents[3]
CPU, ASCEND = Target("CPU", False, None), Target("Ascend", True, 8)
SIZES = dict(cards=(1, 2), batch_size=(8, 4), image_size=75, steps_per_epoch=10,
             warmup_epochs=1, epochs=2, repeats=3)
WORKLOAD = Workload(1, 8, 75, steps_per_epoch=10, warmup_epochs=1, epochs=2, device="CPU")
DATA = Data(Path("folders"), Path("records"))


def plan(tmp_path, target=CPU, **sizes) -> StepsPlan:
    return StepsPlan(tmp_path / "work", *DATA, target, **{**SIZES, **sizes})


def asked(tmp_path, *flags, target=CPU) -> StepsPlan:
    parser = ArgumentParser()
    add_options(parser, StepsRequest)
    arguments = parser.parse_args(["--out", str(tmp_path), *flags])
    return plan_steps(from_arguments(StepsRequest, arguments), target)


def one_line(page: str) -> str:
    """Without the spaces that line the columns up."""
    return re.sub(" +", " ", page)


def line(epoch, ms, seconds_since, waiting=0.25):
    return HistoryLine(epoch, 10 * epoch, 1.0, 0.1, ms, 16.0, waiting, seconds_since)


def test_the_warm_up_is_dropped_and_the_checkpoint_is_shared_out_to_the_steps():
    history = [line(1, 9000, None), line(2, 500, 2.0), line(3, 700, 3.0, None)]
    second, third = measured_epochs(history, WORKLOAD)
    assert second == pytest.approx(Epoch(0.5, 0.5 + 0.2, 0.25))
    assert third[:2] == pytest.approx((0.7, 0.7 + 0.3)) and third.waiting is None
    last, = measured_epochs(history, replace(WORKLOAD, warmup_epochs=2, epochs=1))
    assert last == third


@pytest.mark.parametrize("epochs", [(1, 2), (1, 2, 2), (1, 2, 3, 4)])
def test_a_history_with_other_epochs_is_not_measured(epochs):
    with pytest.raises(CheckFailed, match="3 epochs"):
        measured_epochs([line(epoch, 500, 2.0) for epoch in epochs], WORKLOAD)


def test_one_card_runs_the_trainer_and_several_the_launcher():
    flags = ["--records", "r"]
    assert command_of(WORKLOAD, flags, Path("log")) == [sys.executable, "-m", "train", *flags]
    assert command_of(replace(WORKLOAD, cards=8), flags, Path("log")) == [
        sys.executable, "-m", "inceptionv4.launch", "--ranks", 8, "--log-dir", Path("log"),
        "train", *flags]


@pytest.mark.parametrize("cards, preset", [(1, "adsl-1p"), (8, "adsl-8p")])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_trainer_understands_every_row(variant, cards, preset):
    flags = [*train_flags(replace(WORKLOAD, cards=cards), Path("run")),
             *variant_flags(variant, DATA)]
    request, recipe = parse([str(word) for word in flags])
    assert (recipe.preset, recipe.batch_size, recipe.image_size, recipe.steps_per_epoch,
            recipe.epochs) == (preset, 8, 75, 10, 3)
    assert (request.images, request.records) == (
        (DATA.images, None) if variant.source == "images" else (None, DATA.records))
    assert request.sink is variant.sink
    assert recipe.normalize_on == variant.normalize_on


def test_the_rows_are_the_seeds_and_end_with_our_default():
    assert [(row.source, row.normalize_on, row.sink) for row in VARIANTS[:3]] == [
        ("images", "host", False), ("images", "host", True), ("records", "host", False)]
    assert [(row.source, row.normalize_on, row.sink) for row in VARIANTS[3:]] == [
        ("records", "device", False), ("records", "device", True)]
    assert [bool(row.environment) for row in VARIANTS] == [True, True, True, False, False]


def test_what_cannot_run_says_why(tmp_path):
    plain, sink, *_ = VARIANTS
    two_cards = plan(tmp_path, ASCEND._replace(cards=2))
    assert unavailable_reason(sink, 1, plan(tmp_path), DATA) == "CPU has no sink mode"
    assert unavailable_reason(sink, 8, plan(tmp_path, ASCEND), DATA) == ""
    assert unavailable_reason(plain, 8, two_cards, DATA) == "this machine has 2 Ascend cards"
    assert unavailable_reason(plain, 2, two_cards, DATA) == ""
    assert unavailable_reason(plain, 99, plan(tmp_path), DATA) == ""
    assert unavailable_reason(plain, 1, two_cards, Data(None, Path("r"))) == "give --images too"


def test_the_table_has_means_spreads_and_ratios_and_no_number_for_sink_mode(tmp_path, monkeypatch):
    turns = []

    def made_up(workload, flags, work, environment):
        turns.append((workload.cards, "--images" in flags))
        assert environment == ({"JPEG_DECODER": "mindspore"} if "host" in flags else {})
        seconds = 0.4 if "--images" in flags else 0.2
        return [Epoch(each, 2 * each, 0.1) for each in (seconds, 2 * seconds)]
    monkeypatch.setattr(steps, "run_training", made_up)
    table = benchmark_steps(plan(tmp_path), TABLE)
    page = render(table.with_figures())
    assert turns == 3 * [(1, True), (1, False), (1, False), (2, True), (2, False), (2, False)]
    page = one_line(page)
    alone, saving = page.split("## ")[1:3]
    assert alone.startswith("1 process, batch 8, 75 px on CPU: steps alone\n")
    assert saving.startswith("1 process, batch 8, 75 px on CPU: with a checkpoint after each epoch")
    note = "10.0% of the steps' time waiting for data |"
    assert f"| {VARIANTS[0].name} | 600.0 | 400.0–800.0 | 13.3 | 1.00 | {note}" in alone
    assert f"| {VARIANTS[3].name} | 300.0 | 200.0–400.0 | 26.7 | 2.00 | {note}" in alone
    assert f"| {VARIANTS[0].name} | 1200.0 | 800.0–1600.0 | 6.7 | 1.00 | {note}" in saving
    assert page.count("– | – | – | – | CPU has no sink mode |") == 8
    assert page.count("2 processes, batch 4 each, 75 px on CPU") == 2
    assert "ms/step (mean)" in page and "device CPU" in page and "steps per epoch 10" in page
    assert os.listdir(tmp_path) == []


def test_the_trainer_is_compared_with_the_bare_loop(tmp_path, monkeypatch):
    bare, fed = iter([0.2, 0.4, 0.3]), iter([0.306, 0.5, 0.1])
    monkeypatch.setattr(steps, "_bare_loop", lambda *_: [Epoch(next(bare), 0, None)])
    monkeypatch.setattr(steps, "run_training", lambda *_: [Epoch(next(fed), 0.4, 0.02)])
    table = benchmark_steps(plan(tmp_path, cards=(1,), batch_size=(8,)), TRAINER)
    assert [row.seconds for row in table.rows] == [[0.2, 0.4, 0.3], [0.306, 0.5, 0.1], [0.4] * 3]
    assert table.closing == ["trainer with its feed: +2.0 % against the bare loop, fixed batch"]
    page = one_line(render(table.with_figures()))
    assert "| 306.0 | 100.0–500.0 | 26.1 | 1.02 | 2.0% of the steps' time" in page


def test_sizes_follow_from_the_device_unless_given(tmp_path):
    def sizes(found: StepsPlan) -> dict:
        return {name: getattr(found, name) for name in SIZES}

    assert sizes(asked(tmp_path)) == DEFAULTS[TABLE, "CPU"]
    assert sizes(asked(tmp_path, "--rows", "trainer")) == DEFAULTS[TRAINER, "CPU"]
    seeds = asked(tmp_path, target=ASCEND)
    assert (seeds.cards, seeds.batch_size, seeds.image_size) == ((1, 8), (32, 128), 299)
    assert (seeds.repeats, seeds.warmup_epochs, seeds.epochs) == (3, 3, 10)
    given = asked(tmp_path, "--cards", "4", "--batch-size", "6", "--epochs", "5")
    assert sizes(given) == {**DEFAULTS[TABLE, "CPU"], "cards": (4,), "batch_size": (6,),
                            "epochs": 5}
    assert given.workload(4).images_per_step == 24 and given.images_needed == 240
    several = asked(tmp_path, "--cards", "1", "4", "2", "--batch-size", "8", "6", "9")
    assert several.images_needed == 10 * 4 * 6


@pytest.mark.parametrize("flags, message", [
    (("--repeats", "0"), "--repeats 0"), (("--warmup-epochs", "0"), "--warmup-epochs 0"),
    (("--cards", "1", "0"), "--cards 0"), (("--cards", "1"), "--cards 1 --batch-size 8 4"),
    (("--cards", "2", "2"), "--cards 2 2 --batch-size 8 4: give different"),
    (("--rows", "trainer", "--cards", "2"), "--cards 2: --rows trainer is for 1 card"),
    (("--images", "nowhere"), "nowhere")])
def test_a_wrong_request_is_refused_before_anything_is_made(tmp_path, flags, message):
    with pytest.raises(RequestError, match=message):
        asked(tmp_path, *flags)
    assert os.listdir(tmp_path) == []


def test_a_broken_run_and_too_few_images_are_named(tmp_path):
    folder = tmp_path / "images" / "cat"
    folder.mkdir(parents=True)
    (folder / "1.jpeg").write_bytes(b"x")
    with pytest.raises(RequestError, match="has 1 images, an epoch of the largest run needs 80"):
        asked(tmp_path, "--images", str(folder.parent))
    (tmp_path / "work").mkdir()
    with pytest.raises(RequestError, match="interrupted run"):
        asked(tmp_path)


def test_ascend_is_refused_where_there_is_none():
    if find_device("auto").name == "Ascend":
        pytest.skip("this machine has one")
    with pytest.raises(RequestError, match="device 'Ascend' cannot be used here"):
        find_device("Ascend")


@pytest.fixture
def calls(tmp_path, monkeypatch) -> Path:
    """Trainer and bare loop have a tiny network; the file tells how they were called."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    stand_in = "tests.benchmarks.tiny_network"
    monkeypatch.setattr("benchmarks.steps.training_runs.TRAIN", (stand_in, "train.__main__"))
    monkeypatch.setattr(steps, "BARE_LOOP", (stand_in, "benchmarks.steps.bare_loop"))
    return tmp_path / "calls"


def test_from_the_command_to_the_figures(calls, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [
        "benchmarks", "steps", "--rows", "trainer", "--device", "CPU", "--repeats", "1",
        "--epochs", "2", "--steps-per-epoch", "3", "--batch-size", "4",
        "--out", str(tmp_path / "out")])
    main()
    assert [call.split()[0] for call in calls.read_text().splitlines()] == [
        "benchmarks.steps.bare_loop", "train.__main__"]
    assert sorted(os.listdir(tmp_path / "out")) == ["speed.json", "speed.md"]
    fields = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert [len(row["seconds"]) for row in fields["rows"]] == [2, 2, 2]
    bare, fed, saving = (row["seconds"] for row in fields["rows"])
    assert min(bare) > 0 and all(whole > alone > 0 for whole, alone in zip(saving, fed))
    assert fields["machine"]["device"] == "CPU" and fields["machine"]["mindspore"]
    assert capsys.readouterr().out.strip() == (tmp_path / "out" / "speed.md").read_text().strip()


def test_a_run_gets_its_environment_and_leaves_nothing(monkeypatch, tmp_path):
    def train(*command, environment):
        assert environment == {"A": "b"} and command[-2:] == ("--records", "r")
        folder = Path(command[command.index("--run") + 1])
        folder.mkdir()
        (folder / "history.jsonl").write_text("".join(
            json.dumps(line(epoch, 100 * epoch, 1.0).to_json()) + "\n" for epoch in (1, 2, 3)))
    monkeypatch.setattr("benchmarks.steps.training_runs.run_process", train)
    epochs = run_training(WORKLOAD, ["--records", "r"], tmp_path, {"A": "b"})
    assert [epoch.steps for epoch in epochs] == [0.2, 0.3] and os.listdir(tmp_path) == []


def test_the_bare_loop_counts_seconds_per_step_and_fetches_every_loss(monkeypatch):
    events, now = [], [0.0]

    class Loss:
        def __float__(self):
            events.append("loss")
            now[0] += 1
            return 0.0
    monkeypatch.setattr(bare_loop.time, "perf_counter", lambda: now[0])
    seconds = bare_loop._seconds_per_step(lambda *_: events.append("step") or Loss(), (1, 2), 3)
    assert seconds == 1.0 and events == ["step", "step", "loss", "step", "loss", "loss"]


def test_the_device_and_the_rows_asked_for_are_run(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "find_device", {"auto": CPU, "Ascend": ASCEND}.get)
    monkeypatch.setattr(command, "benchmark_steps", lambda plan, rows: SpeedTable(
        f"{rows} on {plan.target.name}", 1, "images", [], {}, {}))
    for flags, title in ([["--device", "Ascend", "--rows", "trainer"], "trainer on Ascend"],
                         [[], "table on CPU"]):
        monkeypatch.setattr(sys, "argv", ["benchmarks", "steps", "--out", str(tmp_path), *flags])
        main()
        assert json.loads((tmp_path / "speed.json").read_text())["title"] == title


def test_a_run_that_fails_gives_no_figures(calls, tmp_path):
    with pytest.raises(CheckFailed, match="nowhere"):
        run_training(WORKLOAD, ["--records", tmp_path / "nowhere"], tmp_path)


@pytest.mark.parametrize("steps_per_epoch, made", [(1, 600), (100, 800)])
def test_enough_images_are_made_for_an_epoch_of_the_largest_run(tmp_path, monkeypatch,
                                                                steps_per_epoch, made):
    """And for the two classes that the loss needs."""
    counts = []
    monkeypatch.setattr(steps, "make_folders_and_records",
                        lambda root, images, workers: counts.append(images))
    monkeypatch.setattr(steps, "run_training", lambda *_: [Epoch(1.0, 1.0, None)])
    unmade = replace(plan(tmp_path, steps_per_epoch=steps_per_epoch), images=None, records=None)
    benchmark_steps(unmade, TABLE)
    assert counts == [made]
