"""Whatever the graph of the step follows from decides where it is kept."""

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inceptionv4.device import Device
from inceptionv4.preprocess import InputStatistics
from train import trainer
from train.compile_cache import cache_folder, compile_cache
from train.feed import TrainingFeed
from train.options import TrainRequest
from train.plan import make_plan
from train.recipe import PRESETS, with_epochs

CPU = Device("CPU", False, 0, 1, arithmetic="float32 throughout")
SMOKE = PRESETS["smoke"]


def test_another_recipe_device_or_setting_has_another_folder(tmp_path):
    """MindSpore would take the graph of one batch size for that of another."""
    folders = {cache_folder(tmp_path, recipe, device, steps=steps) for recipe, device, steps in (
        (SMOKE, CPU, 7), (replace(SMOKE, batch_size=4), CPU, 7), (SMOKE, replace(CPU, rank=1), 7),
        (replace(SMOKE, loss_scale="dynamic"), CPU, 7), (SMOKE, CPU, 8),
        (SMOKE, replace(CPU, arithmetic="float32 throughout (HF32 off)"), 7))}
    assert len(folders) == 6
    assert cache_folder(tmp_path, SMOKE, CPU, steps=7) in folders


@pytest.mark.usefixtures("tiny_network")
def test_a_trainer_has_another_folder_for_whatever_its_graph_follows_from(
        tmp_path, records, other_records, monkeypatch):
    """Ways to compile, numbers of steps and classes, what images are normalised with."""
    folders = []
    monkeypatch.setattr(trainer, "compile_cache",
                        lambda folder: folders.append(folder) or contextlib.nullcontext())
    monkeypatch.setattr(trainer.TrainStep, "compile", lambda *_: None)
    recipe = replace(with_epochs(SMOKE, 1), batch_size=3, workers=1)
    plan, feed = make_plan(recipe, records["train"], 1), TrainingFeed(records["train"], recipe, 7)
    for change in ({}, {}, {"jit_level": "O1"}, {"deterministic": True}):
        request = TrainRequest(tmp_path / "run", compile_cache=tmp_path / "cache", **change)
        trainer.Trainer(request, recipe, plan, feed, None, CPU).run(first_epoch=2)  # none is left
    request = TrainRequest(tmp_path / "run", compile_cache=tmp_path / "cache")
    for changed_plan, changed_feed in (
            (replace(plan, learning_rates=np.ones(9, np.float32)), feed),
            (plan, replace(feed, source=other_records["train"])),
            (plan, replace(feed, statistics=InputStatistics((1.0, 2.0, 3.0))))):
        trainer.Trainer(request, recipe, changed_plan, changed_feed, None, CPU)._compile()
    assert folders[0] == folders[1] and len(set(folders)) == 6
    assert {folder.parent for folder in folders} == {tmp_path / "cache"}


def test_a_graph_is_kept_when_it_is_complete(tmp_path):
    folder = tmp_path / "of" / "all" / "step-1"
    with pytest.raises(KeyboardInterrupt), compile_cache(folder):
        os.makedirs(os.environ["MS_COMPILER_CACHE_PATH"])
        raise KeyboardInterrupt
    assert list(folder.parent.iterdir()) == []
    with compile_cache(folder):
        os.makedirs(os.environ["MS_COMPILER_CACHE_PATH"])
        assert not folder.exists() and os.environ["MS_COMPILER_CACHE_ENABLE"] == "1"
        place = Path(os.environ["MS_COMPILER_CACHE_PATH"]).parent
        assert place.parent == folder.parent and place.name.startswith(".step-1.")
    assert list(folder.parent.iterdir()) == [folder]
    with compile_cache(folder):
        assert os.environ["MS_COMPILER_CACHE_PATH"] == str(folder)
    with compile_cache(None):  # and never for the graphs that are compiled later
        assert "MS_COMPILER_CACHE_ENABLE" not in os.environ


def test_what_a_killed_process_left_is_removed_later(tmp_path):
    for name, age in ((".step-1.left", 7 * 3600), (".step-1.busy", 60)):
        (tmp_path / name / "graph").mkdir(parents=True)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with compile_cache(tmp_path / "step-1"):
        os.makedirs(os.environ["MS_COMPILER_CACHE_PATH"])
    assert sorted(os.listdir(tmp_path)) == [".step-1.busy", "step-1"]


def test_a_damaged_graph_is_replaced(tmp_path):
    folder = tmp_path / "step-1"
    for kept in (False, True, False):
        with compile_cache(folder):
            place = Path(os.environ["MS_COMPILER_CACHE_PATH"])
            assert (place == folder) == kept
            if not kept:
                place.mkdir()
                (place / "graph").write_bytes(b"whole")
        if kept:
            (folder / "graph").write_bytes(b"random")
    assert (folder / "graph").read_bytes() == b"whole"
