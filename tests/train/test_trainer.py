"""``Trainer.run``: what it writes, its figures, what ends it; fed by the host or through a stand-in
for the device's queue."""

import re
from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from small_trainer import RECIPE, STEPS, checkpoints_of, predictions, steps_of, train_in, trainer_of

from common.cli import CheckFailed, RequestError
from evaluate.predictions import Predictions
from inceptionv4.checkpoint import read_checkpoint
from inceptionv4.meta import read_meta
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
from train import trainer as trainer_module
from train.checkpoints import LoadedCheckpoint, checkpoints, newest_complete
from train.phases import Phase

pytestmark = pytest.mark.usefixtures("tiny_network")


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
    assert "waiting for data, loss scale 8192, 3 steps skipped; " in (
        " ".join(capsys.readouterr().out.split()))


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


def test_a_step_in_parts_waits_for_each_of_its_batches(records, tmp_path, monkeypatch):
    """A second passes between two readings of the clock, one before and one after each batch."""
    now = iter(range(1_000))
    monkeypatch.setattr(trainer_module.TrainStep, "compile", lambda *_: None)
    monkeypatch.setattr(trainer_module.TrainStep, "__call__",
                        lambda *_: (ms.Tensor(np.float32(1)), ms.Tensor(False)))
    monkeypatch.setattr(trainer_module.time, "perf_counter", lambda: next(now))
    recipe = replace(RECIPE, batch_size=1, accumulate=3)
    for line in train_in(tmp_path / "run", records, recipe=recipe):
        assert line.waiting_for_data == 3 * STEPS / (2 * 3 * STEPS + 2)


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
    shown = re.findall("^epoch .*(?:\n    .*)*", capsys.readouterr().out, re.MULTILINE)
    shown = [" ".join(text.split()) for text in shown]
    assert shown[1] == ("epoch 2/2: loss 8.000, learning rate 14, 2286 ms/step, 2.6 images/s, "
                        "44 % waiting for data; saved inceptionv4-2_14.ckpt")
    assert re.fullmatch(r"epoch 1/2: .*; saved inceptionv4-1_7.ckpt; \S+ s left", shown[0])


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
    assert ("full set: top-1 error 62.5 %; filtered set: top-1 error 50.0 %; saved"
            ) in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("validates", [True, False])
def test_validation_is_compiled_before_the_first_step(records, tmp_path, monkeypatch, validates):
    """So that compiling does not count into the estimated time left."""
    seen = []
    monkeypatch.setattr(trainer_module.Evaluator, "compile", lambda _: seen.append("compile"))
    monkeypatch.setattr(trainer_module.Evaluator, "run", lambda *_: predictions())
    monkeypatch.setattr(trainer_module.TrainStep, "__call__", lambda *_: (
        seen.append("step"), (ms.Tensor(np.float32(1)), ms.Tensor(False)))[1])
    train_in(tmp_path / "run", records, validation=records["val"] if validates else None)
    assert seen == ["compile"] * validates + ["step"] * 2 * STEPS


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
