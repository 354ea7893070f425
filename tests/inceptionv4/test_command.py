"""``python -m inceptionv4``."""

import subprocess
import sys

import mindspore as ms
import numpy as np

from common.cli import run_command
from inceptionv4 import __main__
from inceptionv4.checkpoint import CheckpointMeta, save_checkpoint


def call(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["inceptionv4", *arguments])
    return run_command(__main__.main)


def test_show(tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, {"w": ms.Tensor(np.ones((40, 50), np.float32))},
                    CheckpointMeta(3, 75, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 0.9, "", 2, 40))
    assert call(monkeypatch, "show", "--checkpoint", str(path)) == 0
    printed = capsys.readouterr().out
    assert "num_classes: 3\n" in printed and "mean: (1.0, 2.0, 3.0)\n" in printed
    assert "parameters: 2,000 values in 1 arrays" in printed


def test_missing_checkpoint_is_one_line(tmp_path, monkeypatch, capsys):
    assert call(monkeypatch, "show", "--checkpoint", str(tmp_path / "none.ckpt")) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: checkpoint '") and error.count("\n") == 1


def test_help_does_not_wait_for_mindspore():
    code = ("import sys; import inceptionv4.__main__; "
            "sys.exit('mindspore' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
