"""``Trainer.run`` where something goes wrong that should cost no epoch: a full disk, a profiler, a
record file that vanishes."""

import contextlib
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from small_trainer import STEPS, checkpoints_of, predictions, steps_of, train_in, trainer_of

from common.cli import CheckFailed, RequestError
from convert.records.reader import open_records
from common.forms import read_history
from inceptionv4.meta import read_meta
from train import trainer as trainer_module
from train.checkpoints import checkpoints

pytestmark = pytest.mark.usefixtures("tiny_network")


def test_the_profiler_measures_steps_of_the_first_epoch_alone(records, tmp_path, monkeypatch):
    monkeypatch.setattr("train.profiling.UNPROFILED_STEPS", 2)
    monkeypatch.setattr(trainer_module, "UNPROFILED_STEPS", 2)
    train_in(tmp_path / "run", records, profile=3)
    trace, = (tmp_path / "run" / "profile").glob("*/*/trace_view.json")
    operations = Counter(event["name"] for event in json.loads(trace.read_text())
                         if "cross_entropy" in event["name"] and "-op" in event["name"])
    assert operations and set(operations.values()) == {3}


@pytest.mark.parametrize("moment", ["__init__", "step", "stop"])
def test_a_profiler_that_fails_is_a_warning_and_no_epoch_is_lost(records, tmp_path, monkeypatch,
                                                                 capfd, moment):
    def fail(*_, **__):
        raise RuntimeError("no room\n------\n for the trace")
    steps_of(monkeypatch, [1.0] * STEPS)
    monkeypatch.setattr(trainer_module, "UNPROFILED_STEPS", 2)
    for name in ("__init__", "step", "stop"):
        monkeypatch.setattr(ms.profiler.profile, name, lambda *_, **__: None)
    monkeypatch.setattr(ms.profiler.profile, moment, fail)
    history = train_in(tmp_path / "run", records, profile=3)
    assert [line.epoch for line in history] == [1, 2]
    assert [line for line in capfd.readouterr().err.splitlines() if "profile" in line] == [
        "warning: --profile: MindSpore's profiler failed (RuntimeError: no room for the trace); "
        f"the run continues without it, {tmp_path / 'run' / 'profile'} may be incomplete"]


def test_more_steps_to_profile_than_an_epoch_has_are_refused(records, tmp_path):
    with pytest.raises(RequestError, match="--profile 8: an epoch has 7 .*--steps-per-epoch"):
        trainer_of(tmp_path / "run", records, profile=8)


def full_at(epoch, monkeypatch):
    save = trainer_module.add_checkpoint

    def add_checkpoint(folder, state, meta, keep):
        if meta.epoch == epoch:
            raise OSError(28, "No space left on device")
        return save(folder, state, meta, keep)
    monkeypatch.setattr(trainer_module, "add_checkpoint", add_checkpoint)


@pytest.mark.parametrize("full, saved", [(1, 2), (2, 1)])
def test_a_full_disk_does_not_end_the_run_but_at_its_end(records, tmp_path, monkeypatch, capfd,
                                                         full, saved):
    full_at(full, monkeypatch)
    steps_of(monkeypatch, [1] * STEPS)
    trainer = trainer_of(tmp_path / "run", records)
    with (contextlib.nullcontext() if full == 1 else
          pytest.raises(CheckFailed, match="the last epoch is not in .*--resume")):
        trainer.run()
    assert len(read_history(tmp_path / "run")) == 2
    assert checkpoints_of(tmp_path / "run") == [f"inceptionv4-{saved}_{saved * STEPS}.ckpt"]
    assert f"warning: epoch {full} could not be saved" in capfd.readouterr().err


@pytest.mark.parametrize("every, scored", [(1, [1, 2, 3]), (2, [2, 3]), (9, [3])])
def test_epochs_are_scored_every_so_often_and_the_last_one_always(records, tmp_path, monkeypatch,
                                                                  every, scored):
    monkeypatch.setattr(trainer_module.Evaluator, "run", lambda *_: predictions())
    steps_of(monkeypatch, [1] * STEPS)
    history = train_in(tmp_path / "run", records, validation=records["val"], epochs=3, keep=9,
                       validate_every=every, learning_rates=np.ones(3 * STEPS, np.float32))
    assert [line.epoch for line in history if line.full_top1_error is not None] == scored
    assert [line.epoch for line in history if line.seconds_validating is not None] == scored
    assert [read_meta(path).epoch for path in checkpoints(tmp_path / "run")
            if read_meta(path).top1_error is not None] == scored


def test_an_epoch_whose_logs_do_not_fit_has_its_checkpoint(records, tmp_path, monkeypatch, capfd):
    def full(folder, line):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(trainer_module, "add_to_tensorboard", full)
    steps_of(monkeypatch, [1] * STEPS)
    path = trainer_of(tmp_path / "run", records).run()
    assert path is not None and path.exists()
    assert "warning: the log of epoch 2 could not be saved" in capfd.readouterr().err


def test_a_record_file_that_vanishes_costs_an_epoch_its_scores(records, tmp_path, monkeypatch,
                                                               capfd):
    steps_of(monkeypatch, [1] * STEPS)
    copy = open_records(shutil.copytree(records["val"].folder, tmp_path / "val"))
    history = train_in(tmp_path / "run", records, validation=copy, keep=2,
                       after_save=lambda: Path(copy.files[0]).unlink(missing_ok=True))
    assert [line.full_top1_error is None for line in history] == [False, True]
    assert len(checkpoints_of(tmp_path / "run")) == 2
    warning, = [line for line in capfd.readouterr().err.splitlines() if "warning" in line]
    assert "epoch 2 has no score" in warning and Path(copy.files[0]).name in warning


def test_another_rank_than_the_first_saves_nothing_and_says_nothing(records, tmp_path, monkeypatch,
                                                                    capfd):
    """Not even that an epoch has no score."""
    def unscored(evaluator, validation):
        raise RequestError("image id 7 cannot be decoded")
    monkeypatch.setattr(trainer_module.Evaluator, "run", unscored)
    monkeypatch.setattr(trainer_module, "copy_from_rank_0", lambda *_: None)
    steps_of(monkeypatch, [1] * STEPS)
    trainer = trainer_of(tmp_path / "run", records, validation=records["val"],
                         after_save=lambda: pytest.fail("called"))
    trainer.device = replace(trainer.device, rank=1)
    assert trainer.run() is None
    assert capfd.readouterr() == ("", "") and checkpoints_of(tmp_path / "run") == []
    assert not (tmp_path / "run" / "history.jsonl").exists()
    trainer.device = replace(trainer.device, rank=0)
    assert trainer.run(first_epoch=3) is None  # after the last one


def test_an_epoch_that_cannot_be_scored_is_saved(records, tmp_path, monkeypatch, capfd):
    def unscored(evaluator, validation):
        raise RequestError("image id 7 cannot be decoded")
    monkeypatch.setattr(trainer_module.Evaluator, "run", unscored)
    steps_of(monkeypatch, [1] * STEPS)
    history = train_in(tmp_path / "run", records, validation=records["val"])
    assert [line.full_top1_error for line in history] == [None, None]
    assert "warning: epoch 1 has no score: image id 7" in capfd.readouterr().err


def test_averages_of_batch_norm_that_are_no_numbers_are_not_saved(records, tmp_path, monkeypatch):
    """A skipped step moves them all the same."""
    steps_of(monkeypatch, [1] * STEPS, skipped=(1,))
    trainer = trainer_of(tmp_path / "run", records)
    trainer.network.bn.moving_mean.set_data(ms.Tensor(np.full(8, np.nan, np.float32)))
    with pytest.raises(CheckFailed, match="bn.moving_mean is not finite after epoch 1"):
        trainer.run()


def test_weights_that_are_no_numbers_are_not_saved(records, tmp_path):
    """The last update of the second epoch goes wrong, which no loss shows."""
    rates = np.full(2 * STEPS, 1e-3, np.float32)
    rates[-1] = np.inf
    with pytest.raises(CheckFailed, match="is not finite after epoch 2: .* are kept"):
        train_in(tmp_path / "run", records, learning_rates=rates)
    assert checkpoints_of(tmp_path / "run") == [f"inceptionv4-1_{STEPS}.ckpt"]
    assert [line.epoch for line in read_history(tmp_path / "run")] == [1]
