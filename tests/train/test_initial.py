"""``--init``: what a new run takes over from a checkpoint, what not, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from tiny import build_tiny_network

from common.forms import read_history
from inceptionv4.checkpoint import read_checkpoint, save_checkpoint
from inceptionv4.meta import read_meta
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
from train import command
from train.checkpoints import checkpoints
from train.initial import initial_weights
from train.options import parse

FLAGS = ("--preset", "smoke", "--epochs", 2, "--batch-size", 4, "--steps-per-epoch", 2,
         "--workers", 1, "--device", "CPU")
MEAN, STD = (10.0, 120.0, 90.0), (60.0, 127.0, 200.0)


@pytest.fixture(scope="module")
def trained(records, tmp_path_factory) -> Path:
    """A checkpoint of three classes with statistics of its own, made by a run."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.trainer.build_network", build_tiny_network)
        command.train(*parse([str(word) for word in (
            "--records", records["train"].folder, "--run", folder, *FLAGS)]))
    return with_meta(folder / "last.ckpt", folder / "trained.ckpt", mean=MEAN, std=STD)


def with_meta(source: Path, copy: Path, **changes) -> Path:
    meta, values = read_checkpoint(source)
    save_checkpoint(copy, values, replace(meta, **changes))
    return copy


def with_more(source: Path, copy: Path) -> Path:
    """Copy a checkpoint with one parameter more, so that its digest is another."""
    meta, values = read_checkpoint(source)
    save_checkpoint(copy, {**values, "more": values["conv.weight"]}, meta)
    return copy


def arrays_of(parameters) -> dict[str, np.ndarray]:
    return {name: value.asnumpy() for name, value in parameters.items()}


@pytest.fixture
def started(monkeypatch) -> list:
    """The trainers of this test's runs, which take no step."""
    trainers: list = []
    monkeypatch.setattr(command.Trainer, "run",
                        lambda trainer, first_epoch: trainers.append(trainer))
    return trainers


def words_of(records, folder, *flags) -> list:
    return ["--records", records["train"].folder, "--run", folder, *FLAGS, *flags]


def error_of(capfd) -> str:
    error, = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    return error


def config_of(folder) -> dict:
    return json.loads((folder / "config.json").read_text())


def test_weights_and_averages_are_taken_over_and_nothing_else(records, trained, call, started,
                                                              tmp_path, capfd):
    assert call(*words_of(records, tmp_path, "--init", trained, "--seed", 5)) == 0
    trainer, = started
    values = arrays_of(read_checkpoint(trained)[1])
    own = arrays_of(trainer.network.parameters_dict())
    assert {"bn.moving_mean", "conv.weight", "classifier.weight"} <= own.keys()
    for name, value in own.items():
        assert np.array_equal(value, values[name]), name
    rest = {name: value for name, value in arrays_of(trainer.state).items() if name not in own}
    assert values["global_step"] == 4 and rest["global_step"] == 0
    assert all(not rest[name].any() for name in rest if name.startswith("moment"))
    config = config_of(tmp_path)
    assert (config["init"], config["init_sha256"]) == (str(trained),
                                                       read_meta(trained).ckpt_sha256)
    captured = capfd.readouterr()
    assert f"those of {trained}, epoch 2;" in captured.out and "fresh" not in captured.out
    assert "other names" not in captured.err


def test_averaged_weights_are_taken_where_there_are_some(records, trained, call, started, tmp_path,
                                                         capfd):
    """The new run's own averages start from them."""
    meta, values = read_checkpoint(trained)
    averages = {"ema." + name: ms.Tensor(values[name].asnumpy() + 1)
                for name in ("conv.weight", "bn.gamma", "bn.beta", "classifier.weight",
                             "classifier.bias")}
    init = tmp_path / "averaged.ckpt"
    save_checkpoint(init, {**values, **averages}, replace(meta, ema_decay=0.9))
    assert call(*words_of(records, tmp_path / "run", "--init", init, "--ema-decay", 0.9)) == 0
    state = arrays_of(started[0].state)
    for name, value in arrays_of(averages).items():
        assert np.array_equal(state[name], value), name
        assert np.array_equal(state[name.removeprefix("ema.")], value), name
    assert np.array_equal(state["bn.moving_mean"], values["bn.moving_mean"].asnumpy())
    assert "--init: averaged weights and" in capfd.readouterr().out


def test_other_classes_get_a_fresh_classifier(records, other_records, trained, call, started,
                                              tmp_path, capfd):
    """Drawn from the seed as without ``--init``, so that all ranks have the same."""
    assert call(*words_of(other_records, tmp_path / "fresh")) == 0
    assert call(*words_of(other_records, tmp_path / "dry", "--init", trained, "--dry-run")) == 0
    assert call(*words_of(other_records, tmp_path / "run", "--init", trained)) == 0
    line = ("--init: the checkpoint has 3 classes, these records 2: the classifier starts fresh\n")
    assert capfd.readouterr().out.count(line) == 2
    fresh, own = (arrays_of(trainer.network.parameters_dict()) for trainer in started)
    values = arrays_of(read_checkpoint(trained)[1])
    for name, value in own.items():
        expected = fresh if name in ("classifier.weight", "classifier.bias") else values
        assert np.array_equal(value, expected[name]), name


@pytest.mark.parametrize("digest, warned", [("", False), ("a" * 64, True)])
def test_as_many_classes_of_other_names_are_warned_of(records, trained, call, started, tmp_path,
                                                      capfd, digest, warned):
    init = with_meta(trained, tmp_path / "other.ckpt", class_names_sha256=digest,
                     class_names=())
    assert call(*words_of(records, tmp_path / "run", "--init", init)) == 0
    warning = "warning: --init: the checkpoint's classes have other names"
    assert (warning in capfd.readouterr().err) == warned


def test_images_are_normalised_as_the_checkpoints_were(records, trained, call, tmp_path,
                                                       monkeypatch):
    """By the device and by the host, in training and validation, and again from the new run's own
    checkpoint; with other statistics the losses are others."""
    seen = []
    run = command.Trainer.run
    monkeypatch.setattr(command.Trainer, "run",
                        lambda trainer, first: seen.append(trainer) or run(trainer, first))
    usual = with_meta(trained, tmp_path / "usual.ckpt", mean=INCEPTION_MEAN, std=INCEPTION_STD)
    losses = []
    for name, init, flags in (("device", trained, ()), ("usual", usual, ()),
                              ("host", trained, ("--normalize-on", "host"))):
        assert call(*words_of(records, tmp_path / name, "--init", init, "--epochs", 1, *flags)) == 0
        losses.append(read_history(tmp_path / name)[0].loss)
    assert losses[2] == pytest.approx(losses[0], rel=1e-4)
    assert losses[1] != pytest.approx(losses[0], rel=1e-2)
    assert seen[2].evaluator.classifier.preprocess.mean.asnumpy().ravel().tolist() == list(MEAN)
    meta = read_meta(tmp_path / "host" / "last.ckpt")
    assert (meta.mean, meta.std, meta.epoch) == (MEAN, STD, 1)
    assert (config_of(tmp_path / "host")["mean"], config_of(tmp_path / "host")["std"]) == (
        list(MEAN), list(STD))


def remove(checkpoint: Path) -> None:
    checkpoint.unlink()
    checkpoint.with_suffix(".meta").unlink()


def test_a_run_resumes_without_the_file_and_may_be_repeated(records, trained, call, tmp_path,
                                                            capfd):
    init, whole, run = with_meta(trained, tmp_path / "init.ckpt"), tmp_path / "a", tmp_path / "b"
    assert call(*words_of(records, whole, "--init", init)) == 0
    assert parse(["--config", str(whole / "config.json"), "--run", "x"])[0].init == init
    shutil.copytree(whole, run)
    remove(checkpoints(run)[-1])
    for same in (("--init", init), ("--init", trained)):  # wherever it lies
        assert call(*words_of(records, run, "--resume", "--dry-run", *same)) == 0
    remove(init)
    capfd.readouterr()
    assert call(*words_of(records, run, "--resume", "--dry-run", "--init", init)) == 0
    assert "weights and batch norm's averages" not in capfd.readouterr().out
    assert call(*words_of(records, run, "--resume")) == 0
    ends = [arrays_of(read_checkpoint(folder / "last.ckpt")[1]) for folder in (whole, run)]
    assert all(np.array_equal(ends[1][name], ends[0][name]) for name in ends[0])
    for name in ("init", "init_sha256", "mean"):
        assert config_of(run)[name] == config_of(whole)[name]
    for checkpoint in checkpoints(run):
        remove(checkpoint)
    assert call(*words_of(records, run, "--resume")) == 2  # from the beginning, which is gone
    assert f"--init: checkpoint '{init}' does not exist" in error_of(capfd)
    with_more(trained, init)
    assert call(*words_of(records, run, "--resume")) == 2
    assert "is not the one that the run was started from" in error_of(capfd)


def test_another_checkpoint_than_the_runs_is_refused(records, trained, call, started, tmp_path,
                                                     capfd):
    other = with_more(trained, tmp_path / "other.ckpt")
    assert call(*words_of(records, tmp_path / "run", "--init", trained)) == 0
    assert call(*words_of(records, tmp_path / "fresh")) == 0
    for run, source in (("run", trained), ("fresh", "none")):
        assert call(*words_of(records, tmp_path / run, "--init", other, "--resume")) == 2
        assert (f"checkpoint '{other}' is not the one that the run was started from ({source}); "
                "leave --init out" in error_of(capfd))
    assert call(*words_of(records, tmp_path / "run", "--init", trained)) == 2
    assert "is in use (it holds" in error_of(capfd)
    (tmp_path / "run" / "config.json").write_text(json.dumps(
        {**config_of(tmp_path / "run"), "mean": "grey"}))
    assert call(*words_of(records, tmp_path / "run", "--resume")) == 2
    assert "'mean'" in error_of(capfd)


def test_a_checkpoint_that_cannot_be_used_is_refused(records, trained, call, started, tmp_path,
                                                     capfd):
    meta, values = read_checkpoint(trained)
    for name in ("torn", "lacking", "wider"):
        save_checkpoint(tmp_path / f"{name}.ckpt", {
            "torn": values,
            "lacking": {key: value for key, value in values.items() if key != "bn.gamma"},
            "wider": {**values, "bn.gamma": values["conv.weight"]}}[name], meta)
    (tmp_path / "torn.ckpt").write_bytes(b"x")
    for name, words in (("missing", "missing.ckpt' does not exist"), ("torn", "torn or damaged"),
                        ("lacking", "has no parameter 'bn.gamma'"),
                        ("wider", "parameter 'bn.gamma' is Float32(8, 3, 7, 7) instead of")):
        for mode in ((), ("--dry-run",)):
            init = tmp_path / f"{name}.ckpt"
            assert call(*words_of(records, tmp_path / "run", "--init", init, *mode)) == 2
            error = error_of(capfd)
            assert error.startswith("error: --init: ") and words in error
    assert started == []


def test_the_name_of_a_link_stays_where_its_target_has_no_such_name(trained, tmp_path):
    """Links into a store of files named after their content, and one to a checkpoint."""
    for suffix in (".ckpt", ".meta"):
        stored = shutil.copy(trained.with_suffix(suffix), tmp_path / f"0123{suffix[1:]}")
        (tmp_path / f"model{suffix}").symlink_to(stored)
        (tmp_path / f"best{suffix}").symlink_to(trained.with_suffix(suffix))
    assert initial_weights(tmp_path / "model.ckpt", None).path == tmp_path / "model.ckpt"
    assert initial_weights(tmp_path / "best.ckpt", None).path == trained
