"""What ``python -m train`` does: record sets to a run folder."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

from common import RequestError
from convert import RecordSet, open_records
from inceptionv4 import Device, setup_device
from train.checkpoints import Found, newest_complete
from train.feed import workers_for
from train.pictures import Source, open_class_folders
from train.plan import Plan, check_disk, check_validation, describe_plan, make_plan
from train.recipe import Recipe
from train.run_folder import (CHECKPOINTS, check_same_run, check_unused, config_of, has_config,
                              resume_at, start_run, write_plan)
from train.trainer import Run, Trainer


def dry_run(recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Check everything that can be checked, print the plan, write ``plan.json``, train nothing.

    Network, step and feed are built and one batch is read: what can go wrong there goes wrong now.
    """
    source, validation = _open(arguments)
    recipe = replace(recipe, ranks=arguments.dry_run or recipe.ranks)
    plan = _checked_plan(recipe, arguments, source, validation)
    if not (arguments.resume and has_config(arguments.run)):
        check_unused(arguments.run)
    device = setup_device(arguments.device, recipe.seed)
    run = _run_options(arguments, device, lambda _: None)
    print(_describe_device(device, run))
    print(describe_plan(plan, recipe))
    alone = replace(recipe, ranks=1, workers=workers_for(recipe))
    Trainer(alone, plan, source, validation, device, run).first_batch()
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
    resuming = arguments.resume and has_config(arguments.run)
    if not resuming:
        check_unused(arguments.run)  # on every rank, before one of them writes
    device = setup_device(arguments.device, recipe.seed)
    preset_ranks = recipe.ranks
    recipe = replace(recipe, ranks=device.ranks)
    # Crops depend on the number of workers: config.json tells it.
    recipe = replace(recipe, workers=workers_for(recipe, device.local_ranks))
    plan = _checked_plan(recipe, arguments, source, validation)
    run = _run_options(arguments, device, after_save)
    config = config_of(recipe, _about(source, validation, device))
    trainer = Trainer(recipe, plan, source, validation, device, run)
    found = _find_checkpoint(trainer, config) if resuming else None
    if device.rank == 0:
        _warn_of_other_ranks(recipe, preset_ranks)
        print(_describe_device(device, run))
        print(describe_plan(plan, recipe), flush=True)
        _prepare_folder(arguments.run, config, plan, found, resuming)
        after_save(arguments.run)
    last = trainer.run(found.meta.epoch + 1 if found else 1)
    if last is not None:
        print(f"checkpoint: {last}", flush=True)


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
                 after_save: Callable[[Path], None]) -> Run:
    """Sink mode where the device has it, unless the user says otherwise."""
    if arguments.sink and not device.supports_sink:
        raise RequestError(f"--sink: {device.name} has no sink mode; leave it out")
    sink = device.supports_sink if arguments.sink is None else arguments.sink
    return Run(arguments.run, arguments.keep, arguments.sink_size if sink else 0, after_save)


def _describe_device(device: Device, run: Run) -> str:
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


def _find_checkpoint(trainer: Trainer, config: dict[str, Any]) -> Optional[Found]:
    """The newest complete checkpoint of the same run, put into the trainer."""
    folder = trainer.run_options.folder
    check_same_run(folder, config)
    found = newest_complete(folder / CHECKPOINTS)
    if found is not None:
        trainer.restore(found)
    return found


def _prepare_folder(folder: Path, config: dict[str, Any], plan: Plan, found: Optional[Found],
                    resuming: bool) -> None:
    """Make the run folder, or bring it back to the state at the end of the found epoch."""
    if resuming:
        where = f"epoch {found.meta.epoch}, {found.path.name}" if found else "no checkpoint yet"
        print(f"resuming {folder}: {where}", flush=True)
        resume_at(folder, found.meta.epoch if found else 0)
    start_run(folder, config, plan)
