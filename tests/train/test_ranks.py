"""Two ranks: trained, scored, killed, resumed; and what they must not disagree on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inceptionv4.checkpoint import read_checkpoint
from train.checkpoints import checkpoints

ROOT = Path(__file__).parents[2]
FLAGS = ("--epochs", 2, "--batch-size", 3, "--workers", 1, "--dropout-keep", 0.5, "--device", "CPU")


def two_ranks(log, module, *words) -> subprocess.CompletedProcess:
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "train")))
    return subprocess.run([sys.executable, "-m", "inceptionv4.launch", "--ranks", "2", "--log-dir",
                           str(log), module, *map(str, words)], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": paths})


def train(records, run, kill, *flags) -> subprocess.CompletedProcess:
    return two_ranks(run.with_name(f"{run.name}-log"), "tiny", kill, "--records",
                     records["train"].folder, "--val-records", records["val"].folder, "--run", run,
                     *FLAGS, *flags)


@pytest.fixture(scope="module")
def undisturbed(records, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("ranks") / "run"
    done = train(records, run, "never")
    assert done.returncode == 0, done.stderr
    return run


def state_of(run) -> dict:
    return read_checkpoint(checkpoints(run / "checkpoints")[-1])[1]


def test_rank_0_scores_while_the_other_waits(undisturbed):
    lines = [json.loads(line) for line in (undisturbed / "history.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 3), (2, 6)]
    assert all("full_top1_error" in line for line in lines)


def test_two_ranks_share_a_step_and_one_of_them_saves(undisturbed):
    plan = json.loads((undisturbed / "plan.json").read_text())
    assert (plan["global_batch"], plan["steps_per_epoch"], plan["steps"]) == (6, 3, 6)
    assert {path.name for path in (undisturbed / "checkpoints").glob("*.ckpt")} == {
        "inceptionv4-1_3.ckpt", "inceptionv4-2_6.ckpt"}


def test_killed_and_resumed_two_ranks_end_alike(records, undisturbed, tmp_path):
    killed = train(records, tmp_path / "run", "step:5")
    assert killed.returncode == 1 and "was killed by signal 9" in killed.stderr
    done = train(records, tmp_path / "run", "never", "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2: loss") == 1  # rank 0 is shown, and it alone
    one, other = state_of(tmp_path / "run"), state_of(undisturbed)
    assert [name for name in one
            if not np.array_equal(one[name].asnumpy(), other[name].asnumpy())] == []


def test_ranks_that_find_different_checkpoints_are_refused(undisturbed, tmp_path, records):
    """As hosts would that do not see the same folder: rank 1 is shown one without the last."""
    runs = [shutil.copytree(undisturbed, tmp_path / f"run{rank}") for rank in (0, 1)]
    for path in (runs[1] / "checkpoints").glob("inceptionv4-2_*"):
        path.unlink()
    (tmp_path / "apart.py").write_text(
        "import os, sys, tiny\n"
        "sys.argv[sys.argv.index('--run') + 1] += os.environ['RANK_ID']\n"
        "from common.cli import run_command\n"
        "sys.exit(run_command(tiny.main))\n")
    done = subprocess.run(
        [sys.executable, "-m", "inceptionv4.launch", "--ranks", "2", "--log-dir",
         str(tmp_path / "log"), "apart", "never", "--records", str(records["train"].folder),
         "--val-records", str(records["val"].folder), "--run", str(tmp_path / "run"),
         *map(str, FLAGS), "--resume"], cwd=ROOT, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(
            map(str, (ROOT, ROOT / "tests" / "train", tmp_path)))})
    assert done.returncode == 2
    assert "the ranks would go on from different checkpoints" in done.stderr
