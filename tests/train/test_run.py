"""Real steps of a tiny network: the command from records to a run folder, twice, and what it
refuses."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import TinyNetwork, build_tiny_network

from common.cli import CheckFailed, RequestError
from inceptionv4.checkpoint import load_checkpoint, read_checkpoint
from train.checkpoints import checkpoints
from train.command import train
from train.options import checked_recipe, train_parser
from train.run_folder import check_unused
from train.trainer import RunOptions, Trainer

ROOT = Path(__file__).parents[2]
FLAGS = ("--epochs", "2", "--batch-size", "4", "--steps-per-epoch", "2", "--workers", "1")


def command(*flags, program=("-m", "train")) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *program, *map(str, flags)], cwd=ROOT, text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.fixture(scope="module")
def run_folder(records, tmp_path_factory) -> Path:
    """Two epochs of two steps, made by the command."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    done = command("--records", records["train"].folder, "--val-records", records["val"].folder,
                   "--run", folder, "--device", "CPU", "--keep", "1", *FLAGS,
                   program=(str(ROOT / "tests" / "train" / "tiny.py"), "never"))
    assert done.returncode == 0, done.stderr
    return folder


def history_of(folder: Path) -> list:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_history_has_a_line_for_each_epoch(run_folder):
    lines = history_of(run_folder)
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 2), (2, 4)]
    for line in lines:
        assert math.isfinite(line["loss"]) and line["ms_per_step"] > 0
        assert line["full_top1_error"] in [100 * wrong / 6 for wrong in range(7)]


def test_plan_and_config_say_what_was_run(run_folder, records):
    plan = json.loads((run_folder / "plan.json").read_text())
    assert (plan["steps_per_epoch"], plan["global_batch"], plan["steps"]) == (2, 4, 4)
    assert len(plan["learning_rates"]) == 4
    config = json.loads((run_folder / "config.json").read_text())
    assert config["preset"] == "smoke" and config["batch_size"] == 4 and config["workers"] == 1
    assert config["data_sha256"] == records["train"].sha256
    assert config["val_records_sha256"] == records["val"].sha256


def test_tensorboard_gets_the_history(run_folder):
    pytest.importorskip("tensorboardX", reason="the report extra is not installed")
    events = sorted((run_folder / "tensorboard").glob("events.out.tfevents.*"))
    assert [event.name.split(".")[-1] for event in events] == ["epoch-1", "epoch-2"]
    assert all(event.read_bytes().count(b"full_top1_error") == 1 for event in events)


def test_the_last_checkpoint_holds_network_and_optimiser(run_folder, records):
    path = checkpoints(run_folder / "checkpoints")[-1]
    assert path.name == "inceptionv4-2_4.ckpt"
    meta, state = read_checkpoint(path)
    assert (meta.epoch, meta.step, meta.num_classes, meta.image_size) == (2, 4, 3, 75)
    assert meta.class_names_sha256 == records["val"].class_names_sha256
    load_checkpoint(path, TinyNetwork(3))
    assert int(state["global_step"].asnumpy()[0]) == 4
    assert "moment1.classifier.weight" in state and "learning_rate" not in state
    assert all(np.isfinite(value.asnumpy()).all() for value in state.values())


def test_one_seed_gives_the_same_weights_to_the_bit(run_folder, records, tmp_path,
                                                    monkeypatch):
    monkeypatch.setattr("train.trainer.build_network", build_tiny_network)
    arguments = train_parser().parse_args(
        ["--records", str(records["train"].folder), "--run", str(tmp_path / "b"), "--device", "CPU",
         "--keep", "2", *FLAGS])
    saved = []
    train(checked_recipe(arguments), arguments, saved.append)
    assert saved == 3 * [tmp_path / "b"]  # at the start, and after each epoch
    path = checkpoints(run_folder / "checkpoints")[-1]
    again = checkpoints(tmp_path / "b" / "checkpoints")
    assert [other.name for other in again] == ["inceptionv4-1_2.ckpt", path.name]
    state, other = read_checkpoint(path)[1], read_checkpoint(again[-1])[1]
    assert state.keys() == other.keys()
    differing = [name for name in state
                 if not np.array_equal(state[name].asnumpy(), other[name].asnumpy())]
    assert not differing
    assert [line["loss"] for line in history_of(tmp_path / "b")] == [
        line["loss"] for line in history_of(run_folder)]


def test_a_dry_run_writes_the_plan_alone_and_the_run_may_follow(records, tmp_path):
    done = command("--records", records["train"].folder, "--run", tmp_path / "c", "--device",
                   "CPU", "--dry-run", *FLAGS)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["plan.json"]
    assert "2 steps" in done.stdout and "1 ranks x 4 = 4 images" in done.stdout
    check_unused(tmp_path / "c")


def test_a_dry_run_plans_for_the_ranks_that_it_is_told(records, tmp_path):
    done = command("--records", records["train"].folder, "--run", tmp_path / "c", "--device",
                   "CPU", *FLAGS, "--dry-run", "2")
    assert done.returncode == 0, done.stderr
    assert "2 ranks x 4 = 8 images" in done.stdout


def test_class_folders_train_without_records(records, tmp_path):
    images = records["train"].folder.parent / "images"
    done = command("--images", images, "--run", tmp_path / "d", "--device", "CPU", "--dry-run",
                   *FLAGS, "--normalize-on", "host")
    assert done.returncode == 0, done.stderr
    assert "data: 21 images" in done.stdout and "2 steps" in done.stdout


def test_what_a_dry_run_reads_has_to_be_readable(records, tmp_path):
    """The first batch is read: an image that cannot be decoded fails now."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpeg").write_bytes(b"no image")
    done = command("--images", tmp_path, "--run", tmp_path / "run", "--device", "CPU",
                   "--dry-run", "--batch-size", "1")
    assert done.returncode == 2 and not (tmp_path / "run").exists()
    assert "error: the feed of training images failed" in done.stderr


def test_sink_mode_is_refused_where_there_is_none(records, tmp_path):
    done = command("--records", records["train"].folder, "--run", tmp_path / "e", "--device",
                   "CPU", "--sink", *FLAGS)
    assert done.returncode == 2 and "error: --sink: CPU has no sink mode" in done.stderr


def test_a_folder_in_use_is_refused(run_folder, tmp_path):
    with pytest.raises(RequestError, match="is in use"):
        check_unused(run_folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="is a file"):
        check_unused(tmp_path / "file")


@pytest.mark.parametrize("flags, named", [
    (("--run", "x"), "--records"),
    (("--records", "nowhere", "--run", "x"), "nowhere"),
    (("--records", "nowhere", "--run", "x", "--image-size", "74"), "--image-size 74"),
    (("--records", "nowhere", "--run", "x", "--keep", "0"), "--keep 0"),
    (("--records", "nowhere", "--run", "x", "--dry-run", "-1"), "--dry-run -1")])
def test_a_wrong_request_is_one_line_and_exit_code_2(flags, named):
    done = command(*flags)
    assert done.returncode == 2
    error, = done.stderr.splitlines()
    assert error.startswith("error: ") and named in error


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    import mindspore as ms
    from mindspore import nn
    trainer = Trainer.__new__(Trainer)
    trainer.run_options, trainer.network = RunOptions(tmp_path, 1, 0, print), nn.Dense(2, 2)
    trainer._check_weights(3)
    trainer.network.bias.set_data(ms.Tensor([0.0, float("nan")]))
    with pytest.raises(CheckFailed, match="bias is not finite after epoch 3"):
        trainer._check_weights(3)
