"""``python -m inceptionv4``."""

import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest

from common.cli import run_command
from common.files import sha256_of_file, sha256_of_lines
from inceptionv4 import __main__
from inceptionv4.checkpoint import save_checkpoint
from inceptionv4.meta import CheckpointMeta


def test_show_and_a_missing_checkpoint(tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.ckpt"
    names = ("ant", "n02", "cat")
    meta = CheckpointMeta(3, 75, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 0.9, sha256_of_lines(names), 2,
                          40, 12.5, ema_decay=0.99, class_names=names,
                          class_words=("", "kit fox", ""))
    weights = {"w": ms.Tensor(np.ones((40, 50), np.float32))}
    save_checkpoint(path, weights, meta)
    monkeypatch.setattr(sys, "argv", ["inceptionv4", "show", str(path)])
    assert run_command(__main__.main) == 0
    printed = capsys.readouterr().out
    for line in ("classes: 3 (ant, kit fox (n02), cat)", f"sha256: {sha256_of_file(path)}",
                 "images: 75 px, normalised with mean (1.0, 2.0, 3.0), std (4.0, 5.0, 6.0), "
                 "resized bicubic where it is evaluated", "averaged weights: decay 0.99",
                 "trained: 2 epochs, 40 steps; top-1 error 12.50 %, single crop"):
        assert f"{line}\n" in printed
    assert "parameters: 2,000 values in 1 array," in printed
    save_checkpoint(path, weights, CheckpointMeta(
        1000, 299, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 0.9, "", 0, 0,
        imported_from="timm, model.safetensors"))
    assert run_command(__main__.main) == 0
    printed = capsys.readouterr().out
    assert "classes: 1,000 (their names are not in it)\n" in printed
    assert "imported from: timm, model.safetensors\n" in printed and "trained:" not in printed
    path.unlink()
    assert run_command(__main__.main) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: checkpoint '{path}' does not exist") and error.count("\n") == 1


@pytest.mark.parametrize("words", [["--checkpoint", "a.ckpt"], ["--checkpoint=a.ckpt"]])
def test_the_checkpoint_of_show_was_a_flag_once(monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "argv", ["inceptionv4", "show", *words])
    assert run_command(__main__.main) == 2
    assert capsys.readouterr().err == (
        "error: --checkpoint is no flag here: give its value without it "
        "(see: python -m inceptionv4 show --help)\n")


def test_help_does_not_wait_for_mindspore():
    code = ("import sys; import inceptionv4.__main__; "
            "sys.exit('mindspore' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
