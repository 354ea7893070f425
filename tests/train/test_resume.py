"""Killed at any moment and resumed, a run ends with the weights of an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from common.forms import read_history
from inceptionv4.checkpoint import read_checkpoint, save_checkpoint
from train.checkpoints import checkpoints
from train.run_folder import BEFORE_THE_KEY, locked_run

ROOT = Path(__file__).parents[2]
EPOCHS = 3
STEPS = 4  # an epoch
# Each epoch moves history, .ckpt, .meta, the links to the last and the best checkpoint if these
# change (the first changes all four), and history with the seconds to their places; before the
# first, plan and config.
FLAGS = ("--preset", "smoke", "--epochs", EPOCHS, "--batch-size", 5, "--workers", 1,
         "--dropout-keep", 0.5, "--device", "CPU", "--keep", 1)
# With all that a checkpoint may hold, and as many steps.
FLOAT16 = ("--precision", "float16", "--ema-decay", 0.9, "--batch-size", 2, "--accumulate", 2,
           "--steps-per-epoch", STEPS)
# Another optimiser than smoke's, which restarts with the third epoch.
ADSL_RECIPE = ("--preset", "adsl-1p", "--image-size", 75, "--phases", "2:1:0.2:0.94:2",
               "1:0:0.05:0.95:1")


def words_of(records, folder, *flags) -> list:
    return ["--records", records["train"].folder, "--val-records", records["val"].folder, "--run",
            folder, *FLAGS, *flags]


def start(kill, records, folder, *flags) -> int:
    """Run ``tiny.py`` in a process of its own; return its exit code."""
    words = (ROOT / "tests" / "train" / "tiny.py", kill, *words_of(records, folder, *flags))
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode


def history_of(folder) -> list:
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in ("epoch", "step", "loss", "full_top1_error")}
            for line in lines]


def weights_of(folder) -> dict:
    state = read_checkpoint(checkpoints(folder)[-1])[1]
    return {name: value.asnumpy() for name, value in state.items()}


def check_ends_alike(folder, undisturbed):
    one, other = weights_of(folder), weights_of(undisturbed)
    assert one.keys() == other.keys()
    assert [name for name in one if not np.array_equal(one[name], other[name])] == []
    assert history_of(folder) == history_of(undisturbed)
    names = [{path.relative_to(run) for path in run.rglob("*") if "tensorboard" not in str(path)}
             for run in (folder, undisturbed)]
    assert names[0] == names[1]


@pytest.fixture(scope="module")
def undisturbed(records, tmp_path_factory) -> Path:
    """Made by a process of its own: the tests below compare it with runs within this one."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert start("never", records, folder) == 0
    return folder


@pytest.fixture
def run(undisturbed, tmp_path) -> Path:
    """A copy of the finished run."""
    return shutil.copytree(undisturbed, tmp_path / "run")


def test_killed_and_resumed_it_ends_alike(records, undisturbed, call, tmp_path, capfd):
    """The second .ckpt is in place, its .meta is not: a torn checkpoint."""
    assert start("move:13", records, tmp_path / "run") == -signal.SIGKILL
    assert call(*words_of(records, tmp_path / "run", "--resume")) == 0
    assert "torn" in capfd.readouterr().err
    check_ends_alike(tmp_path / "run", undisturbed)


@pytest.mark.parametrize("seconds", [0.002, 0.01])
def test_killed_at_any_moment_of_saving_it_ends_alike(records, undisturbed, call, tmp_path,
                                                      seconds):
    assert start(f"save:{seconds}", records, tmp_path / "run") == -signal.SIGKILL
    assert call(*words_of(records, tmp_path / "run", "--resume")) == 0
    check_ends_alike(tmp_path / "run", undisturbed)


@pytest.mark.parametrize("flags", [ADSL_RECIPE, FLOAT16], ids=["adsl's recipe", "float16"])
def test_killed_within_an_epoch_it_ends_alike_too(records, call, tmp_path, capfd, flags):
    """Also with the compiled step of the killed run, and with a dynamic loss scale, which counts
    the steps since it last changed."""
    cache = ("--compile-cache", tmp_path / "cache")
    assert start("step:9", records, tmp_path / "run", *flags, *cache) == -signal.SIGKILL
    assert call(*words_of(records, tmp_path / "undisturbed", *flags)) == 0
    assert call(*words_of(records, tmp_path / "run", *flags, *cache, "--resume")) == 0
    assert len(list((tmp_path / "cache").iterdir())) == 1  # found again
    assert "torn" not in capfd.readouterr().err
    check_ends_alike(tmp_path / "run", tmp_path / "undisturbed")
    for name in ("good_steps", "ema.conv.weight"):
        assert (name in weights_of(tmp_path / "run")) == (flags == FLOAT16)


def test_a_first_epoch_without_its_checkpoint_is_repeated(records, undisturbed, call, run):
    for path in checkpoints(run):
        path.unlink()
        path.with_suffix(".meta").unlink()
    lines = (run / "history.jsonl").read_text().splitlines(keepends=True)
    (run / "history.jsonl").write_text(lines[0])
    assert call(*words_of(records, run, "--resume")) == 0
    check_ends_alike(run, undisturbed)


def test_resumed_when_all_is_done_it_changes_nothing(records, undisturbed, call, run, capfd):
    """And it keeps the command that the run was started with, its date, commit and host."""
    config = json.loads((run / "config.json").read_text())
    assert config["argv"] == ["python", str(ROOT / "tests" / "train" / "tiny.py"), "never",
                              *map(str, words_of(records, undisturbed))]
    assert config["made"].keys() == {"date", "commit", "host"}
    config["made"]["date"] = "2026-01-01 00:00 UTC"
    (run / "config.json").write_text(json.dumps(config))
    before = files_of(run)
    assert call(*words_of(records, run, "--resume", "--dry-run")) == 0
    assert files_of(run) == before
    assert call(*words_of(records, run, "--resume")) == 0
    _, out = capfd.readouterr().out.split("plan.json\n")  # with which the dry run ends
    assert out.splitlines()[:2] == [f"{run} has all 3 epochs: nothing is left to train",
                                    "the run is finished, 3 epochs in all"]
    assert "compiling" not in out
    check_ends_alike(run, undisturbed)
    assert json.loads((run / "config.json").read_text()) == config


@pytest.mark.parametrize("changed", [lambda moment: moment[:2],
                                     lambda moment: moment.astype(np.float16)])
def test_state_of_another_shape_or_type_is_refused(records, undisturbed, call, run, capfd, changed):
    path = checkpoints(run)[-1]
    meta, state = read_checkpoint(path)
    moment = next(name for name in state if name.startswith("moment1."))
    state[moment] = ms.Tensor(changed(state[moment].asnumpy()))
    save_checkpoint(path, state, meta)
    assert call(*words_of(records, run, "--resume", "--epochs", EPOCHS + 1)) == 2
    assert f"{path}: '{moment}' is Float" in capfd.readouterr().err


@pytest.mark.parametrize("name, value, said", [
    ("workers", "all", "'workers' in the config.json of"), ("phases", [dict(
        epochs="1", warmup_epochs=0, peak=1, decay=1, epochs_per_decay=1)], "phases: was")])
def test_a_config_changed_by_hand_is_refused(records, undisturbed, call, run, capfd, name, value,
                                             said):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, name: value}))
    assert call(*words_of(records, run, "--resume")) == 2
    assert said in capfd.readouterr().err


def test_a_run_of_an_older_version_without_argv_resumes(records, undisturbed, call, run):
    config = json.loads((run / "config.json").read_text())
    del config["argv"], config["made"]
    (run / "config.json").write_text(json.dumps(config))
    assert call(*words_of(records, run, "--resume")) == 0
    check_ends_alike(run, undisturbed)


def test_a_key_that_an_older_version_lacked_has_its_value_of_then(records, call, run, capfd):
    config = json.loads((run / "config.json").read_text())
    for name in BEFORE_THE_KEY:
        del config[name]
    (run / "config.json").write_text(json.dumps(config))
    assert call(*words_of(records, run, "--resume", "--dry-run")) == 0
    assert call(*words_of(records, run, "--resume", "--dry-run", "--loss-scale", 8)) == 2
    assert "(loss_scale: was 1.0, now 8.0)" in capfd.readouterr().err


@pytest.mark.parametrize("left", [(), ("plan.json", ".lock", ".config.json.7.tmp")])
def test_resume_without_a_run_starts_one(records, undisturbed, call, tmp_path, left):
    """Also where a run was killed before its config was written."""
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    for name in left:
        (tmp_path / "run" / name).write_text("")
    assert call(*words_of(records, tmp_path / "run", "--resume")) == 0
    check_ends_alike(tmp_path / "run", undisturbed)


def files_of(folder) -> dict:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")
            if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize("flags, words", [
    (("--seed", 7), "seed: was 0, now 7"),
    (("--batch-size", 4, "--dry-run"), "batch_size: was 5, now 4"),
    (("--weight-decay", 0.1), "weight_decay: was 0.0, now 0.1")])
def test_another_recipe_is_refused_and_both_are_named(records, undisturbed, call, capfd, flags,
                                                      words):
    before = files_of(undisturbed)
    assert call(*words_of(records, undisturbed, "--resume", *flags)) == 2
    error, = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert f"({words})" in error and str(undisturbed) in error
    assert files_of(undisturbed) == before


def test_other_data_are_refused(records, other_records, call, run, capfd):
    """Found by their digest, wherever they lie."""
    moved = shutil.copytree(records["train"].folder, run.with_name("moved"))
    assert call("--records", moved, "--val-records", records["val"].folder, "--run", run, *FLAGS,
                "--resume") == 0
    assert json.loads((run / "config.json").read_text())["data"] == str(moved)
    assert call("--records", other_records["train"].folder, "--val-records",
                other_records["val"].folder, "--run", run, *FLAGS, "--resume") == 2
    assert "data_sha256: was" in capfd.readouterr().err


def test_epochs_may_be_raised_and_not_lowered(records, undisturbed, call, tmp_path, capfd):
    words = words_of(records, tmp_path / "run")
    assert call(*words, "--epochs", 1) == 0
    assert call(*words, "--resume") == 0
    check_ends_alike(tmp_path / "run", undisturbed)
    assert call(*words, "--resume", "--epochs", 2) == 2
    assert "another recipe or other data (phases: was" in capfd.readouterr().err


def test_validation_records_may_be_left_out_and_added(records, other_records, undisturbed, call,
                                                      tmp_path, capfd):
    words = words_of(records, tmp_path / "run")
    without = [words[0], words[1], *words[4:]]
    assert call(*without, "--epochs", 1) == 0
    assert call(*words, "--epochs", 2, "--resume") == 0
    assert call(*without, "--resume") == 0
    one, other = weights_of(tmp_path / "run"), weights_of(undisturbed)
    assert [name for name in one if not np.array_equal(one[name], other[name])] == []
    assert [line.full_top1_error is None for line in read_history(tmp_path / "run")] == [
        True, False, True]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (tmp_path / "run" / "config.json").write_text(json.dumps({**config, "val_records_sha256": "x"}))
    assert call(*words, "--resume") == 2
    assert "val_records_sha256: was x" in capfd.readouterr().err


def test_a_run_that_another_process_trains_is_left_alone(records, call, run, capfd):
    with locked_run(run):
        assert call(*words_of(records, run, "--resume")) == 2
    assert "another process trains there" in capfd.readouterr().err


def test_a_resumed_run_keeps_its_workers_unless_it_is_given_others(records, call, run, capfd,
                                                                   monkeypatch):
    words = [word for word in words_of(records, run, "--resume")]
    without = [word for place, word in enumerate(words)
               if "--workers" not in (word, words[place - 1])]
    monkeypatch.setattr("common.host.available_cores", lambda: 2)
    assert call(*without) == 0
    assert json.loads((run / "config.json").read_text())["workers"] == 1
    assert "workers decoded" not in capfd.readouterr().err
    assert call(*words, "--workers", 2) == 0
    assert "warning: 1 worker decoded for each rank before, now 2" in capfd.readouterr().err
