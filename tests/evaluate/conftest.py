"""Record sets of small images, a checkpoint of the small network, the command in this process."""

import sys
from pathlib import Path

import mindspore as ms
import pytest
from small import (CLASSES, HUGE, IMAGES, MEAN, RESULT, STD, SmallNetwork, converted, words_of,
                   write_source)

import evaluate.command
import evaluate.predict
from common.cli import run_command
from evaluate.__main__ import main
from evaluate.evaluator import Evaluator
from evaluate.predictions import saved_rows
from evaluate.results import EvaluationSpeed, Result
from inceptionv4.checkpoint import network_parameters, save_checkpoint
from inceptionv4.meta import CheckpointMeta


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_source(folder)
    return folder


@pytest.fixture(scope="session")
def records(source, tmp_path_factory):
    """Seven images of three classes in two shards, two of them blacklisted."""
    return converted(source, tmp_path_factory.mktemp("records") / "val", shards=2,
                     blacklist=source / "blacklist.txt")


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory):
    """The seven images and two huge ones."""
    folder = tmp_path_factory.mktemp("every_kind")
    write_source(folder, IMAGES + HUGE)
    return converted(folder, folder / "records", shards=1)


@pytest.fixture(scope="module")
def network():
    ms.set_seed(0)
    return SmallNetwork(CLASSES)


@pytest.fixture(scope="session")
def planned():
    """A result before anything was scored: 144 crops, two ranks."""
    return Result(**{**RESULT, "crops": 144, "scales": [80, 88, 96, 112], "classes": 6},
                  curve_crops=[1, 2], mean=[127.5] * 3, std=[127.5] * 3, split="val",
                  blacklist_sha256="b" * 64, argv=["python", "-m", "evaluate"],
                  speed=EvaluationSpeed(2, 4.0, 0.25, 0.5))


@pytest.fixture(scope="module")
def save(network):
    """Writes the network, and ``more``, as a checkpoint whose meta says what the test asks for."""
    def save_as(path, more=(), **meta):
        told = {"num_classes": 3, "image_size": 75, "mean": MEAN, "std": STD,
                "batch_norm_decay": 0.9, "class_names_sha256": "", "epoch": 1, "step": 2, **meta}
        save_checkpoint(path, {**network_parameters(network), **dict(more)},
                        CheckpointMeta(**told))
        return path
    return save_as


@pytest.fixture
def checkpoint(save, records, tmp_path):
    return save(tmp_path / "a.ckpt", class_names_sha256=records.class_names_sha256)


@pytest.fixture
def call(monkeypatch, capsys):
    """Calls the command in this process: its exit code, what it printed, its error line."""
    for module in (evaluate.command, evaluate.predict):
        monkeypatch.setattr(module, "InceptionV4", SmallNetwork)

    def called(*arguments):
        monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
        code = run_command(main)
        printed = capsys.readouterr()
        errors = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        return code, printed.out, errors
    return called


@pytest.fixture
def run(call, records, checkpoint, tmp_path):
    """Calls an evaluation of the checkpoint into the folder ``out``."""
    def called(out="out", **others):
        others = {"records": records, "checkpoint": checkpoint, **others}
        return call(*words_of(out=tmp_path / out, **others))
    return called


@pytest.fixture
def words(records, checkpoint, tmp_path):
    """The command line of an evaluation with a curve, in groups of two images: four groups, the
    last one with one image."""
    def words_for(name, **others):
        choice = {"records": records, "checkpoint": checkpoint, "crops": 12, "views_per_step": 12}
        return [*words_of(out=tmp_path / name, **{**choice, **others}), "--curve"]
    return words_for


@pytest.fixture
def interrupted(call, words, monkeypatch, tmp_path):
    """The parts folder of an evaluation that was stopped after its first group."""
    predict = Evaluator._predict
    done = []

    def stop_at_the_second(self, rows, images):
        if done:
            raise KeyboardInterrupt
        done.append(images)
        return predict(self, rows, images)
    with monkeypatch.context() as patched:
        patched.setattr(Evaluator, "_predict", stop_at_the_second)
        assert call(*words("out"))[0] == 130
    parts = tmp_path / "out" / "parts"
    assert saved_rows(parts) == [range(0, 2)]
    return parts
