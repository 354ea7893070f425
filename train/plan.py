"""What a run will do, worked out and checked before anything heavy starts."""

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from common import RequestError
from convert import RecordSet
from train.recipe import Recipe, learning_rates

# Weights, and two more values per weight for Adam (one and a momentum for RMSProp), in float32.
PARAMETERS_WITHOUT_CLASSIFIER = 41_142_816  # Inception-v4 (arXiv 1602.07261) up to the pooling
FEATURES = 1536
CHECKPOINT_COPIES = 3
FLOAT32_BYTES = 4


@dataclass(frozen=True)
class Plan:
    """The run in numbers."""

    images: int
    steps_per_epoch: int
    left_out: int  # images of each epoch behind its last whole step; other ones in each epoch
    epochs: int
    global_batch: int
    learning_rates: np.ndarray  # float32, one per step
    checkpoint_bytes: int  # of all that are kept at a time, about

    @property
    def steps(self) -> int:
        return len(self.learning_rates)


def make_plan(recipe: Recipe, records: RecordSet, kept_checkpoints: int) -> Plan:
    """Work out the run.

    Raises:
        RequestError: fewer images than ranks or than one step takes, or fewer steps in an epoch
            than asked for.
    """
    if records.images < recipe.ranks:
        raise RequestError(f"{records.folder} has {records.images} images, fewer than the "
                           f"{recipe.ranks} ranks that share a step; start fewer ranks")
    whole_steps = records.images // recipe.global_batch
    if whole_steps < 1:
        share = records.images // recipe.ranks
        raise RequestError(f"--batch-size {recipe.batch_size}: each of {recipe.ranks} ranks has "
                           f"only {share} of the {records.images} images of {records.folder}; "
                           f"give at most {share}")
    if recipe.steps_per_epoch > whole_steps:
        raise RequestError(f"--steps-per-epoch {recipe.steps_per_epoch}: an epoch has "
                           f"{whole_steps} steps of {recipe.global_batch} images")
    steps = recipe.steps_per_epoch or whole_steps
    classes = len(records.class_names)
    parameters = PARAMETERS_WITHOUT_CLASSIFIER + (FEATURES + 1) * classes
    return Plan(records.images, steps, records.images - steps * recipe.global_batch, recipe.epochs,
                recipe.global_batch, learning_rates(recipe, steps),
                # while one is written there is one more
                (kept_checkpoints + 1) * parameters * CHECKPOINT_COPIES * FLOAT32_BYTES)


def check_validation(records: RecordSet, validation: Optional[RecordSet]) -> None:
    """RequestError unless both sets have the same classes in the same order."""
    if validation is None or validation.class_names == records.class_names:
        return
    only = sorted(set(records.class_names) ^ set(validation.class_names))
    raise RequestError(f"{records.folder} has {len(records.class_names)} classes, "
                       f"{validation.folder} {len(validation.class_names)}"
                       + (f" ('{only[0]}' is in one of them only)" if only else "")
                       + "; convert both from the same source")


def plan_fields(plan: Plan) -> dict[str, Any]:
    """What ``plan.json`` holds."""
    return {
        "images": plan.images, "steps_per_epoch": plan.steps_per_epoch,
        "images_left_out_per_epoch": plan.left_out, "epochs": plan.epochs, "steps": plan.steps,
        "global_batch": plan.global_batch, "checkpoint_bytes": plan.checkpoint_bytes,
        "learning_rates": [float(f"{rate:.9g}") for rate in plan.learning_rates],
    }


def describe_plan(plan: Plan, recipe: Recipe) -> str:
    """The plan for a person, one subject a line."""
    lines = [
        f"recipe: {recipe.preset}, {recipe.ranks} ranks x {recipe.batch_size} = "
        f"{plan.global_batch} images a step, {recipe.image_size} px, float32",
        f"epochs: {plan.epochs} of {plan.steps_per_epoch:,} steps, {plan.steps:,} steps in all; "
        f"{plan.images:,} images, {plan.left_out:,} of them left out of each epoch",
        f"checkpoints: one an epoch, about {plan.checkpoint_bytes / 1e9:.1f} GB of disk",
    ]
    first = 1
    for phase in recipe.phases:
        last = first + phase.epochs - 1
        ends = [plan.learning_rates[(first - 1) * plan.steps_per_epoch],
                plan.learning_rates[last * plan.steps_per_epoch - 1]]
        peak = plan.learning_rates[(first - 1) * plan.steps_per_epoch:
                                   last * plan.steps_per_epoch].max()
        lines.append(f"learning rate, epochs {first} to {last}: from {ends[0]:.3g}, peak "
                     f"{peak:.3g}, to {ends[1]:.3g}")
        first = last + 1
    return "\n".join(lines)
