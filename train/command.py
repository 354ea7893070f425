"""What ``python -m train`` does: record sets to a run folder."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Optional

from common import RequestError
from convert import RecordSet, open_records
from inceptionv4 import setup_device
from train.feed import workers_for
from train.plan import check_validation, describe_plan, make_plan
from train.recipe import Recipe
from train.run_folder import check_unused, start_run, write_plan
from train.trainer import Trainer


def dry_run(recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Check everything that can be checked, print the plan, write ``plan.json``, train nothing."""
    records, validation = _open(arguments)
    check_validation(records, validation)
    recipe = replace(recipe, ranks=arguments.dry_run or recipe.ranks)
    plan = make_plan(recipe, records, arguments.keep)
    check_unused(arguments.run)
    print(setup_device(arguments.device).describe())
    print(describe_plan(plan, recipe))
    write_plan(arguments.run, plan)
    print(f"plan: {arguments.run / 'plan.json'}")


def train(recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Train from the start; the number of ranks is the launcher's."""
    records, validation = _open(arguments)
    check_validation(records, validation)
    check_unused(arguments.run)  # on every rank, before any of them writes or waits for another
    device = setup_device(arguments.device, recipe.seed)
    preset_ranks = recipe.ranks
    recipe = replace(recipe, ranks=device.ranks)
    recipe = replace(recipe, workers=workers_for(recipe))  # crops depend on it: config.json says it
    plan = make_plan(recipe, records, arguments.keep)
    if device.rank == 0:
        if preset_ranks != device.ranks:
            print(f"warning: preset {recipe.preset} is made for {preset_ranks} ranks, this run has "
                  f"{device.ranks} (make train-8p starts several)", file=sys.stderr)
        print(device.describe())
        print(describe_plan(plan, recipe), flush=True)
        start_run(arguments.run, recipe, plan, {
            "records": str(records.folder), "records_sha256": records.sha256,
            "val_records": str(validation.folder) if validation else None,
            "device": device.name})
    last = Trainer(recipe, plan, records, validation, device, arguments.run, arguments.keep).run()
    if last is not None:
        print(f"checkpoint: {last}", flush=True)


def _open(arguments: argparse.Namespace) -> tuple[RecordSet, Optional[RecordSet]]:
    validation: Optional[Path] = arguments.val_records
    records = _of_split(open_records(arguments.records), "train", "--records")
    if validation is None:
        return records, None
    return records, _of_split(open_records(validation), "val", "--val-records")


def _of_split(records: RecordSet, split: str, flag: str) -> RecordSet:
    if records.split != split:
        raise RequestError(f"{flag} {records.folder} holds the {records.split} set; give the "
                           f"record set of the {split} split")
    return records
