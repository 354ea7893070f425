"""The training step alone: called in a loop on one batch, with no feed, no log, no checkpoint.

``python -m benchmarks.bare_loop`` takes the arguments of ``python -m train``, so that both have the
same recipe, and prints the seconds a step of each epoch as JSON.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from typing import Any, List

from common.cli import run_command
from convert.records.reader import open_records
from train.options import checked_recipe, train_parser
from train.recipe import Recipe


def main() -> None:
    arguments = train_parser().parse_args()
    print(json.dumps(time_step(checked_recipe(arguments), arguments)))


def time_step(recipe: Recipe, arguments: argparse.Namespace) -> List[float]:
    """Seconds a step of the trainer's own step, for as many epochs of as many steps as it would
    run."""
    from inceptionv4.device import setup_device
    device = setup_device(arguments.device, recipe.seed)
    trainer = _trainer(replace(recipe, ranks=1), arguments, device)
    batch = trainer.first_batch()
    trainer.step.compile(*batch)
    return [_seconds_per_step(trainer.step, batch, trainer.plan.steps_per_epoch)
            for _ in range(trainer.plan.epochs)]


def _trainer(recipe: Recipe, arguments: argparse.Namespace, device: Any) -> Any:
    from train.feed import workers_for
    from train.plan import make_plan
    from train.source import open_class_folders
    from train.trainer import RunOptions, Trainer
    source = (open_class_folders(arguments.images) if arguments.images else
              open_records(arguments.records))
    return Trainer(replace(recipe, workers=workers_for(recipe)),
                   make_plan(recipe, source, arguments.keep), source, None, device,
                   RunOptions(arguments.run, arguments.keep, 0, lambda _: None))


def _seconds_per_step(step: Any, batch: Any, steps: int) -> float:
    """Each loss is fetched when the next step has been started, as the trainer does."""
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
