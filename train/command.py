"""What ``python -m train`` does: record sets to a run folder."""

import argparse
import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

from common.cli import RequestError
from convert.records.reader import RecordSet, open_records
from inceptionv4.checkpoint import CheckpointMeta
from inceptionv4.device import Device, ranks_agree, setup_device
from train.checkpoints import newest_complete
from train.feed import workers_for
from train.plan import (Plan, check_disk, check_validation, describe_plan,
                        make_plan)
from train.recipe import Recipe
from train.run_folder import (CHECKPOINTS, check_same_run, check_unused,
                              config_of, has_config, locked_run, resume_at,
                              start_run, workers_of_run, write_plan)
from train.source import Source, open_class_folders
from train.trainer import RunOptions, Trainer


def dry_run(recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Check everything that can be checked, print the plan, write ``plan.json``, train nothing.

    Network, step and feed are built and one batch is read: what can go wrong there goes wrong now.
    With ``--resume`` the run's own plan stays.
    """
    source, validation = _open(arguments)
    recipe = replace(recipe, ranks=arguments.dry_run or recipe.ranks)
    plan = _checked_plan(recipe, arguments, source, validation)
    device = setup_device(arguments.device, recipe.seed)
    resuming = _is_resuming(arguments)
    if resuming:
        check_same_run(arguments.run, config_of(recipe, _about(source, validation, device)))
    run = _run_options(arguments, device, lambda _: None)
    print(_describe_device(device, run))
    print(describe_plan(plan, recipe))
    alone = replace(recipe, ranks=1, workers=workers_for(recipe))
    Trainer(alone, plan, source, validation, device, run).first_batch()
    if not resuming:
        write_plan(arguments.run, plan)
    print(f"plan: {arguments.run / 'plan.json'}")


def train(recipe: Recipe, arguments: argparse.Namespace,
          after_save: Callable[[Path], None] = lambda _: None) -> None:
    """Train from the start, or go on; the number of ranks is the launcher's.

    Args:
        after_save: called by rank 0 with the run folder when the run has started and whenever an
            epoch's files are written.
    """
    source, validation = _open(arguments)
    resuming = _is_resuming(arguments)  # on every rank, before one of them writes
    device = setup_device(arguments.device, recipe.seed)
    preset_ranks = recipe.ranks
    recipe = replace(recipe, ranks=device.ranks)
    recipe = replace(recipe, workers=_workers(recipe, arguments.run, device, resuming))
    plan = _checked_plan(recipe, arguments, source, validation)
    run = _run_options(arguments, device, after_save)
    config = config_of(recipe, _about(source, validation, device))
    trainer = Trainer(recipe, plan, source, validation, device, run)
    with locked_run(arguments.run) if device.rank == 0 else contextlib.nullcontext():
        done = _restore(trainer, config) if resuming else None
        _check_agreement(device, done)
        if device.rank == 0:
            _warn_of_other_ranks(recipe, preset_ranks)
            print(_describe_device(device, run))
            print(describe_plan(plan, recipe), flush=True)
            _prepare_folder(arguments.run, config, plan, done, resuming)
            after_save(arguments.run)
        last = trainer.run(done.epoch + 1 if done else 1)
    if last is not None:
        print(f"checkpoint: {last}", flush=True)


def _is_resuming(arguments: argparse.Namespace) -> bool:
    """Whether there is a run to go on with; RequestError for a folder in use without --resume."""
    if arguments.resume and has_config(arguments.run):
        return True
    check_unused(arguments.run)
    return False


def _workers(recipe: Recipe, folder: Path, device: Device, resuming: bool) -> int:
    """As many as before where a run is resumed, since the crops depend on their number."""
    own = workers_for(recipe, device.local_ranks)
    if not resuming:
        return own
    earlier = workers_of_run(folder)
    if not recipe.workers and 0 < earlier <= (os.cpu_count() or 1):
        return earlier
    if own != earlier and device.rank == 0:
        print(f"warning: {earlier} workers decoded for each rank before, now {own}: the crops "
              "differ from here on from those of an undisturbed run", file=sys.stderr)
    return own


def _check_agreement(device: Device, done: Optional[CheckpointMeta]) -> None:
    """RequestError unless all ranks start from the same checkpoint: gradients of different
    weights would be averaged in silence."""
    step = done.step if done else 0
    digest = int(done.ckpt_sha256[:6], 16) if done else 0
    if not ranks_agree(device, step, digest):
        raise RequestError("the ranks would go on from different checkpoints (this one from step "
                           f"{step}): all hosts have to see the same --run folder")


def _open(arguments: argparse.Namespace) -> tuple[Source, Optional[RecordSet]]:
    source: Source = (open_class_folders(arguments.images) if arguments.images else
                      _of_split(open_records(arguments.records), "train", "--records"))
    if arguments.val_records is None:
        return source, None
    return source, _of_split(open_records(arguments.val_records), "val", "--val-records")


def _of_split(records: RecordSet, split: str, flag: str) -> RecordSet:
    if records.split != split:
        raise RequestError(f"{flag} {records.folder} holds the {records.split} set; give the "
                           f"record set of the {split} split")
    return records


def _checked_plan(recipe: Recipe, arguments: argparse.Namespace, source: Source,
                  validation: Optional[RecordSet]) -> Plan:
    check_validation(source, validation)
    plan = make_plan(recipe, source, arguments.keep)
    check_disk(arguments.run, plan)
    return plan


def _run_options(arguments: argparse.Namespace, device: Device,
                 after_save: Callable[[Path], None]) -> RunOptions:
    """Sink mode where the device has it, unless the user says otherwise."""
    if arguments.sink and not device.supports_sink:
        raise RequestError(f"--sink: {device.name} has no sink mode; leave it out")
    sink = device.supports_sink if arguments.sink is None else arguments.sink
    return RunOptions(arguments.run, arguments.keep, arguments.sink_size if sink else 0, after_save)


def _describe_device(device: Device, run: RunOptions) -> str:
    sink = (f"; sink mode, a look at the loss every {run.sink_size} steps" if run.sink_size else
            "; sink mode off" if device.supports_sink else "")  # else the device says it
    return device.describe() + sink


def _about(source: Source, validation: Optional[RecordSet], device: Device) -> dict[str, Any]:
    return {"data": str(source.folder), "data_sha256": source.sha256,
            "val_records": str(validation.folder) if validation else None,
            "val_records_sha256": validation.sha256 if validation else None,
            "device": device.name}


def _warn_of_other_ranks(recipe: Recipe, preset_ranks: int) -> None:
    if preset_ranks != recipe.ranks:
        print(f"warning: preset {recipe.preset} is made for {preset_ranks} ranks, this run has "
              f"{recipe.ranks}", file=sys.stderr)


def _restore(trainer: Trainer, config: dict[str, Any]) -> Optional[CheckpointMeta]:
    """Put the newest complete checkpoint of the same run into the trainer; its meta, if there is
    one."""
    folder = trainer.run_options.folder
    check_same_run(folder, config)
    found = newest_complete(folder / CHECKPOINTS)
    if found is None:
        return None
    trainer.restore(found)
    return found.meta


def _prepare_folder(folder: Path, config: dict[str, Any], plan: Plan,
                    done: Optional[CheckpointMeta], resuming: bool) -> None:
    """Make the run folder, or bring it back to the state at the end of the last whole epoch."""
    if resuming:
        where = f"epoch {done.epoch} is the last one saved" if done else "no checkpoint yet"
        print(f"resuming {folder}: {where}", flush=True)
        resume_at(folder, done.epoch if done else 0)
    start_run(folder, config, plan)
