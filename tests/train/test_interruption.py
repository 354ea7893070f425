"""Interrupted on a terminal: one line, the exit code, and a command that resumes."""

import os
import shlex
import signal
import subprocess
import sys

from terminal import CTRL_C, ROOT, interrupted

from common.forms import read_history
from train.checkpoints import checkpoints


def words_of(records, folder) -> list:
    return ["--records", records["train"].folder, "--val-records", records["val"].folder, "--run",
            folder, "--preset", "smoke", "--epochs", 2, "--batch-size", 1, "--workers", 1,
            "--device", "CPU"]


def test_while_the_real_step_is_compiled(records, tmp_path):
    """MindSpore loses the signal, or makes an error of the compiler of it, with a dump."""
    ended = interrupted(["-m", "train", *words_of(records, tmp_path / "run")],
                        "compiling the training step", CTRL_C, tmp_path, delay=1.5)
    assert ended.code == 130
    assert ended.lines[-1].startswith(f"interrupted: no epoch is saved in {tmp_path / 'run'}; "
                                      f"resume with: {sys.executable} -m train --records ")
    assert [line for line in ended.lines[:-1] if line.strip("^C ")] == [
        line for line in ended.lines[:-1] if line.startswith("compiling") or "minutes on" in line]
    assert os.listdir(tmp_path) == ["run"]


def test_within_a_step_and_resumed_by_the_command_that_is_shown(records, tmp_path):
    program = ROOT / "tests" / "train" / "tiny.py"
    ended = interrupted([program, "slow:0.1", *words_of(records, tmp_path / "run")],
                        "epoch 1/2: loss", signal.SIGTERM, tmp_path, delay=0.2)
    assert ended.code == 143
    said, command = ended.lines[-1].split("; resume with: ")
    assert said == f"interrupted: epoch 1 is the last one saved in {tmp_path / 'run'}"
    assert command.endswith(" --resume")
    resumed = subprocess.run(shlex.split(command), cwd=tmp_path, text=True, capture_output=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert resumed.returncode == 0, resumed.stderr
    assert "epoch 1 is the last one saved; the rest takes about " in resumed.stdout
    assert [line.epoch for line in read_history(tmp_path / "run")] == [1, 2]
    assert len(checkpoints(tmp_path / "run")) == 2
