"""``Trainer.run``: what it writes, its figures, what ends it; fed by the host or through a stand-in
for the device's queue."""

import contextlib
import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from common.cli import CheckFailed, RequestError
from convert.records.reader import open_records
from common.forms import read_history
from evaluate.predictions import Predictions
from inceptionv4.checkpoint import read_checkpoint
from inceptionv4.device import Device
from inceptionv4.meta import read_meta
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
from train import trainer as trainer_module
from train.checkpoints import LoadedCheckpoint, checkpoints, newest_complete
from train.feed import TrainingFeed
from train.phases import Phase
from train.plan import make_plan
from train.options import TrainRequest
from train.recipe import PRESETS, with_epochs
from train.run_folder import start_run
from train.step import StepResult
from train.trainer import Trainer

pytestmark = pytest.mark.usefixtures("tiny_network")
RECIPE = replace(with_epochs(PRESETS["smoke"], 2), batch_size=3, workers=1, dropout_keep=0.5)
STEPS = 7  # an epoch of 21 images


def trainer_of(folder, records, sink_size=0, after_save=lambda: None, validation=None,
               keep=1, profile=None, validate_every=1, recipe=RECIPE, **plan) -> Trainer:
    """Over ``records``; ``plan`` changes the plan."""
    ms.set_seed(3)
    source = records["train"]
    start_run(folder, {}, make_plan(recipe, source, keep))
    request = TrainRequest(folder, keep=keep, sink_size=sink_size or 100, profile=profile,
                           validate_every=validate_every)
    return Trainer(request, recipe, replace(make_plan(recipe, source, keep), **plan),
                   TrainingFeed(source, recipe, STEPS), validation,
                   Device("CPU", bool(sink_size), 0, 1), after_save)


def train_in(folder, *arguments, **keywords) -> list:
    trainer_of(folder, *arguments, **keywords).run()
    return read_history(folder)


def checkpoints_of(folder) -> list:
    return sorted(path.name for path in (folder / "checkpoints").glob("*.ckpt"))


class FakeQueue:
    """For the queue on a device: sends a batch at every second look, and notes what happens."""

    batches = STEPS

    def __init__(self):
        self.events, self.sent = [], 0

    def get_send_info(self):
        self.sent = min(self.sent + 0.5, self.batches)
        return [[1, int(self.sent), 0.1, 0.1]]  # epoch, batches, seconds

    def get_mbuf_queue_size(self):
        return 1

    def stop_send(self):
        self.events.append("stop")

    def release(self):
        self.events.append("release")


def fake_data_sink(monkeypatch, batches=STEPS) -> list[FakeQueue]:
    """Stand in for ms.data_sink, which has no CPU: takes a batch per call. One queue per epoch."""
    queues = []

    def data_sink(fn, dataset, sink_size=1, jit_config=None, input_signature=None):
        assert sink_size == 1 and dataset.__total_batch__ == batches
        rows = dataset.create_tuple_iterator(num_epochs=1)
        queue = dataset.__transfer_dataset__ = FakeQueue()
        queues.append(queue)

        def take():
            queue.events.append("step")
            assert queue.events.count("step") <= queue.sent, "its batch is not sent yet"
            batch = next(rows)
            assert [(part.shape, part.dtype) for part in batch] == [
                (part.shape, part.dtype) for part in input_signature]
            return fn(*batch)
        return take
    monkeypatch.setattr(FakeQueue, "batches", batches)
    monkeypatch.setattr(ms, "data_sink", data_sink)
    monkeypatch.setattr(ms.runtime, "synchronize", lambda: queues[-1].events.append("wait"))
    return queues


def test_sink_mode_keeps_the_numbers_of_steps(records, tmp_path, monkeypatch):
    saved = []
    host = train_in(tmp_path / "host", records, after_save=lambda: saved.append(1))
    assert saved == [1, 1]
    queues = fake_data_sink(monkeypatch)
    sink = train_in(tmp_path / "sink", records, sink_size=3)
    assert [queue.events for queue in queues] == [
        ["step"] * STEPS + ["wait", "stop", "release"]] * 2
    assert [(line.epoch, line.step, line.loss, line.learning_rate) for line in sink] == [
        (line.epoch, line.step, line.loss, line.learning_rate) for line in host]
    assert [line.step for line in sink] == [STEPS, 2 * STEPS]
    assert [line.waiting_for_data for line in sink] == [None, None]
    assert checkpoints_of(tmp_path / "sink") == [f"inceptionv4-2_{2 * STEPS}.ckpt"]


def test_accumulated_batches_are_one_step_however_they_are_fed(records, tmp_path, monkeypatch):
    recipe = replace(RECIPE, batch_size=1, accumulate=3)
    host = train_in(tmp_path / "host", records, recipe=recipe)
    fake_data_sink(monkeypatch, batches=3 * STEPS)
    sink = train_in(tmp_path / "sink", records, recipe=recipe, sink_size=3)
    assert [(line.epoch, line.step, line.loss) for line in sink] == [
        (line.epoch, line.step, line.loss) for line in host]
    assert [line.step for line in sink] == [STEPS, 2 * STEPS]


def test_averaged_weights_are_scored_too_and_decide_which_checkpoint_is_the_best(
        records, tmp_path, monkeypatch):
    found = []

    def run(evaluator, validation):
        found.append(evaluator.network.classifier.weight.asnumpy().copy())
        right = len(found) * np.ones(6, np.int32) % 2  # the first of each two is wrong
        return Predictions(np.arange(1, 7, dtype=np.int32), np.ones(6, np.int32), np.zeros(6, bool),
                           np.stack([right] * 3, axis=1), np.ones((6, 3), np.float32))
    monkeypatch.setattr(trainer_module.Evaluator, "run", run)
    lines = train_in(tmp_path / "run", records, validation=records["val"],
                     recipe=replace(RECIPE, ema_decay=0.9))
    assert [(line.full_top1_error, line.ema_full_top1_error) for line in lines] == [(0, 100)] * 2
    meta, state = read_checkpoint(checkpoints(tmp_path / "run")[-1])
    assert (meta.ema_decay, meta.top1_error) == (0.9, 100)
    for name, weight in (("classifier.weight", found[2]), ("ema.classifier.weight", found[3])):
        np.testing.assert_array_equal(state[name].asnumpy(), weight)
    assert not np.array_equal(found[2], found[3])


def test_a_feed_that_hangs_or_fails_in_sink_mode_ends_the_run(records, tmp_path, monkeypatch):
    """No step waits on the device for a batch that never comes."""
    def failed(queue):
        if queue.sent == queue.batches:
            raise RuntimeError("DataQueueOp thread had been interrupted")
    queues = fake_data_sink(monkeypatch)
    monkeypatch.setattr(FakeQueue, "batches", 2)
    monkeypatch.setattr("common.deadline.SECONDS_WITHOUT_IMAGES", 0.1)
    trainer = trainer_of(tmp_path / "run", records, sink_size=100)
    with pytest.raises(RequestError, match="no batch for 0.1 s, before batch 3 of the epoch"):
        trainer.run()
    monkeypatch.setattr(FakeQueue, "get_mbuf_queue_size", failed)
    with pytest.raises(RequestError, match=r"failed \(before batch 3 of the epoch.* verify --deep"):
        trainer.run()
    assert [queue.events for queue in queues] == [["step", "step", "wait", "stop", "release"]] * 2


def steps_of(monkeypatch, losses, skipped=()):
    """Both ways to drive the step give these losses, and nothing is compiled; steps of the numbers
    ``skipped`` report that they were."""
    monkeypatch.setattr(trainer_module.TrainStep, "compile", lambda *_: None)
    for name in ("host_steps", "sink_steps"):
        monkeypatch.setattr(trainer_module, name, lambda step, *_: (
            StepResult(ms.Tensor(np.float32(loss)), ms.Tensor(number in skipped), 0.5)
            for number, loss in enumerate(losses, start=1)))


@pytest.mark.parametrize("sink_size", [0, 3, 100])
@pytest.mark.parametrize("bad", [1, 5, STEPS])
def test_a_loss_that_is_no_number_names_its_step(records, tmp_path, monkeypatch, sink_size, bad):
    steps_of(monkeypatch, [float("nan") if number == bad else 1.0 for number in range(1, 8)])
    with pytest.raises(CheckFailed, match=f"nan at step {bad}: the checkpoints of earlier epochs"):
        train_in(tmp_path / "run", records, sink_size)
    assert not (tmp_path / "run" / "history.jsonl").exists()


def test_skipped_steps_are_counted_and_may_have_any_loss(records, tmp_path, monkeypatch, capsys):
    steps_of(monkeypatch, [1, float("nan"), 3, 4, float("inf"), 6, 7], skipped=(2, 4, 5))
    monkeypatch.setattr(trainer_module.TrainStep, "current_loss_scale", lambda _: 8192.0)
    line = train_in(tmp_path / "run", records)[0]
    assert (line.skipped_steps, line.loss_scale, line.loss) == (3, 8192.0, 21 / 5)
    assert "waiting for data, loss scale 8192, 3 steps skipped;" in capsys.readouterr().out


@pytest.mark.parametrize("skipped, message", [
    ((1, 2, 3), r"3 steps in a row, up to step 3, .* loss scale has fallen to 1: .* are kept"),
    ((1, 2, 4, 6, 7), r"3 steps in a row, up to step 8, ")])
def test_too_many_skipped_steps_in_a_row_end_the_run(records, tmp_path, monkeypatch, skipped,
                                                     message):
    """Those at the end of an epoch and at the beginning of the next one are in a row, too."""
    monkeypatch.setattr(trainer_module, "MOST_SKIPPED_IN_A_ROW", 3)
    steps_of(monkeypatch, [1] * STEPS, skipped)
    monkeypatch.setattr(trainer_module.TrainStep, "current_loss_scale", lambda _: 1.0)
    with pytest.raises(CheckFailed, match=message):
        train_in(tmp_path / "run", records)


def test_a_loss_of_a_later_epoch_names_its_step_of_the_run(records, tmp_path, monkeypatch):
    steps_of(monkeypatch, [1, 2, 3, float("inf"), 4, 5, 6])
    with pytest.raises(CheckFailed, match=f"inf at step {STEPS + 4}:"):
        trainer_of(tmp_path / "run", records).run(first_epoch=2)


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


def test_a_line_of_history_has_the_epochs_own_figures(records, tmp_path, monkeypatch, capsys):
    """A second passes between two readings of the clock, 100 when an epoch's files are saved."""
    now = iter(range(1_000))

    def after_save():
        for _ in range(100):
            next(now)
    losses = iter([1.0] * STEPS + [2, 4, 6, 8, 10, 12, 14])
    monkeypatch.setattr(trainer_module.TrainStep, "__call__",
                        lambda *_: (ms.Tensor(np.float32(next(losses))), ms.Tensor(False)))
    monkeypatch.setattr(trainer_module.time, "perf_counter", lambda: next(now))
    rates = np.arange(1, 2 * STEPS + 1, dtype=np.float32)
    first, second = train_in(tmp_path / "run", records, after_save=after_save,
                             learning_rates=rates, global_batch=2 * 3)  # of two ranks
    seconds = 2 * STEPS + 1 + 1  # the clock is read around each batch, then twice at the end
    assert (first.compile_seconds, second.compile_seconds) == (1, None)
    assert first.seconds_since_last_epoch is None
    assert second.seconds_since_last_epoch == 2 + 100 + 1  # until the first step's reading
    assert [line.seconds_saving for line in (first, second)] == [1, 1]
    assert [line.seconds_validating for line in (first, second)] == [None, None]
    assert (first.loss, second.loss) == (1.0, 8.0)
    assert (first.learning_rate, second.learning_rate) == (STEPS, 2 * STEPS)
    for line in (first, second):
        assert line.ms_per_step == 1000 * seconds / STEPS
        assert line.images_per_second == STEPS * 6 / seconds
        assert line.waiting_for_data == STEPS / seconds
        assert line.full_top1_error is None
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert shown[1] == ("epoch 2/2: loss 8.000, learning rate 14, 2286 ms/step, 2.6 images/s, "
                        "44 % waiting for data; saved inceptionv4-2_14.ckpt")
    assert re.fullmatch(r"epoch 1/2: .*; saved inceptionv4-1_7.ckpt; \S+ s left", shown[0])


def predictions() -> Predictions:
    """Eight images, two of them blacklisted: top-1 wrong for 5 (filtered: 3 of 6), top-5 wrong
    for 2 (filtered: 1 of 6)."""
    top5 = np.array([[0, 1, 2, 3, 4]] * 8, np.int32)
    label = np.array([0, 0, 0, 1, 2, 9, 1, 9], np.int32)
    return Predictions(np.arange(1, 9, dtype=np.int32), label, np.arange(8) >= 6, top5,
                       np.full((8, 5), 0.2, np.float32))


def test_scores_go_to_history_checkpoint_and_screen(records, tmp_path, monkeypatch, capsys):
    seen = []

    def scored(evaluator, validation):
        seen.append((validation, evaluator.network.training))
        return predictions()
    monkeypatch.setattr(trainer_module.Evaluator, "run", scored)
    steps_of(monkeypatch, [1] * STEPS)
    history = train_in(tmp_path / "run", records, validation=records["val"])
    assert [validation for validation, _ in seen] == [records["val"]] * 2
    line = history[-1]
    assert (line.full_top1_error, line.full_top5_error) == (62.5, 25.0)
    assert (line.filtered_top1_error, line.filtered_top5_error) == (50.0, pytest.approx(100 / 6))
    meta = read_meta(tmp_path / "run" / "checkpoints" / f"inceptionv4-2_{2 * STEPS}.ckpt")
    assert (meta.epoch, meta.step, meta.top1_error) == (2, 2 * STEPS, 62.5)
    assert (meta.num_classes, meta.image_size, meta.batch_norm_decay) == (3, 75, 0.9)
    assert (meta.mean, meta.std) == (INCEPTION_MEAN, INCEPTION_STD)
    assert meta.class_names_sha256 == records["val"].class_names_sha256
    assert list(meta.class_names) == records["val"].class_names
    assert list(meta.class_words) == records["val"].class_words
    assert all(re.fullmatch("[a-z]+ [a-z]+ on [a-z]+", words) for words in meta.class_words)
    assert ("full set: top-1 error 62.5 %, top-5 25.0 %; filtered set: top-1 error 50.0 %, "
            "top-5 16.7 %") in capsys.readouterr().out


def test_a_checkpoint_holds_network_and_optimiser_of_this_version(records, tmp_path):
    trainer = trainer_of(tmp_path / "run", records)
    path = trainer.run()
    _, state = read_checkpoint(path)
    assert int(state["global_step"].asnumpy()[0]) == 2 * STEPS
    assert "moment1.classifier.weight" in state and "learning_rate" not in state
    for name, value in trainer.network.parameters_and_names():
        np.testing.assert_array_equal(state[name].asnumpy(), value.asnumpy())
    found = newest_complete(tmp_path / "run")
    found.state["of_another"] = found.state["global_step"]
    with pytest.raises(RequestError, match="inceptionv4-2_14.ckpt: 'of_another' is unknown"):
        trainer.restore(found)


def test_the_optimizer_restarts_at_a_phase_as_in_a_job_of_its_own(records, tmp_path):
    phases = (Phase(1, 0, 0.5, 1, 1), Phase(1, 0, 0.2, 1, 1))
    recipe = replace(RECIPE, phases=phases, optimizer="rmsprop", decay=0.5, epsilon=0.01,
                     momentum=0.5, restart_optimizer=True)
    whole = trainer_of(tmp_path / "whole", records, keep=2, recipe=recipe)
    whole.run()
    first, _ = checkpoints(tmp_path / "whole")
    ends = []
    for name, fresh in (("afresh", True), ("onwards", False)):
        trainer = trainer_of(tmp_path / name, records,
                             recipe=replace(recipe, restart_optimizer=False))
        new = {key: value for key, value in trainer.state.items()
               if fresh and key.startswith(("mean_square.", "moment."))}
        trainer.restore(LoadedCheckpoint(first, read_meta(first),
                                         {**read_checkpoint(first)[1], **new}))
        trainer.run(first_epoch=2)
        ends.append([key for key, value in trainer.state.items()
                     if not np.array_equal(value.asnumpy(), whole.state[key].asnumpy())])
    assert ends[0] == [] and "conv.weight" in ends[1]


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


def test_an_epoch_that_cannot_be_scored_is_saved(records, tmp_path, monkeypatch, capfd):
    def unscored(evaluator, validation):
        raise RequestError("image id 7 cannot be decoded")
    monkeypatch.setattr(trainer_module.Evaluator, "run", unscored)
    steps_of(monkeypatch, [1] * STEPS)
    history = train_in(tmp_path / "run", records, validation=records["val"])
    assert [line.full_top1_error for line in history] == [None, None]
    assert "warning: epoch 1 has no score: image id 7" in capfd.readouterr().err
