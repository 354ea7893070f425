"""Stages refuse what is not as it should be, and the job reaches the commands that they run."""

import dataclasses
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from benchmarks.scale import colour_network, rehearsal, resources, row_order, stages
from benchmarks.scale.rehearsal import ScaleRequest, rehearse
from benchmarks.scale.resources import run_measured
from benchmarks.scale.row_order import describe_epochs, mix_of_ranks
from benchmarks.scale.stages import STAGES, ScaleJob
from common.cli import CheckFailed, RequestError
from common.host_forms import MeasuredStage, Resources, StageReport
from train.recipe import PRESETS

JOB = ScaleJob("work", images=2_500, shards=5, ranks=3)
REPORT = StageReport(7, "done", ["a finding"])


def test_a_stage_runs_in_a_process_with_the_whole_job(monkeypatch, capsys):
    """The command of a stage, run here, gives back the stage's own report; and so does a rank."""
    seen = []

    def run(python, *words):
        assert (python, *words[:2]) == (sys.executable, "-m", "benchmarks.scale.stages")
        monkeypatch.setattr(sys, "argv", ["stages", *words[2:]])
        assert stages.main() == 0
        return "a warning\n" + capsys.readouterr().out
    monkeypatch.setitem(STAGES, "any", lambda job: seen.append(job) or REPORT)
    monkeypatch.setattr(stages, "evaluate_rank", lambda job: seen.append(job) or REPORT)
    monkeypatch.setattr(stages, "run_process", run)
    monkeypatch.setattr(rehearsal, "run_measured", lambda *words: (run(*words), Resources(1.0)))
    job = replace(JOB, rank=2)
    assert stages.run_stage("any", job) == REPORT
    assert stages.run_stage("evaluate-rank", job) == REPORT
    assert rehearsal.run_measured_stage("any", JOB) == MeasuredStage("any", REPORT, Resources(1.0))
    assert seen == [job, job, JOB]


def test_a_rehearsal_gives_every_stage_the_job_and_keeps_the_settings(tmp_path, monkeypatch):
    jobs = []

    def run(name, job):
        assert Path(job.work).is_dir()
        jobs.append((name, job))
        return MeasuredStage(name, REPORT, Resources(60.0, 30.0))
    monkeypatch.setattr(rehearsal, "run_measured_stage", run)
    monkeypatch.setattr(rehearsal, "describe_machine", lambda folder: {"of": str(folder)})
    monkeypatch.setattr(rehearsal, "typed_command", lambda: ["the", "command"])
    out = tmp_path / "deep" / "out"
    table = rehearse(ScaleRequest(out, images=2_500, shards=5, ranks=3))
    job = replace(JOB, work=str(out / "work"))
    assert jobs == [(name, job) for name in STAGES] and sorted(os.listdir(out)) == [
        "scale.json", "scale.md"]
    assert table.settings == {"images": 2_500, "shards": 5, "ranks": 3}
    assert (table.machine, table.argv) == ({"of": str(out)}, ["the", "command"])
    page = (out / "scale.md").read_text()
    assert page.startswith("# 2,500 training images, rehearsed\n") and "- a finding\n" in page
    assert "together: 9.0 minutes, 4.5 minutes of CPU." in page
    assert f"Settings: images 2500, shards 5, ranks 3.\nMachine: of {out}.\n" in page


def test_as_many_images_as_a_step_takes_are_enough(tmp_path):
    ScaleRequest(tmp_path, images=20 * 128, ranks=20)
    with pytest.raises(RequestError, match="--ranks 20"):
        ScaleRequest(tmp_path, images=20 * 128 - 1, ranks=20)


@pytest.mark.parametrize("free, raised", [((1 << 20) - 1, RequestError), (1 << 20, CheckFailed)])
def test_a_disk_is_full_below_a_megabyte(free, raised, tmp_path, monkeypatch):
    def fail(*_):
        raise CheckFailed("ended with 2")
    monkeypatch.setattr(rehearsal, "run_measured_stage", fail)
    monkeypatch.setattr(rehearsal.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(raised):
        rehearse(ScaleRequest(tmp_path / "out", images=2_500, ranks=1))


def manifest_of(images: int, marked: int | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        images=images, shards=[1, 2], classes=[SimpleNamespace(images=3)] * 2,
        blacklist=None if marked is None else SimpleNamespace(images=marked))


@pytest.mark.parametrize("stage, manifest, message", [
    ("convert val", manifest_of(98, 3), ""),
    ("convert val", manifest_of(97, 3), "97 val images instead of 98"),
    ("convert val", manifest_of(98, 2), "2 blacklisted images instead of 3"),
    ("convert val", manifest_of(98), "0 blacklisted images instead of 3"),
    ("convert train", manifest_of(2_500), ""),
    ("convert train", manifest_of(98), "98 train images instead of 2,500")])
def test_a_conversion_is_of_all_images_and_marks_the_blacklist(stage, manifest, message,
                                                               monkeypatch):
    asked = []
    monkeypatch.setattr("convert.conversion.convert", lambda request: (
        asked.append(request) or manifest))
    if message:
        with pytest.raises(CheckFailed, match=message):
            STAGES[stage](JOB)
    else:
        assert STAGES[stage](JOB).items == manifest.images
    request, = asked
    split = stage.split()[1]
    assert (request.source, request.split, request.out) == (
        JOB.source, split, Path("work/records") / split)
    assert (request.shards, request.blacklist) == (
        (8, JOB.source / stages.BLACKLIST) if split == "val" else (5, None))


def test_both_sets_are_verified_by_all_cores(monkeypatch):
    asked = []
    monkeypatch.setattr("convert.verify.verify", lambda folder, workers: (
        asked.append((folder, workers)) or SimpleNamespace(images=len(asked))))
    monkeypatch.setattr(stages, "available_cores", lambda: 6)
    assert STAGES["verify both"](JOB).items == 1 + 2
    assert asked == [(JOB.records("train"), 6), (JOB.records("val"), 6)]


def test_archives_are_made_for_the_images_of_the_job(tmp_path, monkeypatch):
    def make(folder, images):
        assert images == 2_500
        folder.mkdir()
        (folder / "a.tar").write_bytes(bytes(5_000_000))
        (folder / "b.tar").write_bytes(bytes(7_000_000))
        (folder / "list.txt").write_bytes(bytes(90_000_000))
    monkeypatch.setattr(stages, "make_archives", make)
    report = STAGES["make the archives"](replace(JOB, work=str(tmp_path)))
    assert (report.items, report.note) == (2_500 + 98, "0.01 GB")


PLANNED = {"epochs": PRESETS["adsl-8p"].epochs, "steps_per_epoch": 2_500 // (3 * 128), "steps": 570,
           "epoch_learning_rates": [0.1] * PRESETS["adsl-8p"].epochs,
           "images_left_out_per_epoch": 196}


@pytest.mark.parametrize("wrong, message", [
    ({}, ""), ({"epochs": 3, "epoch_learning_rates": [0.1] * 3}, "3 epochs instead of 95"),
    ({"steps_per_epoch": 7}, "7 steps per epoch instead of 6"),
    ({"epoch_learning_rates": [0.1] * 94}, "94 learning rates instead of 95")])
def test_the_plan_is_the_presets_for_the_ranks_of_the_job(wrong, message, monkeypatch):
    asked = []
    monkeypatch.setattr("train.command.dry_run", lambda *given: asked.append(given))
    monkeypatch.setattr(stages, "read_json", lambda path, advice: (
        {**PLANNED, **wrong} if path == Path("work/run/plan.json") else None))
    if message:
        with pytest.raises(CheckFailed, match=message):
            STAGES["plan"](JOB)
    else:
        assert STAGES["plan"](JOB) == StageReport(
            570, "95 epochs of 6 steps; 196 images left out of each")
    (request, recipe), = asked
    assert (request.records, request.val_records, request.run, request.device, request.preset,
            request.dry_run) == (Path("work/records/train"), Path("work/records/val"),
                                 Path("work/run"), "CPU", "adsl-8p", 3)
    assert recipe.preset == "adsl-8p"


@pytest.mark.parametrize("full, filtered, right, message", [
    (98, 95, 98, ""), (97, 95, 97, "97 images of the full set instead of 98"),
    (98, 98, 98, "98 images of the filtered set instead of 95"),
    (98, 95, 97, "97 images with their class's colour instead of 98")])
def test_an_evaluation_is_of_all_images_each_right(full, filtered, right, message, tmp_path,
                                                   monkeypatch):
    """Each rank in a process of its own; records and predictions are stand-ins."""
    ranks, checked = [], []
    job = replace(JOB, work=str(tmp_path))
    monkeypatch.setattr(stages, "run_stage", lambda name, job: (
        ranks.append((name, job)) or StageReport(20 + job.rank, "")))
    monkeypatch.setattr(stages, "open_records", lambda folder: ("records", folder))
    monkeypatch.setattr("evaluate.predictions.saved_rows", lambda parts: [range(98)])
    monkeypatch.setattr("evaluate.predictions.read_parts", lambda parts, images: SimpleNamespace(
        predictions=("predictions", parts, images)))
    monkeypatch.setattr("evaluate.evaluator.check_rows", lambda *given: checked.append(given))
    monkeypatch.setattr("evaluate.results.score", lambda predictions: {
        "full": SimpleNamespace(images=full, top1_correct=right),
        "filtered": SimpleNamespace(images=filtered)})
    if message:
        with pytest.raises(CheckFailed, match=message):
            STAGES["evaluate"](job)
    else:
        assert STAGES["evaluate"](job) == StageReport(
            63, "98 and 95 images scored, each once; 20 to 22 per rank")
    assert sorted(ranks, key=lambda each: each[1].rank) == [
        ("evaluate-rank", replace(job, rank=rank)) for rank in range(3)]
    assert checked == [(("records", job.records("val")), ("predictions", job.parts, 98))]


def test_a_rank_classifies_its_share(monkeypatch):
    asked = []
    monkeypatch.setattr(colour_network, "classify_share",
                        lambda *given: asked.append(given) or 26)
    assert stages.evaluate_rank(replace(JOB, rank=2)) == StageReport(26, "")
    assert asked == [(JOB.records("val"), JOB.parts, 2, 3)]


def test_the_colours_are_decoded_by_one_thread_on_a_cpu(monkeypatch):
    """There are as many ranks as there may be cores."""
    made, written = [], []

    class Evaluator:
        step = SimpleNamespace(images=4)

        def __init__(self, network, *given, **options):
            made.append((given, options))

        def classify(self, records, parts):
            return records, parts
    monkeypatch.setattr(colour_network, "Evaluator", Evaluator)
    monkeypatch.setattr(colour_network, "setup_device", lambda *given: made.append(given))
    monkeypatch.setattr(colour_network, "open_records",
                        lambda folder: SimpleNamespace(images=10, folder=folder))
    monkeypatch.setattr(colour_network, "write_parts", lambda *given: written.append(given))
    assert colour_network.classify_share(Path("val"), Path("parts"), 1, 2) == 6
    device, (given, options) = made
    assert device == ("CPU",) and options == {"workers": 1}
    assert given == (colour_network.protocol_of(1, 75), colour_network.INCEPTION_MEAN,
                     colour_network.INCEPTION_STD)
    (parts, (records, rows)), = written
    assert (parts, records.folder, rows) == (Path("parts"), Path("val"), [range(4, 10)])


def epoch_of(ids: list) -> np.ndarray:
    """Of two ranks, one step of two images, whose label is their id divided by 10."""
    ids = np.array(ids).reshape(2, 1, 2)
    return np.stack([ids // 10, ids], axis=-1)


def test_epochs_that_leave_out_the_same_images_are_noticed():
    records = SimpleNamespace(images=6, folder="R")
    assert describe_epochs(records, epoch_of([1, 2, 3, 4]), epoch_of([1, 2, 3, 5])) == (
        "no image twice; each epoch leaves out 2 images, 1 of them in both")
    with pytest.raises(CheckFailed, match="two epochs of R leave out the same 2 images"):
        describe_epochs(records, epoch_of([1, 2, 3, 4]), epoch_of([4, 3, 2, 1]))
    whole = SimpleNamespace(images=4, folder="R")
    assert describe_epochs(whole, epoch_of([1, 2, 3, 4]), epoch_of([1, 2, 3, 4])).endswith(
        "leaves out 0 images, 0 of them in both")
    mix = mix_of_ranks(epoch_of([1, 2, 13, 24]), epoch_of([2, 1, 13, 24]))
    assert (mix.classes, mix.largest_share, mix.repeated) == (1.5, 0.75, 1.0)


def test_every_rank_reads_its_rows_of_the_epoch(monkeypatch):
    asked = []

    def rows_of(records, recipe, epoch, rank, columns):
        asked.append((records, recipe, epoch, rank, columns))
        calls = []
        rows = SimpleNamespace()
        rows.batch = lambda size, drop_remainder: calls.append((size, drop_remainder)) or rows
        rows.take = lambda steps: calls.append(steps) or rows
        rows.create_tuple_iterator = lambda num_epochs, output_numpy: [
            (np.full(2, step), np.full(2, rank)) for step in range(calls[-1])]
        assert not calls
        return rows
    monkeypatch.setattr("train.feed.epoch_rows", rows_of)
    records = SimpleNamespace(images=13)
    recipe = SimpleNamespace(ranks=2, batch_size=2, global_batch=4)
    order = row_order.read_epoch(records, recipe, 5)
    assert asked == [(records, recipe, 5, rank, ("label", "image_id")) for rank in (0, 1)]
    assert order.shape == (2, 3, 2, 2) and order.dtype == np.int32
    assert (order[..., 0] == np.arange(3)[None, :, None]).all()
    assert (order[1, ..., 1] == 1).all() and not order[0, ..., 1].any()


def test_what_other_commands_took_before_is_not_counted(monkeypatch):
    """And a stage runs in a session of its own, which a Ctrl-C in the terminal does not reach."""
    spent = iter([100.0, 103.5])
    monkeypatch.setattr(resources, "_cpu_seconds_of_children", lambda: next(spent))
    printed, used = run_measured(sys.executable, "-c", "import os; print(os.getsid(0))")
    assert used.cpu_seconds == 3.5 and int(printed) not in (os.getsid(0), os.getpid())


def test_samples_are_maxima_and_sums(monkeypatch):
    def process(memory, files):
        def num_fds():
            if files is None:
                raise psutil.NoSuchProcess(1)
            return files
        return SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=memory), num_fds=num_fds)
    samples = iter([[process(10, 3), process(30, 9)], [process(20, 4), process(15, None)], []])
    monkeypatch.setattr(resources, "family_of", lambda pid: next(samples))
    used = Resources()
    for _ in range(3):
        resources._add_sample(used, 1)
    assert dataclasses.astuple(used)[2:] == (40, 30, 2, 9)


def test_a_command_that_fails_is_named_by_its_module():
    with pytest.raises(CheckFailed, match="^-c .* ended with 4: the last$"):
        run_measured(sys.executable, "-c", "print('first\\nthe last'); raise SystemExit(4)")
    assert json.loads(stages.stage_command("any", JOB)[-1]) == dataclasses.asdict(JOB)
