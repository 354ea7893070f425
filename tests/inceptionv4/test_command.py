"""``python -m inceptionv4``."""

import subprocess
import sys

import mindspore as ms
import numpy as np

from common.cli import run_command
from inceptionv4 import __main__
from inceptionv4.checkpoint import CheckpointMeta, save_checkpoint


def test_show_and_a_missing_checkpoint(tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, {"w": ms.Tensor(np.ones((40, 50), np.float32))},
                    CheckpointMeta(3, 75, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 0.9, "", 2, 40))
    monkeypatch.setattr(sys, "argv", ["inceptionv4", "show", "--checkpoint", str(path)])
    assert run_command(__main__.main) == 0
    printed = capsys.readouterr().out
    assert "num_classes: 3\n" in printed and "mean: (1.0, 2.0, 3.0)\n" in printed
    assert "parameters: 2,000 values in 1 array," in printed
    path.unlink()
    assert run_command(__main__.main) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: checkpoint '{path}' does not exist") and error.count("\n") == 1


def test_help_does_not_wait_for_mindspore():
    code = ("import sys; import inceptionv4.__main__; "
            "sys.exit('mindspore' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
