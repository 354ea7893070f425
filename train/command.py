"""What ``python -m train`` does: record sets to a run folder."""

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

from common.cli import DUMP_FOLDER, RequestError
from common.files import make_folder, sha256_of_lines
from common.forms import read_history
from common.text import counted, describe_seconds, folded
from inceptionv4.device import Device, ranks_agree, setup_device
from inceptionv4.meta import CheckpointMeta, read_meta
from train.checkpoints import best_checkpoint, checkpoints, newest_complete
from train.feed import TrainingFeed, workers_for
from train.initial import InitialWeights, initial_weights, take_over_weights
from train.plan import Plan, check_disk, describe_plan, make_plan
from train.options import TrainRequest
from train.recipe import PRESETS, Recipe
from train.run_clock import seconds_of_epoch
from train.run_folder import (MAY_DIFFER, check_same_run, check_unused, complete_config, config_of,
                              has_config, locked_run, read_config, resume_at, start_run, write_plan)
from train.source import check_jpegs, open_data
from train.trainer import Trainer

# Flags that are no part of a run's config, but have to be those of all its ranks.
SAME_FLAGS = ("validate_every", "jit_level", "deterministic", "sink", "sink_size", "profile")


def dry_run(request: TrainRequest, recipe: Recipe) -> None:
    """Check everything that can be checked, print the plan, write ``plan.json``, train nothing.

    Network, step and feed are built and one batch is read: what can go wrong there goes wrong now.
    With ``--resume`` the run's own plan stays.
    """
    source, validation = open_data(request)
    resuming = _is_resuming(request)
    initial = _initial_of(request, resuming)
    recipe = replace(recipe, ranks=request.dry_run or recipe.ranks)
    recipe = replace(recipe, workers=workers_for(recipe, recipe.ranks))
    plan = make_plan(recipe, source, request.keep)
    check_disk(request.run, plan)
    device = _setup(request, recipe)
    check_jpegs(source)
    if resuming:
        check_same_run(request.run, config_of(recipe, source, validation, device, initial))
    alone = replace(recipe, ranks=1)
    feed = TrainingFeed(source, alone, steps=1, statistics=initial.statistics)
    trainer = Trainer(request, alone, plan, feed, validation, device)
    if not (resuming and checkpoints(request.run)):
        take_over_weights(initial, trainer.step, source)
    _warn_of_other_batch(recipe)
    print(_describe(trainer, recipe))
    next(feed.batches(1))
    if not resuming:
        write_plan(request.run, plan)
    print(f"plan: {request.run / 'plan.json'}")


def train(request: TrainRequest, recipe: Recipe,
          after_save: Callable[[], None] = lambda: None) -> Optional[Path]:
    """Train from the start, or resume; the number of ranks is the launcher's. Return the last
    checkpoint on rank 0, None on the others.

    Args:
        after_save: called by rank 0 when the run has started and whenever an epoch's files are
            written.
    """
    source, validation = open_data(request)
    resuming = _is_resuming(request)  # on every rank, before one of them writes
    initial = _initial_of(request, resuming)
    device = _setup(request, recipe)
    recipe = replace(recipe, ranks=device.ranks)
    recipe = replace(recipe, workers=_workers(recipe, request.run, device, resuming))
    plan = make_plan(recipe, source, request.keep)
    check_disk(request.run, plan)
    config = config_of(recipe, source, validation, device, initial)
    _check_same_request(device, config, request)
    check_jpegs(source, device.rank, device.ranks)
    feed = TrainingFeed(source, recipe, plan.steps_per_epoch, device.rank, initial.statistics)
    trainer = Trainer(request, recipe, plan, feed, validation, device, after_save)
    with locked_run(request.run) if device.rank == 0 else contextlib.nullcontext():
        done = _restore(trainer, config, resuming, initial)
        saved = done.epoch if done else 0
        if device.rank == 0:
            _begin(trainer, config, saved if resuming else None)
            after_save()
        if saved >= plan.epochs:
            last = checkpoints(request.run)[-1] if device.rank == 0 else None
        else:
            last = trainer.run(saved + 1)
    if last is not None:
        print(f"the run is finished, {counted(plan.epochs, 'epoch')} in all")
        _print_checkpoints(request.run, last)
    return last


def _begin(trainer: Trainer, config: dict[str, Any], saved: Optional[int]) -> None:
    """Print what will be trained and write config and plan; of a resumed run, whose ``saved``
    epochs stay, print what is left."""
    folder, plan = trainer.folder, trainer.plan
    is_finished = saved is not None and saved >= plan.epochs
    if is_finished:
        print(f"{folder} has all {counted(plan.epochs, 'epoch')}: nothing is left to train")
    else:
        _warn_of_other_batch(trainer.recipe)
        print(_describe(trainer, trainer.recipe), flush=True)
    if saved is not None:
        resume_at(folder, saved)
        if not is_finished:
            print(f"resuming {folder}: {_describe_rest(folder, plan, saved)}", flush=True)
    start_run(folder, config, plan)


def _warn_of_other_batch(recipe: Recipe) -> None:
    """Warn where another number of ranks than the preset's gives a step other images."""
    preset = PRESETS[recipe.preset]
    if preset.ranks == recipe.ranks or preset.global_batch == recipe.global_batch:
        return
    text = (f"preset {recipe.preset} is made for {counted(preset.ranks, 'rank')}, "
            f"{counted(preset.global_batch, 'image')} per step; "
            f"this run has {recipe.ranks}, {counted(recipe.global_batch, 'image')} per step")
    batches, rest = divmod(preset.global_batch, recipe.ranks * recipe.batch_size)
    if rest == 0:
        text += f"; --accumulate {batches} gives a step as many as the preset's"
    print(f"warning: {text}", file=sys.stderr)


def _print_checkpoints(folder: Path, last: Path) -> None:
    best = best_checkpoint(folder)
    if best is not None:
        print(f"best checkpoint: {best} (top-1 error {read_meta(best).top1_error:.2f} %)")
    print(f"checkpoint: {last}", flush=True)


def _describe_rest(folder: Path, plan: Plan, done: int) -> str:
    """Return the last epoch that is saved, and how long the others take at the speed until then."""
    if not done:
        return "no checkpoint yet"
    text = f"epoch {done} is the last one saved"
    # A history of another version, empty, or with values that are no numbers has no such time.
    with contextlib.suppress(RequestError, TypeError, ValueError, OverflowError):
        epoch = seconds_of_epoch(read_history(folder), plan.steps_per_epoch)
        text += (f"; the rest takes about {describe_seconds(epoch * (plan.epochs - done))} after "
                 "compiling")
    return text


def _setup(request: TrainRequest, recipe: Recipe) -> Device:
    if request.compile_cache:
        make_folder(request.compile_cache, "--compile-cache")
    os.environ.setdefault(DUMP_FOLDER, f"{request.run}-log")  # the launcher's, where there is one
    return setup_device(request.device, recipe.seed, recipe.precision, request.jit_level,
                        request.deterministic)


def _is_resuming(request: TrainRequest) -> bool:
    """Return whether there is a run to resume; raise RequestError for a folder in use without
    --resume."""
    if request.resume and has_config(request.run):
        return True
    check_unused(request.run)
    return False


def _initial_of(request: TrainRequest, resuming: bool) -> InitialWeights:
    return initial_weights(request.init, complete_config(request.run) if resuming else None)


def _check_same_request(device: Device, config: dict[str, Any], request: TrainRequest) -> None:
    """Raise RequestError unless all hosts were asked for the same: a rank that validates would
    wait for ever for one that does not, and ranks that compute in other ways would average
    gradients of weights that drift apart."""
    same = {key: value for key, value in config.items() if key not in MAY_DIFFER}
    flags = [(name, getattr(request, name)) for name in SAME_FLAGS]
    digest = sha256_of_lines([sorted(same.items()), flags])
    if not ranks_agree(device, int(digest[:6], 16)):
        raise RequestError("the ranks were started with different flags, records or --init files: "
                           "give the same command on all hosts, with copies of the same files")


def _workers(recipe: Recipe, folder: Path, device: Device, resuming: bool) -> int:
    """Return as many as before where a run is resumed, since the crops depend on their number."""
    workers = recipe.workers or device.cores
    if not resuming:
        return workers
    earlier = read_config(folder).get("workers", 0)
    if type(earlier) is not int:
        raise RequestError(f"--resume: 'workers' in the config.json of {folder} is {earlier!r}, no "
                           "whole number; restore it, or give another --run")
    if not recipe.workers and 0 < earlier <= (os.cpu_count() or 1):
        return earlier
    if workers != earlier and device.rank == 0:
        print(f"warning: {counted(earlier, 'worker')} decoded for each rank before, now {workers}: "
              "the crops differ from here on from those of an uninterrupted run", file=sys.stderr)
    return workers


def _describe(trainer: Trainer, recipe: Recipe) -> str:
    sink = ""  # where there is none, the device says so
    if trainer.device.supports_sink:
        sink = (f"; sink mode, the loss is checked every {counted(trainer.sink_size, 'step')}"
                if trainer.sink_size else "; sink mode off")
    note = ""  # here, where ModelArts has looked for val/, too
    if trainer.request.validate_every > 1 and trainer.validation is None:
        note = (f"\nnote: --validate-every {trainer.request.validate_every} has no effect without "
                "--val-records")
    return (f"{_describe_task(trainer)}\n{trainer.device.describe()}{sink}\n"
            f"{describe_plan(trainer.plan, recipe)}{note}")


def _describe_task(trainer: Trainer) -> str:
    plan = trainer.plan
    images = plan.steps_per_epoch * plan.global_batch
    work = f"{counted(plan.epochs, 'epoch')} of {counted(images, 'image')}"
    if trainer.request.dry_run is not None:
        return f"checking a run of {work}; nothing is trained"
    return folded(f"training {work}; all goes into {trainer.folder}; the time that it takes is "
                  "shown after the first steps or the first epoch")


def _restore(trainer: Trainer, config: dict[str, Any], resuming: bool, initial: InitialWeights
             ) -> Optional[CheckpointMeta]:
    """Put the newest complete checkpoint of the same run into the trainer; return its meta, None
    where the run starts from the beginning, with the initial weights.

    Raises:
        RequestError: the folder's run is another one, or the ranks would start from different
            checkpoints: gradients of different weights would be averaged in silence.
    """
    found = None
    if resuming:
        check_same_run(trainer.folder, config)
        found = newest_complete(trainer.folder)
    if found:
        trainer.restore(found)
    else:
        take_over_weights(initial, trainer.step, trainer.feed.source, trainer.device.rank)
    step, digest = (found.meta.step, int(found.meta.ckpt_sha256[:6], 16)) if found else (0, 0)
    if not ranks_agree(trainer.device, step, digest):
        raise RequestError("the ranks would resume from different checkpoints (this one from step "
                           f"{step}): all hosts have to see the same --run folder")
    return found.meta if found else None
