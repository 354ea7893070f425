"""What is asked for on the command line reaches what it is for; each with a value of its own, since
two that are equal could be swapped."""

import contextlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import mindspore as ms
import numpy as np
import pytest
from small_trainer import RECIPE, STEPS, predictions, steps_of, trainer_of
from tiny import TinyNetwork

from common.cli import DUMP_FOLDER, RequestError
from common.forms import HistoryLine
from convert.records import reader
from evaluate.protocols import protocol_of
from inceptionv4.device import Device
from inceptionv4.preprocess import InputStatistics
from train import command, source
from train import trainer as trainer_module
from train.checkpoints import checkpoints
from train.feed import TrainingFeed
from train.options import TrainRequest, parse
from train.plan import Plan, check_disk, describe_plan, make_plan
from train.recipe import PRESETS, SOURCES
from train.run_folder import add_to_tensorboard
from train.source import open_class_folders, open_data
from train.step import TrainStep

STATISTICS = InputStatistics((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


class FakeBar(contextlib.nullcontext):
    """Notes what a progress bar is told."""

    def __init__(self, *asked, **options):
        super().__init__(self)
        self.asked, self.options = asked, options
        self.total, self.n = asked[0], 0
        self.done: list[int] = []
        self.notes: list[str] = []

    def update(self, number: int) -> None:
        self.n += number
        self.done.append(number)

    def set_postfix_str(self, text: str, refresh: bool) -> None:
        assert not refresh  # ``update`` decides when it is drawn
        self.notes.append(text)


@pytest.fixture
def bars(monkeypatch):
    """The progress bars of trainers and of the check of class folders."""
    made: list[FakeBar] = []

    def bar(*asked, **options):
        made.append(FakeBar(*asked, **options))
        return made[-1]
    for module in (trainer_module, source):
        monkeypatch.setattr(module, "progress_bar", bar)
    return made


def test_the_device_is_set_up_as_the_command_says(monkeypatch, tmp_path):
    """Dumps go next to the run, unless the launcher has a place for them."""
    asked: list = []
    monkeypatch.setattr(command, "setup_device", lambda *given: asked.append(given))
    cache = tmp_path / "cache"
    request, recipe = parse(["--records", "r", "--run", str(tmp_path / "run"), "--preset", "smoke",
                             "--device", "CPU", "--seed", "7", "--precision", "mixed",
                             "--jit-level", "O1", "--deterministic", "--compile-cache", str(cache)])
    for before, after in ((None, f"{tmp_path / 'run'}-log"), ("elsewhere", "elsewhere")):
        monkeypatch.setenv(DUMP_FOLDER, before or "")
        if before is None:
            monkeypatch.delenv(DUMP_FOLDER)
        command._setup(request, recipe)
        assert command.os.environ[DUMP_FOLDER] == after
    assert asked == [("CPU", 7, "mixed", "O1", True)] * 2 and cache.is_dir()
    cache.rmdir()
    cache.write_text("")
    with pytest.raises(RequestError, match="--compile-cache"):
        command._setup(request, recipe)


def test_a_dry_run_checks_what_a_run_checks(records, call, tmp_path, monkeypatch, capfd):
    words = ("--records", records["train"].folder, "--run", tmp_path / "run", "--device", "CPU",
             "--preset", "adsl-8p", "--batch-size", 1, "--epochs", 2, "--workers", 1)
    assert call(*words, "--dry-run", 3) == 0
    assert "this run has 3, 3 images per step" in capfd.readouterr().err
    for flags in ((), ("--dry-run",)):
        with monkeypatch.context() as patched:
            patched.setattr("train.plan.shutil.disk_usage", lambda _: Mock(free=10**9))
            assert call(*words, *flags) == 2
        assert "the disk has 1.0 GB left" in capfd.readouterr().err


def test_ranks_compare_what_they_were_asked_for_and_where_they_resume(
        records, call, tmp_path, monkeypatch, capfd):
    """Where they differ nothing is written, and nothing trained."""
    words = ("--records", records["train"].folder, "--run", tmp_path / "run", "--preset", "smoke",
             "--epochs", 2, "--batch-size", 4, "--steps-per-epoch", 2, "--workers", 1, "--device",
             "CPU")
    trained: list = []
    monkeypatch.setattr(command.Trainer, "run", lambda trainer, first: trained.append(first))
    compared: list = []
    answers: list = []

    def ranks_agree(device, *numbers):
        compared.append(numbers)
        return answers.pop(0)
    monkeypatch.setattr(command, "ranks_agree", ranks_agree)
    answers[:] = [True, True]
    assert call(*words) == 0 and trained == [1]
    assert len(compared[0]) == 1 and compared[1] == (0, 0)  # no checkpoint
    state = trainer_state(records, tmp_path / "run", words)
    digest = int(state.meta.ckpt_sha256[:6], 16)
    for given, code, said in (([False], 2, "were started with different flags"),
                              ([True, False], 2, "different checkpoints (this one from step 2)"),
                              ([True, True], 0, "epoch 1 is the last one saved")):
        compared.clear()
        answers[:] = given
        assert call(*words, "--resume") == code
        printed = capfd.readouterr()
        assert said in printed.out + printed.err
        assert compared[1:] == [(2, digest)] * (len(given) - 1)
    assert trained == [1, 2]


def trainer_state(records, run: Path, words) -> SimpleNamespace:
    """Save a checkpoint of the first epoch, two steps, with fresh weights."""
    request, recipe = parse([str(word) for word in words])
    source_ = records["train"]
    plan = make_plan(recipe, source_, 3)
    trainer = command.Trainer(request, recipe, plan, TrainingFeed(source_, recipe, 2), None,
                              Device("CPU", False, 0, 1))
    trainer._save(HistoryLine(1, 2, 1.0, 0.1, 5.0, 7.0))
    return SimpleNamespace(meta=command.read_meta(checkpoints(run)[-1]))


@pytest.mark.parametrize("name", ["records", "val_records"])
def test_a_limit_on_open_files_is_noticed_before_anything_is_read(records, monkeypatch, tmp_path,
                                                                  name):
    asked = {"records": records["train"].folder, "val_records": records["val"].folder}
    monkeypatch.setattr(reader, "open_files", lambda: 1)
    limits = {records["train"].folder: 10**6, records["val"].folder: 10**6, asked[name]: 5}
    readers = reader.RecordSet.readers

    def limited(record_set, threads):
        monkeypatch.setattr(reader, "open_file_limit", lambda: limits[record_set.folder])
        return readers(record_set, threads)
    monkeypatch.setattr(reader.RecordSet, "readers", limited)
    with pytest.raises(RequestError, match=f"reading {asked[name]} takes at least .* open files"):
        open_data(TrainRequest(tmp_path, **asked))


def test_a_trainer_scores_with_its_own_device_workers_and_statistics(records, tmp_path,
                                                                     tiny_network, monkeypatch):
    monkeypatch.setattr("evaluate.evaluator.available_cores", lambda: 9)
    request, recipe = TrainRequest(tmp_path, sink=False), replace(RECIPE, workers=2, image_size=76)
    device = Device("CPU", False, 1, 2)
    feed = TrainingFeed(records["train"], recipe, STEPS, 1, STATISTICS)
    trainer = trainer_module.Trainer(request, recipe, make_plan(recipe, records["train"], 1), feed,
                                     records["val"], device)
    evaluator = trainer.evaluator
    assert (evaluator.workers, evaluator.device, evaluator.protocol) == (
        2, device, protocol_of(1, 76))
    for preprocess in (evaluator.classifier.preprocess, trainer.step.preprocess):
        assert preprocess.mean.asnumpy().ravel().tolist() == [1, 2, 3]
        assert preprocess.std.asnumpy().ravel().tolist() == [4, 5, 6]
    assert trainer.step.keys.rows.asnumpy().tolist() == [1, 2, 3]  # rank 1, of a recipe of one
    assert evaluator.network is trainer.network


def test_moving_averages_are_those_of_rank_0_before_they_are_scored(records, tmp_path, tiny_network,
                                                                    monkeypatch):
    events: list = []
    monkeypatch.setattr(
        trainer_module, "copy_from_rank_0", lambda device, parameters: events.append(
            (device.rank, [parameter.name for parameter in parameters])))
    monkeypatch.setattr(trainer_module.Evaluator, "run",
                        lambda *_: events.append("scored") or predictions())
    steps_of(monkeypatch, [1] * STEPS)
    trainer_of(tmp_path / "run", records, validation=records["val"]).run(first_epoch=2)
    assert events == [(0, ["bn.moving_mean", "bn.moving_variance"]), "scored"]


@pytest.mark.parametrize("sink_size", [0, 3])
def test_an_epochs_bar_counts_its_images_and_has_the_last_loss_and_rate(
        records, tmp_path, tiny_network, monkeypatch, bars, sink_size):
    steps_of(monkeypatch, [1, 2, 3, 4, 5, 6, 7])
    rates = np.arange(1, 2 * STEPS + 1, dtype=np.float32)
    trainer = trainer_of(tmp_path / "run", records, sink_size=sink_size, learning_rates=rates,
                         global_batch=6)
    trainer._train_epoch(2)
    bar, = bars
    assert bar.asked == (STEPS * 6, "epoch 2/2", "images")
    assert bar.options == {"keep": False, "shown": True}
    assert sum(bar.done) == STEPS * 6 and set(bar.done[:-1]) == {6 * max(sink_size, 1)}
    assert bar.notes[0].startswith(f"loss {max(sink_size, 1)}.000, rate {7 + max(sink_size, 1)}, ")
    assert bar.notes[-1].startswith("loss 7.000, rate 14, ") and len(bar.notes) == len(bar.done)
    trainer.device = replace(trainer.device, rank=1)
    assert not trainer._bar(1).options["shown"]


def test_the_averages_of_weights_are_not_trained(tiny_network):
    step = TrainStep(replace(RECIPE, ema_decay=0.9), TinyNetwork(3), np.ones(3, np.float32))
    trained = [weight.name for weight in step.trainable_params()]
    assert "conv.weight" in trained and "ema.conv.weight" not in trained


def test_as_many_threads_crop_as_the_recipe_says(records):
    batches = TrainingFeed(records["train"], replace(RECIPE, workers=2), 1).epoch(1)
    assert batches.children[0].num_parallel_workers == 2


def test_class_folders_have_images_of_every_kind_in_label_order(tmp_path, monkeypatch, bars):
    """Next to a list that another layout would be recognised by; seen from the folder above."""
    for name, size in (("n02/b.png", 7), ("n01/a.JPEG", 5), ("n01/c.jpg", 11), ("n02/a.txt", 9)):
        (tmp_path / "set" / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / "train" / name).write_bytes(bytes(size))
    (tmp_path / "set" / "LOC_synset_mapping.txt").write_text("n01 tench, Tinca\nn02 goldfish\n")
    (tmp_path / "set" / "ILSVRC2012_img_train.tar").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    found = open_class_folders(Path("set"))
    assert (found.images, found.image_bytes) == (3, 23)
    assert (found.class_names, found.class_words) == (["n01", "n02"], ["tench", "goldfish"])
    assert found.folder == tmp_path / "set" / "train"
    monkeypatch.setattr(source, "LOT", 2)
    source.check_jpegs(found)
    assert [(bar.asked, bar.done) for bar in bars] == [((3, "check headers", "images"), [2, 1])]


def test_the_disk_needs_room_for_what_is_not_there_yet(tmp_path, monkeypatch):
    """A resumed run's own checkpoints count, a link to one does not."""
    monkeypatch.setattr("train.plan.shutil.disk_usage", lambda _: Mock(free=100))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "a.ckpt").write_bytes(bytes(40))
    (tmp_path / "last.ckpt").symlink_to(tmp_path / "checkpoints" / "a.ckpt")
    plan = Mock(spec=Plan, checkpoint_bytes=140)
    check_disk(tmp_path, plan)
    plan.checkpoint_bytes = 141
    with pytest.raises(RequestError, match="its checkpoints take"):
        check_disk(tmp_path, plan)


def test_a_plan_counts_averages_and_names_every_source(records):
    recipe = replace(PRESETS["paper"], ranks=1, batch_size=5, accumulate=2)
    plain, averaged = (make_plan(replace(recipe, ema_decay=decay), records["train"], 1)
                       for decay in (0.0, 0.9999))
    assert averaged.checkpoint_bytes * 3 == plain.checkpoint_bytes * 4
    text = " ".join(describe_plan(averaged, recipe).split())
    for values in SOURCES["paper"].values():
        assert values in text
    assert "averaged weights: decay 0.9999" in text and "1 rank x 5 x 2 batches = 10 " in text
    assert "averaged weights: " not in describe_plan(plain, replace(recipe, ema_decay=0.0))


@pytest.mark.parametrize("changes, said", [
    (dict(batch_size=6, accumulate=4), "--batch-size 6 --accumulate 4: each of 1 rank .* most 5$"),
    (dict(ranks=2, batch_size=1, accumulate=11), "at most --batch-size 1 --accumulate 10$")])
def test_the_largest_batch_that_fits_is_named(records, changes, said):
    with pytest.raises(RequestError, match=said):
        make_plan(replace(PRESETS["smoke"], **changes), records["train"], 1)


def test_tensorboard_gets_every_figure_of_an_epoch_at_its_step(tmp_path, monkeypatch):
    """From this step on, what an earlier start of the run wrote is hidden."""
    board = pytest.importorskip("tensorboardX", reason="the report extra is not installed")
    made: list = []
    written: list = []
    writer = contextlib.nullcontext(SimpleNamespace(add_scalar=lambda *what: written.append(what)))
    monkeypatch.setattr(board, "SummaryWriter",
                        lambda *asked, **options: made.append((asked, options)) or writer)
    add_to_tensorboard(tmp_path, HistoryLine(3, 12, 2.5, 0.25, 456.0, 89.0, None, 1.5))
    assert made == [((str(tmp_path / "tensorboard"),),
                     {"purge_step": 12, "filename_suffix": ".epoch-3"})]
    assert written == [("loss", 2.5, 12), ("learning_rate", 0.25, 12), ("ms_per_step", 456.0, 12),
                       ("images_per_second", 89.0, 12), ("seconds_since_last_epoch", 1.5, 12)]


def test_the_profiler_leaves_out_the_first_steps_and_warms_up_in_the_last_of_them(
        records, tmp_path, tiny_network, monkeypatch):
    asked: list = []
    steps_of(monkeypatch, [1.0] * STEPS)
    for module in ("train.trainer", "train.profiling"):
        monkeypatch.setattr(f"{module}.UNPROFILED_STEPS", 4)
    monkeypatch.setattr(ms.profiler, "schedule", lambda **values: asked.append(values))
    monkeypatch.setattr(ms.profiler, "tensorboard_trace_handler", lambda folder: folder)
    profiler = Mock()
    monkeypatch.setattr(ms.profiler, "profile", lambda **values: asked.append(values) or profiler)
    trainer_of(tmp_path / "run", records, profile=3).run()
    assert asked == [dict(wait=3, warmup=1, active=3, repeat=1),
                     dict(schedule=None, on_trace_ready=str(tmp_path / "run" / "profile"))]
    assert profiler.step.call_count == STEPS and profiler.stop.call_count == 1
    with pytest.raises(RequestError, match="--profile 4: .* give at most 3$"):
        trainer_of(tmp_path / "run", records, profile=4)
