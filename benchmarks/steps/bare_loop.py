"""The training step alone: called in a loop on one batch, with no feed, no log, no checkpoint.

``python -m benchmarks.steps.bare_loop`` takes the arguments of ``python -m train``, so that both
have the same recipe, and prints the seconds per step of each epoch as JSON.
"""

import json
import sys
import time
from dataclasses import replace
from typing import Any, List

from common.cli import run_command
from train.recipe import Recipe, TrainRequest, parse


def main() -> None:
    print(json.dumps(time_step(*parse())))


def time_step(request: TrainRequest, recipe: Recipe) -> List[float]:
    """Return the seconds per step of the trainer's own step, for as many epochs of as many steps
    as it would run."""
    from inceptionv4.device import setup_device
    device = setup_device(request.device, recipe.seed)
    trainer = _trainer(request, replace(recipe, ranks=1), device)
    batch = next(trainer.feed.epoch(1).create_tuple_iterator(num_epochs=1))
    trainer.step.compile(*batch)
    return [_seconds_per_step(trainer.step, batch, trainer.plan.steps_per_epoch)
            for _ in range(trainer.plan.epochs)]


def _trainer(request: TrainRequest, recipe: Recipe, device: Any) -> Any:
    from train.feed import TrainingFeed, workers_for
    from train.plan import make_plan
    from train.source import open_data
    from train.trainer import Trainer
    source, _ = open_data(request)
    recipe = replace(recipe, workers=workers_for(recipe))
    plan = make_plan(recipe, source, request.keep)
    feed = TrainingFeed(source, recipe, plan.steps_per_epoch)
    return Trainer(request, recipe, plan, feed, None, device)


def _seconds_per_step(step: Any, batch: Any, steps: int) -> float:
    """Fetch each loss when the next step has been started, as the trainer does."""
    start = time.perf_counter()
    loss = step(*batch)
    for _ in range(steps - 1):
        next_loss = step(*batch)
        float(loss)
        loss = next_loss
    float(loss)
    return (time.perf_counter() - start) / steps


if __name__ == "__main__":
    sys.exit(run_command(main))
