"""Every option of the steps benchmark reaches the trainer, the bare loop and the table; all have
values of their own."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.steps import request as requests
from benchmarks.steps import step_table as steps
from benchmarks.steps import training_runs
from benchmarks.steps.request import TRAINER, StepsRequest, Target, _target
from benchmarks.steps.step_table import benchmark_steps
from benchmarks.steps.steps_plan import VARIANTS, plan_steps
from benchmarks.steps.training_runs import Epoch, Workload, run_bare_loop, train_flags
from common.cli import RequestError
from train.options import parse

CPU = Target("CPU", False, None, "float32 throughout")
WORKLOAD = Workload("CPU", "float32", 1, 2, 80, steps_per_epoch=5, warmup_epochs=3, epochs=4)
SIZES = dict(image_size=80, steps_per_epoch=5, warmup_epochs=3, epochs=4, repeats=2)


@pytest.fixture
def images(tmp_path) -> Path:
    """Ten images in two classes: what an epoch of WORKLOAD needs."""
    for number in range(10):
        folder = tmp_path / "images" / f"n{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.jpeg").write_bytes(b"x")
    return tmp_path / "images"


def test_images_that_just_suffice_are_used(images, tmp_path):
    request = StepsRequest(tmp_path / "out", images=images, cards=(1,), batch_size=(2,), **SIZES)
    plan = plan_steps(request, CPU)
    assert (plan.images, plan.records, plan.images_to_make) == (images, None, 0)
    assert (plan.work, plan.target, plan.workloads, plan.repeats, plan.steps_ms) == (
        tmp_path / "out" / "work", CPU, (WORKLOAD,), 2, ())
    with pytest.raises(RequestError, match="images has 10 images, .* run needs 12: lower"):
        plan_steps(replace(request, steps_per_epoch=6), CPU)


@pytest.mark.parametrize("given", ["images", "records"])
def test_given_images_are_in_flags_and_settings(given, images, tmp_path, monkeypatch):
    runs = []
    monkeypatch.setattr(steps, "find_device", lambda request: CPU)
    monkeypatch.setattr("benchmarks.steps.steps_plan.open_records",
                        lambda folder: SimpleNamespace(images=10))
    monkeypatch.setattr(steps, "make_folders_and_records", None)  # nothing is made
    monkeypatch.setattr(steps, "run_training", lambda workload, flags, work, environment: (
        runs.append((workload, flags, work)) or [Epoch(1.0, 2.0, 0.5)]))
    source = images if given == "images" else Path("records")
    out = tmp_path / "out"
    table = benchmark_steps(StepsRequest(out, **{given: source}, cards=(1,), batch_size=(2,),
                                         **SIZES))
    variants = [row for row in VARIANTS if row.source == given and not row.sink]
    assert runs == 2 * [(WORKLOAD, [f"--{given}", source, "--normalize-on", row.normalize_on,
                                    "--no-sink"], out / "work") for row in variants]
    assert table.settings == {
        "repeats": 2, "warm-up epochs left out": 3, "epochs measured": 4, "steps per epoch": 5,
        "crop": "80 px", "arithmetic": "float32 throughout", "data": str(source)}
    other = {"images": "records", "records": "images"}[given]
    notes = {row.name: row.note for row in table.rows}
    assert [notes[row.name] for row in VARIANTS] == [
        "CPU has no sink mode" if row.sink else
        "" if row.source == given else f"give --{other} too" for row in VARIANTS]
    assert {row.items for row in table.rows} == {2} and table.per_step and os.listdir(out) == []


def test_images_are_made_by_all_cores_for_the_trainer_and_the_bare_loop(tmp_path, monkeypatch):
    made, runs = [], []
    monkeypatch.setattr(steps, "find_device", lambda request: CPU)
    monkeypatch.setattr(steps, "available_cores", lambda: 7)
    monkeypatch.setattr(steps, "make_folders_and_records", lambda *given: made.append(given))

    def run(name, seconds):
        def record(workload, data, work):
            runs.append((name, workload, data, work))
            return [Epoch(seconds, 2 * seconds, seconds / 8), Epoch(seconds, 2 * seconds)]
        return record
    monkeypatch.setattr(steps, "run_bare_loop", run("bare", 1.0))
    monkeypatch.setattr(steps, "run_training", run("fed", 2.0))
    table = benchmark_steps(StepsRequest(tmp_path, TRAINER, "CPU", cards=(1,), batch_size=(2,),
                                         **SIZES))
    work = tmp_path / "work"
    assert made == [(work / "data", 600, 7)]
    assert runs == 2 * [(name, WORKLOAD, ["--records", work / "data" / "records"], work)
                        for name in ("bare", "fed")]
    assert [(row.seconds, row.waiting_for_data) for row in table.rows] == [
        ([1.0] * 4, 1 / 8), ([2.0] * 4, 2 / 8), ([4.0] * 4, 2 / 8)]
    assert table.settings["data"] == "made, JPEGs of 115 KB"
    assert table.closing == ["trainer with its feed: +100.0 % against the bare loop, fixed batch"]


def test_without_records_the_bare_loop_has_the_class_folders(images, tmp_path, monkeypatch):
    data = []
    monkeypatch.setattr(steps, "find_device", lambda request: CPU)
    for name in ("run_bare_loop", "run_training"):
        monkeypatch.setattr(steps, name, lambda workload, flags, work: (
            data.append(flags) or [Epoch(1.0, 1.0)]))
    benchmark_steps(StepsRequest(tmp_path / "out", TRAINER, images=images, batch_size=(2,),
                                 **{**SIZES, "repeats": 1}))
    assert data == 2 * [["--images", images]]


def test_flags_of_a_run_are_the_workloads(tmp_path):
    flags = [str(word) for word in train_flags(WORKLOAD, tmp_path / "run")]
    request, recipe = parse([*flags, "--images", "i"])
    assert (request.run, request.keep, request.compile_cache, request.device) == (
        tmp_path / "run", 1, tmp_path / "compiled", "CPU")
    assert (recipe.batch_size, recipe.image_size, recipe.steps_per_epoch, recipe.epochs,
            recipe.precision) == (2, 80, 5, 3 + 4, "float32")


def test_the_bare_loops_warm_up_is_left_out(tmp_path, monkeypatch):
    def run(*words):
        assert list(words) == [sys.executable, "-m", "benchmarks.steps.training_runs",
                               *train_flags(WORKLOAD, tmp_path / "run"), "--images", "i"]
        return "a warning\n[9, 9, 9, 4, 5, 6, 7]\n"
    monkeypatch.setattr(training_runs, "run_process", run)
    assert run_bare_loop(WORKLOAD, ["--images", "i"], tmp_path) == [
        Epoch(each, each) for each in (4, 5, 6, 7)]


def test_the_bare_loop_runs_the_trainers_own_step(images, tmp_path, monkeypatch, capsys):
    """With the recipe of the command line, on the first batch of the trainer's feed."""
    made, steps_run = [], []

    class Step:
        def compile(self, *batch):
            made.append(("compile", batch))

        def __call__(self, *batch):
            steps_run.append(batch)
            return 1.5, False
    rows = SimpleNamespace(create_tuple_iterator=lambda num_epochs: iter([("x", "y"), None]))

    def feed(*given):
        made.append(("feed", given))
        return SimpleNamespace(epoch=lambda number: made.append(("epoch", number)) or rows)

    def setup(*given):
        made.append(("device", given))
        return "device"
    monkeypatch.setattr("inceptionv4.device.setup_device", setup)
    monkeypatch.setattr("train.feed.TrainingFeed", feed)
    monkeypatch.setattr("train.trainer.Trainer", lambda *given: (
        made.append(("trainer", given)) or SimpleNamespace(step=Step())))
    flags = train_flags(replace(WORKLOAD, precision="float16"), tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["loop", *map(str, flags), "--images", str(images),
                                      "--seed", "12"])
    training_runs.main()
    found = dict(made)
    source, recipe, number = found["feed"]
    assert found["device"] == ("CPU", 12, "float16") and found["epoch"] == 1
    assert (source.images, number, recipe.batch_size, recipe.precision) == (10, 5, 2, "float16")
    asked, of_trainer, plan, _, restored, device = found["trainer"]
    assert (asked.run, of_trainer, restored, device) == (tmp_path / "run", recipe, None, "device")
    assert (plan.steps_per_epoch, plan.epochs) == (5, 7)
    assert found["compile"] == ("x", "y") and steps_run == 5 * 7 * [("x", "y")]
    seconds = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(seconds) == 7 and all(each > 0 for each in seconds)


def test_a_device_is_found_in_the_precision_that_was_asked_for(monkeypatch):
    import mindspore as ms
    with pytest.raises(RequestError, match="bfloat16"):
        _target("CPU", "bfloat16")
    assert _target("CPU", "float16").arithmetic.endswith("in float16, all else in float32")
    asked = []
    monkeypatch.setattr("inceptionv4.device.setup_device", lambda choice, precision: (
        asked.append((choice, precision)) or SimpleNamespace(
            name="Ascend", supports_sink=True, arithmetic="HF32")))
    monkeypatch.setattr(ms.device_context.ascend, "device_count", lambda: 4)
    assert _target("auto", "hf32") == Target("Ascend", True, 4, "HF32")
    assert asked == [("auto", "hf32")]


def test_the_device_is_found_by_one_process_that_is_not_forked_and_says_nothing(monkeypatch):
    made = []

    class Process:
        def __init__(self, number, context, initializer):
            made.append((number, context.get_start_method(), initializer))

        def __enter__(self):
            return SimpleNamespace(submit=lambda *asked: made.append(asked) or SimpleNamespace(
                result=lambda: CPU))

        def __exit__(self, *error):
            pass
    monkeypatch.setattr(requests, "ProcessPoolExecutor", Process)
    found = requests.find_device(StepsRequest(Path("out"), device="CPU", precision="float16"))
    assert found == CPU
    assert made == [(1, "spawn", requests._silence), (_target, "CPU", "float16")]


def test_help_lists_the_sizes_of_every_device():
    fields = {item.name: item.metadata for item in StepsRequest.__dataclass_fields__.values()}
    assert ("table on Ascend: 1 8, table on CPU: 1 2, table on simulated: 1, trainer on Ascend: 1, "
            "trainer on CPU: 1") in str(fields["cards"])
    assert "table on Ascend: 10, table on CPU: 2, table on simulated: 3" in str(fields["epochs"])
