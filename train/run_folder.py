"""The run folder: config, plan, a line of history per epoch, checkpoints."""

import dataclasses
import json
from pathlib import Path
from typing import Any, ContextManager

from common.cli import RequestError
from common.files import locked_file, read_json_lines, write_json, write_text
from train.checkpoints import remove_after, remove_unfinished
from train.plan import Plan, plan_fields
from train.recipe import Recipe

CONFIG, PLAN, HISTORY, CHECKPOINTS = "config.json", "plan.json", "history.jsonl", "checkpoints"
TENSORBOARD = "tensorboard"
LOCK = ".lock"  # held by rank 0 for as long as the run goes on
_TEMPORARY = ".*.tmp"  # of common.files.replaced_file

# What a run reads, beside its recipe: these too have to be the same when it is resumed.
DATA_DIGESTS = ("data_sha256", "val_records_sha256")
# What may differ: records may lie elsewhere, and another device computes the same.
ABOUT = ("data", "val_records", "device")
# Differ with the number of cores of a host; crops differ then, which is said.
MAY_DIFFER = (*ABOUT, "workers")


def write_plan(folder: Path, plan: Plan) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, plan_fields(plan))


def check_unused(folder: Path) -> None:
    """RequestError when ``folder`` holds a run already, or something else."""
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"--run {folder} is a file; give a folder")
    strangers = sorted(path.name for path in folder.iterdir() if not _is_leftover(path)
                       ) if folder.exists() else []
    if strangers:
        raise RequestError(f"--run {folder} is in use (it holds {strangers[0]}); go on with it by "
                           "--resume, give another folder, or remove it")


def _is_leftover(path: Path) -> bool:
    """What a dry run leaves, or a run that was killed before its config was written."""
    empty = path.name == CHECKPOINTS and not any(path.iterdir())
    return path.name in (PLAN, LOCK) or empty or path.match(_TEMPORARY)


def config_of(recipe: Recipe, about: dict[str, Any]) -> dict[str, Any]:
    """What ``config.json`` holds: the recipe, DATA_DIGESTS and ABOUT."""
    # Through JSON and back, so that it can be compared with what was read.
    return json.loads(json.dumps({**dataclasses.asdict(recipe), **about}))


def start_run(folder: Path, config: dict[str, Any], plan: Plan) -> None:
    """Write config and plan; remove what a killed run left half-written."""
    (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder / CHECKPOINTS)
    for path in folder.glob(_TEMPORARY):
        path.unlink()
    write_plan(folder, plan)
    write_json(folder / CONFIG, config)


def has_config(folder: Path) -> bool:
    return (folder / CONFIG).exists()


def workers_of_run(folder: Path) -> int:
    """Threads that decode for each rank of the run in ``folder``."""
    return int(_read_config(folder).get("workers", 0))


def locked_run(folder: Path) -> ContextManager[None]:
    """Have the run folder alone; RequestError while another process trains there."""
    folder.mkdir(parents=True, exist_ok=True)
    return locked_file(folder / LOCK, f"--run {folder}: another process trains there; end it (it "
                                      "may have outlived its terminal) or give another folder")


def check_same_run(folder: Path, config: dict[str, Any]) -> None:
    """RequestError unless ``folder`` holds a run of the same recipe and data; both are named."""
    earlier = _read_config(folder)
    known = {item.name for item in dataclasses.fields(Recipe)} | {*DATA_DIGESTS, *ABOUT}
    unknown = sorted(earlier.keys() - known)
    if unknown:
        raise RequestError(f"{folder / CONFIG} has the unknown key '{unknown[0]}'; resume with "
                           "the version that wrote it, or give another --run")
    differ = [f"{key}: there {earlier.get(key)}, now {config[key]}" for key in config
              if key not in MAY_DIFFER and earlier.get(key) != config[key]]
    if differ:
        raise RequestError(f"--resume: {folder} holds a run of another recipe or other data "
                           f"({'; '.join(differ)}); give the same flags, or another --run")


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(f"{path} is damaged ({error}); give another --run") from None
    if not isinstance(config, dict):
        raise RequestError(f"{path} is not the config of a run; give another --run")
    return config


def resume_at(folder: Path, epoch: int) -> None:
    """Take back history and checkpoints behind the end of ``epoch``; those are not whole."""
    remove_after(folder / CHECKPOINTS, epoch)
    if (folder / HISTORY).exists():
        kept = [json.dumps(line) + "\n" for line in read_history(folder) if line["epoch"] <= epoch]
        write_text(folder / HISTORY, "".join(kept))


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The epochs written so far; RequestError for a line that is not one of a history."""
    return read_json_lines(folder / HISTORY)


def add_history(folder: Path, line: dict[str, Any]) -> None:
    """Add one epoch to ``history.jsonl``; the file is whole at any moment, also on a full disk."""
    path = folder / HISTORY
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    write_text(path, before + json.dumps(line, allow_nan=False) + "\n")
