"""Killed at any moment and resumed, a run ends with the weights of an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inceptionv4.checkpoint import read_checkpoint
from train.checkpoints import checkpoints
from train.run_folder import locked_run

ROOT = Path(__file__).parents[2]
EPOCHS = 3
STEPS = 4  # an epoch
# Each epoch moves history, .ckpt and .meta to their places; before the first, plan and config.
FLAGS = ("--epochs", EPOCHS, "--batch-size", 5, "--workers", 1, "--dropout-keep", 0.5, "--device",
         "CPU", "--keep", 1)


def tiny(kill, records, folder, *flags) -> subprocess.CompletedProcess:
    words = (ROOT / "tests" / "train" / "tiny.py", kill, "--records", records["train"].folder,
             "--val-records", records["val"].folder, "--run", folder, *FLAGS, *flags)
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def history_of(folder) -> list:
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in ("epoch", "step", "loss", "full_top1_error")}
            for line in lines]


def weights_of(folder) -> dict:
    state = read_checkpoint(checkpoints(folder / "checkpoints")[-1])[1]
    return {name: value.asnumpy() for name, value in state.items()}


def check_same(one, other) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not np.array_equal(one[name], other[name])] == []


@pytest.fixture(scope="module")
def undisturbed(records, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    done = tiny("never", records, folder)
    assert done.returncode == 0, done.stderr
    return folder


def check_ends_alike(folder, undisturbed):
    check_same(weights_of(folder), weights_of(undisturbed))
    assert history_of(folder) == history_of(undisturbed)
    names = [{path.relative_to(run) for path in run.rglob("*") if "tensorboard" not in str(path)}
             for run in (folder, undisturbed)]
    assert names[0] == names[1]


@pytest.mark.parametrize("kill", [
    "step:1",   # within the first epoch, before there is a checkpoint
    "move:2",   # the plan is there, the config is not
    "move:4",   # the first epoch has its line of history, its checkpoint is not in place
    "move:8",   # the second .ckpt is in place, its .meta is not: a torn checkpoint
    "step:11",  # within the third epoch
])
def test_killed_and_resumed_it_ends_alike(records, undisturbed, tmp_path, kill):
    folder = tmp_path / "run"
    killed = tiny(kill, records, folder)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = tiny("never", records, folder, "--resume")
    assert done.returncode == 0, done.stderr
    assert ("torn" in done.stderr) == (kill == "move:8")
    check_ends_alike(folder, undisturbed)


def test_with_the_seeds_recipe_it_ends_alike_too(records, tmp_path):
    """The runs above are of the preset smoke, whose optimiser is another one."""
    recipe = ("--preset", "adsl-1p", "--image-size", 75)
    assert tiny("never", records, tmp_path / "undisturbed", *recipe).returncode == 0
    assert tiny("step:9", records, tmp_path / "run", *recipe).returncode == -signal.SIGKILL
    done = tiny("never", records, tmp_path / "run", *recipe, "--resume")
    assert done.returncode == 0, done.stderr
    check_ends_alike(tmp_path / "run", tmp_path / "undisturbed")


def test_resumed_when_all_is_done_it_changes_nothing(records, undisturbed, tmp_path):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    done = tiny("never", records, folder, "--resume")
    assert done.returncode == 0, done.stderr
    check_ends_alike(folder, undisturbed)


def test_resume_without_a_run_starts_one(records, undisturbed, tmp_path):
    assert tiny("never", records, tmp_path / "run", "--resume").returncode == 0
    check_ends_alike(tmp_path / "run", undisturbed)


@pytest.mark.parametrize("flags, words", [
    (("--seed", 7), "seed: there 0, now 7"),
    (("--batch-size", 4), "batch_size: there 5, now 4")])
def test_another_recipe_is_refused_and_both_are_named(records, undisturbed, flags, words):
    before = sorted(undisturbed.rglob("*"))
    done = tiny("never", records, undisturbed, "--resume", *flags)
    assert done.returncode == 2
    error, = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert words in error and str(undisturbed) in error
    assert sorted(undisturbed.rglob("*")) == before


def test_a_run_without_resume_names_the_flag(records, undisturbed):
    done = tiny("never", records, undisturbed)
    assert done.returncode == 2
    assert "is in use" in done.stderr and "--resume" in done.stderr


def test_a_run_that_goes_on_elsewhere_is_left_alone(records, undisturbed, tmp_path):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    with locked_run(folder):
        done = tiny("never", records, folder, "--resume")
    assert done.returncode == 2 and "another process trains there" in done.stderr


def test_other_workers_are_a_warning(records, undisturbed, tmp_path):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    done = tiny("never", records, folder, "--resume", "--workers", 2)
    assert done.returncode == 0 and "warning: 1 workers decoded" in done.stderr


def test_a_dry_run_of_another_recipe_leaves_the_plan(records, undisturbed):
    words = ("--records", records["train"].folder, "--val-records", records["val"].folder,
             "--run", undisturbed, *FLAGS, "--resume", "--seed", 7, "--dry-run")
    before = (undisturbed / "plan.json").stat().st_mtime_ns
    done = subprocess.run([sys.executable, "-m", "train", *map(str, words)], cwd=ROOT, text=True,
                          capture_output=True)
    assert done.returncode == 2 and "seed: there 0, now 7" in done.stderr
    assert (undisturbed / "plan.json").stat().st_mtime_ns == before
