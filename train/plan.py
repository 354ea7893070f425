"""What a run will do, computed and checked before anything heavy starts."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.cli import RequestError
from common.files import existing_folder
from common.text import counted, folded
from convert.training_proposal import small_set_flags
from inceptionv4 import FEATURES, PARAMETERS_WITHOUT_CLASSIFIER
from train.phases import Phase
from train.recipe import SOURCES, Recipe, learning_rates
from train.source import Source

# Weights, and two more values per weight for Adam (one and a momentum for RMSProp), in float32.
CHECKPOINT_COPIES = 3  # one more with averaged weights
FLOAT32_BYTES = 4
FEWEST_STEPS = 50  # the smoke preset takes 75 on the demo, which is a small and easy set


@dataclass(frozen=True)
class Plan:
    """The run in numbers."""

    images: int
    data_bytes: int  # encoded images, as the conversion counts them
    steps_per_epoch: int
    images_left_out_per_epoch: int  # those after its last whole step; others in each epoch
    epochs: int
    global_batch: int
    phases: tuple[Phase, ...]
    learning_rates: np.ndarray  # float32, one per step
    checkpoint_bytes: int  # about, all that are kept at a time

    @property
    def steps(self) -> int:
        return len(self.learning_rates)


def make_plan(recipe: Recipe, source: Source, kept_checkpoints: int) -> Plan:
    """Return what the run will do, in numbers.

    Args:
        kept_checkpoints: number of last ones that stay, next to the best.

    Raises:
        RequestError: fewer images than ranks or than one step takes, or fewer steps in an epoch
            than asked for.
    """
    steps = _steps_per_epoch(recipe, source)
    classes = len(source.class_names)
    if classes < 2:
        raise RequestError(f"{source.folder} has {classes} class; a network learns to tell classes "
                           "apart: give a set of at least two")
    parameters = PARAMETERS_WITHOUT_CLASSIFIER + (FEATURES + 1) * classes
    copies = CHECKPOINT_COPIES + bool(recipe.ema_decay)
    return Plan(
        images=source.images, data_bytes=source.image_bytes, steps_per_epoch=steps,
        images_left_out_per_epoch=source.images - steps * recipe.global_batch,
        epochs=recipe.epochs, global_batch=recipe.global_batch,
        phases=recipe.phases, learning_rates=learning_rates(recipe, steps),
        # the best one stays too, and while one is written there is one more
        checkpoint_bytes=(min(kept_checkpoints, recipe.epochs) + 2) * parameters
        * copies * FLOAT32_BYTES)


def _steps_per_epoch(recipe: Recipe, source: Source) -> int:
    """Return the number that was asked for, else that of whole steps; raise RequestError where
    there are fewer."""
    if source.images < recipe.ranks:
        raise RequestError(f"{source.folder} has {counted(source.images, 'image')}, fewer than the "
                           f"{recipe.ranks} ranks that share a step; start fewer ranks")
    whole_steps = source.images // recipe.global_batch
    if whole_steps < 1:
        share = source.images // recipe.ranks
        most = share // recipe.accumulate
        raise RequestError(f"--batch-size {recipe.batch_size}{_times_accumulated(recipe)}: each of "
                           f"{counted(recipe.ranks, 'rank')} has only {share} of the "
                           f"{counted(source.images, 'image')} "
                           f"of {source.folder}; give at most "
                           + (f"{most}" if most else f"--batch-size 1 --accumulate {share}"))
    if recipe.steps_per_epoch > whole_steps:
        raise RequestError(f"--steps-per-epoch {recipe.steps_per_epoch}: an epoch has "
                           f"{counted(whole_steps, 'step')} of "
                           f"{counted(recipe.global_batch, 'image')}")
    return recipe.steps_per_epoch or whole_steps


def check_disk(folder: Path, plan: Plan) -> None:
    """Raise RequestError unless the disk of ``folder`` has room for the run's checkpoints; those
    that a resumed run has already count as room."""
    free = shutil.disk_usage(existing_folder(folder)).free + sum(
        path.stat().st_size for path in folder.rglob("*.ckpt") if not path.is_symlink())
    if free < plan.checkpoint_bytes:
        raise RequestError(f"--run {folder}: its checkpoints take "
                           f"{plan.checkpoint_bytes / 1e9:.1f} GB, the disk has "
                           f"{free / 1e9:.1f} GB left; make room or lower --keep")


def plan_fields(plan: Plan) -> dict[str, Any]:
    """Return what ``plan.json`` holds; of the rates, that of each epoch's last step, which is what
    ``history.jsonl`` has."""
    rates = plan.learning_rates[plan.steps_per_epoch - 1::plan.steps_per_epoch]
    return {**{name: value for name, value in vars(plan).items() if name != "learning_rates"},
            "phases": [vars(phase) for phase in plan.phases], "steps": plan.steps,
            "epoch_learning_rates": [float(f"{rate:.9g}") for rate in rates]}


def describe_plan(plan: Plan, recipe: Recipe) -> str:
    """Return the plan for a person, one subject per line, long ones folded."""
    return "\n".join(map(folded, [
        f"recipe: {recipe.preset}, {_describe_batch(recipe)} = "
        f"{counted(plan.global_batch, 'image')} per step, {recipe.image_size} px, "
        f"{recipe.precision} precision, loss scale {recipe.loss_scale}",
        *([f"averaged weights: decay {recipe.ema_decay}; the default where a checkpoint is used"]
          if recipe.ema_decay else []),
        f"data: {counted(plan.images, 'image')}, {counted(plan.data_bytes, 'byte')} of images, "
        f"{recipe.shuffle} shuffle, {counted(recipe.workers, 'decoding thread')} per rank",
        f"epochs: {plan.epochs} of {counted(plan.steps_per_epoch, 'step')}, "
        f"{counted(plan.steps, 'step')} in all; "
        f"{counted(plan.images_left_out_per_epoch, 'image')} left out of each epoch",
        *_too_few_steps(plan, recipe),
        *_describe_phases(plan, recipe),
        *_describe_sources(recipe),
        "checkpoints: after each epoch; the last ones and the best stay, at most "
        f"{plan.checkpoint_bytes / 1e9:.1f} GB of disk",
    ]))


def _too_few_steps(plan: Plan, recipe: Recipe) -> list[str]:
    if plan.steps >= FEWEST_STEPS or recipe.steps_per_epoch:
        return []
    flags: list[str] = []
    if recipe.preset == "smoke" and recipe.accumulate == 1:  # a proposed batch is a whole step
        flags = small_set_flags(plan.images, recipe.ranks)
    return [f"warning: {counted(plan.steps, 'step')} in all teach a network little; a smaller "
            "--batch-size or more epochs (--phases) give more"
            + (f", for example: {' '.join(flags)}" if flags else "")]


def _describe_batch(recipe: Recipe) -> str:
    batches = f" x {recipe.accumulate} batches" if recipe.accumulate > 1 else ""
    return f"{counted(recipe.ranks, 'rank')} x {recipe.batch_size}{batches}"


def _times_accumulated(recipe: Recipe) -> str:
    return f" --accumulate {recipe.accumulate}" if recipe.accumulate > 1 else ""


def _describe_phases(plan: Plan, recipe: Recipe) -> list[str]:
    """Describe the learning rate at both ends of each phase and after its warm-up."""
    lines = []
    for first, phase in zip(recipe.first_epochs, recipe.phases):
        last = first + phase.epochs - 1
        rates = plan.learning_rates[(first - 1) * plan.steps_per_epoch:last * plan.steps_per_epoch]
        epochs = f"epochs {first} to {last}" if phase.epochs > 1 else f"epoch {first}"
        restart = ("; RMSProp's averages start anew" if recipe.restarts_optimizer_at(first) else "")
        lines.append(f"learning rate, {epochs}: {_describe_rates(rates, phase)}{restart}")
    return lines


def _describe_rates(rates: np.ndarray, phase: Phase) -> str:
    """Describe a phase's rates; one that is cut short may not reach the end of its warm-up."""
    first, last = f"{rates[0]:.3g}", f"{rates[-1]:.3g}"
    if phase.epochs <= phase.warmup_epochs:
        return (f"from {first} to {last}, all within the warm-up "
                f"({counted(phase.warmup_epochs, 'epoch')} to {phase.peak:.3g})")
    if phase.warmup_epochs:
        return (f"from {first}, {rates.max():.3g} after "
                f"{counted(phase.warmup_epochs, 'epoch')} of warm-up, to {last}")
    return first if first == last else f"from {first} to {last}"


def _describe_sources(recipe: Recipe) -> list[str]:
    """Describe where values come from that no flag gave."""
    return [f"{recipe.preset}'s values {source}: {values}"
            for source, values in SOURCES[recipe.preset].items()]
