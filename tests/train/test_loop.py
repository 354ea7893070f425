"""Fed by the host or through a stand-in for the device's queue, the steps are the same."""

from dataclasses import replace
from unittest.mock import Mock

import mindspore as ms
import numpy as np
import pytest
from tiny import TinyNetwork

from common.cli import CheckFailed, RequestError
from inceptionv4.device import Device
from train import trainer as trainer_module
from train.feed import training_feed
from train.loop import StepResult, next_batch
from train.plan import make_plan
from train.recipe import PRESETS, with_epochs
from train.run_folder import read_history, start_run
from train.source import open_class_folders
from train.trainer import RunOptions, Trainer

RECIPE = replace(with_epochs(PRESETS["smoke"], 2), batch_size=3, workers=1)
STEPS = 7  # an epoch of 21 images


def stand_in(queues: list, transfers: list):
    """For ms.data_sink, which has no CPU: takes a batch a call, and counts the calls."""
    def data_sink(fn, dataset, sink_size=1, jit_config=None, input_signature=None):
        assert sink_size == 1 and dataset.__total_batch__ == STEPS
        batches = dataset.create_tuple_iterator(num_epochs=1)
        queues.append(0)
        dataset.__transfer_dataset__ = Mock()
        transfers.append(dataset.__transfer_dataset__)

        def take():
            queues[-1] += 1
            batch = next(batches)
            assert [(part.shape, part.dtype) for part in batch] == [
                (part.shape, part.dtype) for part in input_signature]
            return fn(*batch)
        return take
    return data_sink


def train_in(folder, records, sink_size, monkeypatch, after_save=lambda _: None,
             validation=None) -> list:
    monkeypatch.setattr(trainer_module, "build_network",
                        lambda recipe, classes: TinyNetwork(classes, dropout_keep=0.5))
    ms.set_seed(3)
    plan = make_plan(RECIPE, records["train"], 1)
    start_run(folder, {}, plan)
    run = RunOptions(folder, 1, sink_size, after_save)
    Trainer(RECIPE, plan, records["train"], validation, Device("CPU", False, 0, 1), run).run()
    return read_history(folder)


def without_times(history):
    return [{name: line[name] for name in ("epoch", "step", "loss", "learning_rate")}
            for line in history]


@pytest.mark.parametrize("sink_size", [1, 3, 100])
def test_sink_mode_keeps_the_numbers_of_steps(records, tmp_path, monkeypatch, sink_size):
    saved = []
    host = train_in(tmp_path / "host", records, 0, monkeypatch, saved.append)
    assert saved == [tmp_path / "host"] * 2
    queues, transfers = [], []
    monkeypatch.setattr(ms, "data_sink", stand_in(queues, transfers))
    sink = train_in(tmp_path / "sink", records, sink_size, monkeypatch)
    assert queues == [STEPS, STEPS]
    for transfer in transfers:
        assert [call[0] for call in transfer.method_calls] == ["stop_send", "release"]
    assert without_times(sink) == without_times(host)
    assert [line["step"] for line in sink] == [STEPS, 2 * STEPS]
    assert sink[0]["waiting_for_data"] is None and 0 <= host[0]["waiting_for_data"] <= 1
    assert [path.name for path in (tmp_path / "sink" / "checkpoints").glob("*.ckpt")] == [
        f"inceptionv4-2_{2 * STEPS}.ckpt"]


@pytest.mark.parametrize("sink_size", [0, 3])
def test_a_loss_that_is_no_number_names_its_step(records, tmp_path, monkeypatch, sink_size):
    bad = ms.Tensor(np.float32("nan"))
    for name in ("host_steps", "sink_steps"):
        monkeypatch.setattr(trainer_module, name, lambda step, *_: (
            StepResult(bad if number == 4 else ms.Tensor(1.0), 0.0) for number in range(STEPS)))
    with pytest.raises(CheckFailed, match="nan at step 5: the checkpoints of earlier epochs"):
        train_in(tmp_path / "run", records, sink_size, monkeypatch)
    assert not (tmp_path / "run" / "history.jsonl").exists()


def full_at(epoch, monkeypatch):
    save = trainer_module.add_checkpoint

    def add_checkpoint(folder, state, meta, keep):
        if meta.epoch == epoch:
            raise OSError(28, "No space left on device")
        return save(folder, state, meta, keep)
    monkeypatch.setattr(trainer_module, "add_checkpoint", add_checkpoint)


def checkpoints_of(folder) -> list:
    return [path.name for path in (folder / "checkpoints").glob("*.ckpt")]


def test_a_full_disk_does_not_end_the_run(records, tmp_path, monkeypatch, capfd):
    full_at(1, monkeypatch)
    assert len(train_in(tmp_path / "run", records, 0, monkeypatch)) == 2
    assert checkpoints_of(tmp_path / "run") == [f"inceptionv4-2_{2 * STEPS}.ckpt"]
    assert "warning: epoch 1 could not be saved" in capfd.readouterr().err


def test_a_last_epoch_that_is_not_saved_is_no_success(records, tmp_path, monkeypatch):
    full_at(2, monkeypatch)
    with pytest.raises(CheckFailed, match="the last epoch is not in .*--resume"):
        train_in(tmp_path / "run", records, 0, monkeypatch)
    assert checkpoints_of(tmp_path / "run") == [f"inceptionv4-1_{STEPS}.ckpt"]


def test_an_epoch_that_cannot_be_scored_is_saved(records, tmp_path, monkeypatch, capfd):
    def unscored(evaluator, validation):
        raise RequestError("image id 7 cannot be decoded")
    monkeypatch.setattr(trainer_module.Evaluator, "run", unscored)
    history = train_in(tmp_path / "run", records, 0, monkeypatch,
                       validation=records["val"])
    assert len(history) == 2 and "full_top1_error" not in history[0]
    assert "warning: this epoch has no score: image id 7" in capfd.readouterr().err


def test_a_image_that_cannot_be_read_is_one_error(records, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpeg").write_bytes(b"no image")
    recipe = replace(RECIPE, batch_size=1)
    feed = training_feed(open_class_folders(tmp_path), recipe, 1, 1)
    with pytest.raises(RequestError, match="feed of training images failed.*verify --deep"):
        next_batch(feed.create_tuple_iterator(num_epochs=1))


def test_what_is_done_between_epochs_counts_to_no_step(records, tmp_path, monkeypatch):
    now = iter(range(1_000))  # seconds; each look at the clock is one later

    def after_save(_):
        for _ in range(100):
            next(now)
    monkeypatch.setattr(trainer_module.time, "perf_counter", lambda: next(now))
    first, second = train_in(tmp_path / "run", records, 0, monkeypatch, after_save)
    assert first["seconds_since_last_epoch"] is None
    assert second["seconds_since_last_epoch"] == 100 + 1  # until the first step's look
    looks = 2 * STEPS + 1 + 1  # two around each batch, at the end of the data and of the steps
    assert first["ms_per_step"] == second["ms_per_step"] == 1000 * looks / STEPS
