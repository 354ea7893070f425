"""The rehearsal at a small count, in this process: its table, and that a lost row is noticed."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from benchmarks.scale import colour_network, rehearsal, stages
from benchmarks.scale.rehearsal import ScaleRequest, rehearse, render_scale
from benchmarks.scale.resources import run_measured
from benchmarks.scale.row_order import left_out
from benchmarks.scale.stages import STAGES, ScaleJob
from benchmarks.scale.tiny_imagenet import TRAIN_IMAGES, class_sizes
from common.cli import CheckFailed, RequestError
from common.host_forms import MeasuredStage, Resources, ScaleTable
from convert.records.reader import RecordSet
from train import feed

ROOT = Path(__file__).parents[3]
IMAGES = 2_500
RANKS = 2


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job whose record sets are made."""
    made = ScaleJob(str(tmp_path_factory.mktemp("scale")), IMAGES, shards=5, ranks=RANKS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LOKY_MAX_CPU_COUNT", "1")
        for name in ("make the archives", "convert val", "convert train"):
            STAGES[name](made)
    return made


@pytest.fixture
def in_this_process(monkeypatch):
    """Runs stages here, where MindSpore is loaded; ranks of an evaluation one after the other."""
    one_at_a_time = threading.Lock()

    def run_rank(name, job):
        with one_at_a_time:
            return stages.evaluate_rank(job)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    monkeypatch.setattr(stages, "run_stage", run_rank)
    monkeypatch.setattr(rehearsal, "run_measured_stage", lambda name, job: MeasuredStage(
        name, STAGES[name](job), Resources(2.0, 1.0, 3 << 30, 1 << 30, 4, 1234)))


def request(tmp_path, **values):
    return ScaleRequest(**{"out": tmp_path / "out", "images": IMAGES, "shards": 5, "ranks": RANKS,
                           **values})


def test_every_stage_is_in_the_table_and_the_images_are_removed(tmp_path, in_this_process):
    table = rehearse(request(tmp_path))
    notes = {stage.name: stage.report.note for stage in table.stages}
    assert list(notes) == list(STAGES)
    assert notes["convert val"] == "8 shards, 3 images on the blacklist"
    assert notes["convert train"].startswith("5 shards, 1000 classes of 1 to 3 images")
    for shuffle in ("global", "shard"):
        assert notes[f"rows of 2 epochs, {shuffle} shuffle"].startswith(
            f"no image twice; each epoch leaves out {IMAGES % 256} images, ")
    assert notes["evaluate"] == "98 and 95 images scored, each once; 26 to 72 per rank"
    images = {stage.name: stage.report.items for stage in table.stages}
    assert (images["convert train"], images["convert val"], images["verify both"]) == (
        IMAGES, 98, IMAGES + 98)
    assert [images[name] for name in list(images)[4:]] == [
        2 * 9 * 256, 2 * 9 * 256, 2 * 9 * 256, 98, 95 * 9]
    assert notes["plan"] == "95 epochs of 9 steps; 196 images left out of each"
    assert sorted(os.listdir(tmp_path / "out")) == ["scale.json", "scale.md"]
    page = (tmp_path / "out" / "scale.md").read_text()
    assert page == render_scale(table)
    line = next(line for line in page.splitlines() if line.startswith("| convert train"))
    assert [cell.strip() for cell in line.split("|")[2:9]] == [
        "2.0", "1.0", "1,250", "3.00", "1.00", "4", "1,234"]
    assert "global shuffle, 2 x 128 images per step: " in page and (
        "0.3 minutes, 0.1 minutes of CPU" in page)
    kept = json.loads((tmp_path / "out" / "scale.json").read_text())
    assert kept["stages"][2]["report"]["items"] == IMAGES
    assert ScaleTable.from_json(kept) == table


@pytest.mark.parametrize("images", [2_000, 25_623, TRAIN_IMAGES])
def test_class_sizes_are_those_of_ilsvrc_in_proportion(images):
    sizes = class_sizes(images, seed=0)
    assert sizes.sum() == images and sizes.min() >= 1
    if images == TRAIN_IMAGES:
        assert (sizes == 1300).sum() == 895 and 700 < sizes.min() < 800


def test_a_row_lost_in_evaluation_is_noticed(job, in_this_process, monkeypatch, tmp_path):
    rows = RecordSet.rows
    monkeypatch.setattr(RecordSet, "rows", lambda self, *asked: (
        row for row in rows(self, *asked) if row["image_id"] != 7))
    monkeypatch.setattr(ScaleJob, "parts", tmp_path / "parts")
    with pytest.raises(RequestError, match="gave 71 of the 72 rows from row 0 on"):
        STAGES["evaluate"](job)


def test_rows_that_no_rank_evaluates_are_noticed(job, in_this_process, monkeypatch, tmp_path):
    monkeypatch.setattr(colour_network, "rows_of_rank", lambda images, group, rank, ranks: (
        range(72) if rank == 0 else range(72, images - 1)))
    monkeypatch.setattr(ScaleJob, "parts", tmp_path / "parts")
    with pytest.raises(CheckFailed, match="1 rows that no rank evaluated instead of 0"):
        STAGES["evaluate"](job)


def test_a_label_of_another_class_is_noticed(job, in_this_process, monkeypatch, tmp_path):
    colours = np.roll(colour_network.class_colours(), 1, axis=0)
    monkeypatch.setattr(colour_network, "class_colours", lambda: colours)
    monkeypatch.setattr(ScaleJob, "parts", tmp_path / "parts")
    with pytest.raises(CheckFailed, match="0 images with their class's colour instead of 98"):
        STAGES["evaluate"](job)


def test_two_ranks_that_read_the_same_rows_are_noticed(job, monkeypatch):
    epoch_rows = feed.epoch_rows
    monkeypatch.setattr(feed, "epoch_rows", lambda records, recipe, epoch, rank, columns:
                        epoch_rows(records, recipe, epoch, 0, columns))
    with pytest.raises(CheckFailed, match=r"image id \d+ of .* was read 2 times in one epoch"):
        STAGES["rows of 2 epochs, global shuffle"](job)


def test_other_images_after_a_resume_are_noticed(job, monkeypatch, tmp_path):
    monkeypatch.setattr(ScaleJob, "order_file", lambda self, shuffle: tmp_path / f"{shuffle}.npy")
    for shuffle in stages.SHUFFLES:
        STAGES[f"rows of 2 epochs, {shuffle} shuffle"](job)
    STAGES["resume in epoch 2"](job)
    orders = [np.load(tmp_path / f"{shuffle}.npy") for shuffle in stages.SHUFFLES]
    assert orders[0].shape == orders[1].shape and not np.array_equal(*orders)
    kept = np.load(tmp_path / "shard.npy")
    kept[1, 4, [0, 1]] = kept[1, 4, [1, 0]]  # two images of a batch change places
    np.save(tmp_path / "shard.npy", kept)
    with pytest.raises(CheckFailed, match="shard shuffle, step 5 has other images"):
        STAGES["resume in epoch 2"](job)


def test_a_validation_set_that_a_run_could_not_use_is_noticed_by_the_plan(job, monkeypatch):
    """Here, the training set in its place."""
    records = ScaleJob.records
    monkeypatch.setattr(ScaleJob, "records", lambda self, split: records(self, "train"))
    with pytest.raises(RequestError, match="--val-records .*/train holds the train set"):
        STAGES["plan"](job)


@pytest.mark.parametrize("ids, message", [
    ([0, 1, 2, 3], "image ids 0 to 3"), ([2, 3, 4, 8], "image ids 2 to 8"),
    ([1, 2, 5, 2], "image id 2 of R was read 2 times"),
    ([1, 2], "5 images of R left out of an epoch, not the 1 ")])
def test_ids_that_cannot_be_are_refused(ids, message):
    order = np.array(ids).reshape(2, 1, -1, 1).repeat(2, axis=-1)  # 2 ranks, 1 step
    records = SimpleNamespace(images=7, folder="R")
    with pytest.raises(CheckFailed, match=message):
        left_out(records, order)


def test_the_images_after_the_last_step_are_left_out():
    order = np.array([1, 3, 5, 7]).reshape(2, 1, 2, 1).repeat(2, axis=-1)
    assert left_out(SimpleNamespace(images=7, folder="R"), order) == {2, 4, 6}


def test_a_step_takes_no_more_images_than_there_are(tmp_path):
    with pytest.raises(RequestError, match="--ranks 20: a step takes 2,560 images; .* not 2,500"):
        request(tmp_path, ranks=20)


def test_nothing_is_left_of_a_rehearsal_that_fails(tmp_path, monkeypatch):
    def lose(name, job):
        raise CheckFailed("lost")
    monkeypatch.setattr(rehearsal, "run_measured_stage", lose)
    with pytest.raises(CheckFailed, match="lost"):
        rehearse(request(tmp_path))
    assert os.listdir(tmp_path / "out") == []
    (tmp_path / "out" / "work").mkdir()
    with pytest.raises(RequestError, match="interrupted run"):
        rehearse(request(tmp_path))


BUSY = """
import subprocess, sys, time
files = [open("/dev/null") for _ in range(100)]
memory = bytearray(64 << 20)
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""
CHILD = "import time; memory = bytearray(128 << 20); time.sleep(1); print('done')"


def test_processes_are_measured_together():
    printed, used = run_measured(sys.executable, "-c", BUSY, CHILD)
    assert printed == "done\n" and used.processes == 2 and 100 < used.open_files < 150
    assert used.peak_bytes > (128 + 64) << 20 > used.largest_bytes > 128 << 20
    assert used.seconds > 1 and used.seconds > used.cpu_seconds > 0


def test_ctrl_c_leaves_no_process(tmp_path):
    """The stage and its child, which do not see the signal, are ended."""
    code = ("import sys; from benchmarks.scale.resources import run_measured\n"
            "run_measured(sys.executable, '-c', *sys.argv[1:])")
    child = f"import time; time.sleep(20); open({str(tmp_path / 'end')!r}, 'w')"
    running = subprocess.Popen([sys.executable, "-c", code, BUSY, child], cwd=ROOT,
                               stderr=subprocess.DEVNULL)
    family = psutil.Process(running.pid)
    while len(started := family.children(recursive=True)) < 2:
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    running.wait()
    psutil.wait_procs(started)
    assert os.listdir(tmp_path) == []


def test_a_stage_that_fails_ends_the_rehearsal():
    with pytest.raises(CheckFailed, match="ended with 3: its error is above"):
        run_measured(sys.executable, "-c", "raise SystemExit(3)")


def test_a_stage_leaves_its_error_to_the_rehearsal(tmp_path, monkeypatch, capsys):
    job = json.dumps({"work": str(tmp_path), "images": IMAGES, "shards": 5, "ranks": RANKS})
    monkeypatch.setattr(sys, "argv", ["stages", "verify both", job])
    assert stages.main() == 1
    printed, errors = capsys.readouterr()
    assert str(tmp_path / "records" / "train") in printed and errors == ""
    with pytest.raises(CheckFailed, match="ended with 1: No manifest$"):
        run_measured(sys.executable, "-c", "print('No manifest'); raise SystemExit(1)")


def test_a_stage_that_fails_on_a_full_disk_names_the_folder(tmp_path, monkeypatch):
    def fail(*_):
        raise CheckFailed("ended with 2")
    monkeypatch.setattr(rehearsal, "run_measured_stage", fail)
    with pytest.raises(CheckFailed):
        rehearse(request(tmp_path))
    monkeypatch.setattr(rehearsal.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(RequestError, match="--out .*: the disk is full"):
        rehearse(request(tmp_path))
