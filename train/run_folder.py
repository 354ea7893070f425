"""The run folder: config, plan, a line of history per epoch, checkpoints."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import mindspore as ms

from common import RequestError, write_json
from inceptionv4 import CheckpointMeta, save_checkpoint
from train.plan import Plan, plan_fields
from train.recipe import Recipe

CONFIG, PLAN, HISTORY, CHECKPOINTS = "config.json", "plan.json", "history.jsonl", "checkpoints"


def write_plan(folder: Path, plan: Plan) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, plan_fields(plan))


def check_unused(folder: Path) -> None:
    """RequestError when ``folder`` holds a run already, or something else."""
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"--run {folder} is a file; give a folder")
    strangers = sorted(path.name for path in folder.iterdir() if path.name != PLAN
                       ) if folder.exists() else []
    if strangers:
        raise RequestError(f"--run {folder} is in use (it holds {strangers[0]}); give another "
                           "folder or remove it")


def start_run(folder: Path, recipe: Recipe, plan: Plan, about: dict[str, Any]) -> None:
    """Write config and plan. ``about`` tells what the run reads, beside its recipe."""
    (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    write_plan(folder, plan)
    write_json(folder / CONFIG, {**dataclasses.asdict(recipe), **about})


def add_history(folder: Path, line: dict[str, Any]) -> None:
    """Append one epoch to ``history.jsonl``, durably."""
    with open(folder / HISTORY, "a", encoding="utf-8") as file:
        file.write(json.dumps(line, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def add_checkpoint(folder: Path, state: dict[str, ms.Parameter], meta: CheckpointMeta,
                   keep: int) -> Path:
    """Save ``inceptionv4-<epoch>_<step>.ckpt`` and remove all but the last ``keep``."""
    path = folder / CHECKPOINTS / f"inceptionv4-{meta.epoch}_{meta.step}.ckpt"
    save_checkpoint(path, state, meta)
    for old in checkpoints(folder)[:-keep]:
        old.unlink()
        old.with_suffix(".meta").unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The run's checkpoints, oldest first."""
    def step(path: Path) -> int:
        return int(path.stem.rsplit("_", 1)[1])
    return sorted((folder / CHECKPOINTS).glob("inceptionv4-*_*.ckpt"), key=step)
