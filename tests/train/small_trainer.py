"""A trainer of the tiny network on the small records, for tests of what it does."""

from dataclasses import replace

import mindspore as ms
import numpy as np

from common.forms import read_history
from evaluate.predictions import Predictions
from inceptionv4.device import Device
from train import trainer as trainer_module
from train.feed import TrainingFeed
from train.options import TrainRequest
from train.plan import make_plan
from train.recipe import PRESETS, with_epochs
from train.run_folder import start_run
from train.step import StepResult
from train.trainer import Trainer

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


def steps_of(monkeypatch, losses, skipped=()):
    """Both ways to drive the step give these losses, and nothing is compiled; steps of the numbers
    ``skipped`` report that they were."""
    monkeypatch.setattr(trainer_module.TrainStep, "compile", lambda *_: None)
    for name in ("host_steps", "sink_steps"):
        monkeypatch.setattr(trainer_module, name, lambda step, *_: (
            StepResult(ms.Tensor(np.float32(loss)), ms.Tensor(number in skipped), 0.5)
            for number, loss in enumerate(losses, start=1)))


def predictions() -> Predictions:
    """Eight images, two of them blacklisted: top-1 wrong for 5 (filtered: 3 of 6), top-5 wrong
    for 2 (filtered: 1 of 6)."""
    top5 = np.array([[0, 1, 2, 3, 4]] * 8, np.int32)
    label = np.array([0, 0, 0, 1, 2, 9, 1, 9], np.int32)
    return Predictions(np.arange(1, 9, dtype=np.int32), label, np.arange(8) >= 6, top5,
                       np.full((8, 5), 0.2, np.float32))
