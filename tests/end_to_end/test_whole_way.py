"""Images in, accuracy report out, through the command lines that the Makefile calls."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inceptionv4.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[2]
STEPS = ("--image-size", "75", "--batch-size", "4", "--steps-per-epoch", "2", "--epochs", "1",
         "--workers", "1", "--device", "CPU")


def module(name, *words) -> str:
    done = subprocess.run([sys.executable, "-m", name, *map(str, words)], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """imagenet/ and records/ of four classes, 20 training and 4 validation images."""
    home = tmp_path_factory.mktemp("home")
    module("convert", "sample", "--out", home / "imagenet", "--classes", 4, "--train", 5,
           "--val", 1)
    source = ("--source", home / "imagenet", "--shards", 2)
    module("convert", "run", *source, "--split", "train", "--out", home / "records" / "train")
    module("convert", "run", *source, "--split", "val", "--out", home / "records" / "val",
           "--blacklist", home.joinpath("imagenet", "devkit", "data",
                                        "ILSVRC2015_clsloc_validation_blacklist.txt"))
    return home


@pytest.fixture(scope="module")
def checkpoint(home) -> Path:
    module("train", "--records", home / "records" / "train", "--val-records",
           home / "records" / "val", "--run", home / "run", *STEPS, "--preset", "smoke")
    found, = (home / "run" / "checkpoints").glob("*.ckpt")
    return found


def test_the_records_verify(home):
    assert "are as the manifest says and can all be decoded" in module(
        "convert", "verify", home / "records" / "val", "--deep")


def test_the_averages_of_batch_norm_moved(checkpoint):
    """They stand still when the network is not in training mode."""
    state = read_checkpoint(checkpoint)[1]
    averages = [value.asnumpy() for name, value in state.items() if name.endswith("moving_mean")]
    assert len(averages) == 149 and all(average.any() for average in averages)


def test_every_image_is_scored_once_on_both_sets_as_after_the_epoch(home, checkpoint):
    out = home / "result"
    module("evaluate", "--records", home / "records" / "val", "--checkpoint", checkpoint,
           "--out", out, "--device", "CPU", "--views-per-step", 4)
    sets = json.loads((out / "result.json").read_text())["sets"]
    predictions = np.load(out / "predictions.npz", allow_pickle=False)
    marked = predictions["blacklisted"]
    assert predictions["image_id"].tolist() == list(range(1, 5)) and marked.any()
    right = predictions["top5"][:, 0] == predictions["label"]
    for name, chosen in (("full", marked | True), ("filtered", ~marked)):
        assert (sets[name]["images"], sets[name]["top1_correct"]) == (
            chosen.sum(), right[chosen].sum())
        assert f"{sets[name]['top1_error']:.2f}" in (out / "result.md").read_text()
    line = json.loads((home / "run" / "history.jsonl").read_text())
    assert [line[f"{name}_top1_error"] for name in sets] == [
        100 * (1 - right.mean()), 100 * (1 - right[~marked].mean())]
