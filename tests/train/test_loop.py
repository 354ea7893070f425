"""Fed by the host or through a stand-in for the device's queue, the steps are the same."""

from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest

from inceptionv4 import Device
from tiny import TinyNetwork
from train import trainer as trainer_module
from train.plan import make_plan
from train.recipe import PRESETS, with_epochs
from train.run_folder import read_history, start_run
from train.trainer import Run, Trainer

RECIPE = replace(with_epochs(PRESETS["smoke"], 2), batch_size=3, workers=1)
STEPS = 7  # an epoch of 21 pictures


def stand_in(queues: list):
    """For ms.data_sink, which has no CPU: takes a batch a call, and counts the calls."""
    def data_sink(fn, dataset, sink_size=1, jit_config=None, input_signature=None):
        assert sink_size == 1
        batches = dataset.create_tuple_iterator(num_epochs=1)
        queues.append(0)

        def take():
            queues[-1] += 1
            batch = next(batches)
            assert [(part.shape, part.dtype) for part in batch] == [
                (part.shape, part.dtype) for part in input_signature]
            return fn(*batch)
        return take
    return data_sink


def train_in(folder, records, sink_size, monkeypatch, after_save=lambda _: None) -> list:
    monkeypatch.setattr(trainer_module, "build_network",
                        lambda recipe, classes: TinyNetwork(classes, dropout_keep=0.5))
    ms.set_seed(3)
    plan = make_plan(RECIPE, records["train"], 1)
    start_run(folder, {}, plan)
    run = Run(folder, 1, sink_size, after_save)
    Trainer(RECIPE, plan, records["train"], None, Device("CPU", False, 0, 1), run).run()
    return read_history(folder)


def without_times(history):
    return [{name: line[name] for name in ("epoch", "step", "loss", "learning_rate")}
            for line in history]


@pytest.mark.parametrize("sink_size", [1, 3, 100])
def test_sink_mode_keeps_the_numbers_of_steps(records, tmp_path, monkeypatch, sink_size):
    saved = []
    host = train_in(tmp_path / "host", records, 0, monkeypatch, saved.append)
    assert saved == [tmp_path / "host"] * 2
    queues = []
    monkeypatch.setattr(ms, "data_sink", stand_in(queues))
    sink = train_in(tmp_path / "sink", records, sink_size, monkeypatch)
    assert queues == [STEPS, STEPS]
    assert without_times(sink) == without_times(host)
    assert [line["step"] for line in sink] == [STEPS, 2 * STEPS]
    assert sink[0]["waiting_for_data"] is None and 0 <= host[0]["waiting_for_data"] <= 1
    assert [path.name for path in (tmp_path / "sink" / "checkpoints").glob("*.ckpt")] == [
        f"inceptionv4-2_{2 * STEPS}.ckpt"]


@pytest.mark.parametrize("sink_size", [0, 3])
def test_a_loss_that_is_no_number_names_its_step(records, tmp_path, monkeypatch, sink_size):
    from common import CheckFailed
    from train import loop
    bad = ms.Tensor(np.float32("nan"))
    for name in ("host_steps", "sink_steps"):
        monkeypatch.setattr(trainer_module, name, lambda step, *_: (
            loop.Taken(bad if number == 4 else ms.Tensor(1.0), 0.0) for number in range(STEPS)))
    with pytest.raises(CheckFailed, match="nan at step 5: the checkpoints of earlier epochs"):
        train_in(tmp_path / "run", records, sink_size, monkeypatch)
    assert not (tmp_path / "run" / "history.jsonl").exists()


def test_a_full_disk_does_not_end_the_run(records, tmp_path, monkeypatch, capfd):
    save = trainer_module.add_checkpoint

    def full_after_the_first(folder, state, meta, keep):
        if meta.epoch == 2:
            raise OSError(28, "No space left on device")
        return save(folder, state, meta, keep)
    monkeypatch.setattr(trainer_module, "add_checkpoint", full_after_the_first)
    history = train_in(tmp_path / "run", records, 0, monkeypatch)
    assert len(history) == 2
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("*.ckpt")] == [
        f"inceptionv4-1_{STEPS}.ckpt"]
    assert "warning: epoch 2 could not be saved" in capfd.readouterr().err


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
