"""The run folder: config, plan, a line of history per epoch, checkpoints, TensorBoard's events."""

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any, ContextManager, Mapping

from common.cli import RequestError, typed_command
from common.files import (describe_difference, locked_file, read_json, read_json_lines, write_json,
                          write_text)
from common.forms import HistoryLine
from train.checkpoints import remove_after, remove_unfinished
from train.plan import Plan, plan_fields
from train.recipe import Recipe

CONFIG, PLAN, HISTORY, CHECKPOINTS = "config.json", "plan.json", "history.jsonl", "checkpoints"
TENSORBOARD = "tensorboard"
LOCK = ".lock"  # held by rank 0 for as long as it trains
_TEMPORARY = ".*.tmp"  # of common.files.replaced_file

# What a run reads, next to its recipe: these too have to be the same when it is resumed.
DATA_DIGESTS = ("data_sha256", "val_records_sha256")
# What may differ: records may lie elsewhere, another device computes the same, and the command
# to resume has --resume.
ABOUT = ("data", "val_records", "device", "argv")
# Differs with the number of cores of a host; crops differ then, which a warning reports.
MAY_DIFFER = (*ABOUT, "workers")


def write_plan(folder: Path, plan: Plan) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, plan_fields(plan))


def check_unused(folder: Path) -> None:
    """Raise RequestError if ``folder`` holds a run already, or something else."""
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"--run {folder} is a file; give a folder")
    files = sorted(folder.iterdir()) if folder.exists() else []
    unexpected = [path.name for path in files if not _is_leftover(path)]
    if unexpected:
        raise RequestError(f"--run {folder} is in use (it holds {unexpected[0]}); resume it with "
                           "--resume, give another folder, or remove it")


def _is_leftover(path: Path) -> bool:
    """Whether a dry run left it, or a run that was killed before its config was written."""
    empty = path.name == CHECKPOINTS and not any(path.iterdir())
    return path.name in (PLAN, LOCK) or empty or path.match(_TEMPORARY)


def config_of(recipe: Recipe, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``config.json`` holds: the recipe, DATA_DIGESTS and ABOUT."""
    config = {**dataclasses.asdict(recipe), **about, "argv": typed_command()}
    return json.loads(json.dumps(config))  # tuples as lists, to be compared with what is read


def start_run(folder: Path, config: dict[str, Any], plan: Plan) -> None:
    """Write config and plan; remove what a killed run left half-written.

    The command that a run was started with stays in its config when another one resumes it.
    """
    (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder / CHECKPOINTS)
    for path in folder.glob(_TEMPORARY):
        path.unlink()
    if has_config(folder):
        config = {**config, "argv": read_config(folder).get("argv")}
    write_plan(folder, plan)
    write_json(folder / CONFIG, config)


def has_config(folder: Path) -> bool:
    return (folder / CONFIG).exists()


def read_config(folder: Path) -> dict[str, Any]:
    return read_json(folder / CONFIG, "give another --run")


def locked_run(folder: Path) -> ContextManager[None]:
    """Return a lock on the run folder; entering it raises RequestError while another process
    trains there."""
    folder.mkdir(parents=True, exist_ok=True)
    return locked_file(folder / LOCK, f"--run {folder}: another process trains there; end it (it "
                                      "may have outlived its terminal) or give another folder")


def check_same_run(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise RequestError, naming what differs, unless ``folder`` holds a run of the same recipe
    and data."""
    earlier = read_config(folder)
    known = {item.name for item in dataclasses.fields(Recipe)} | {*DATA_DIGESTS, *ABOUT}
    unknown = sorted(earlier.keys() - known)
    if unknown:
        raise RequestError(f"{folder / CONFIG} has the unknown key '{unknown[0]}'; resume with "
                           "the version that wrote it, or give another --run")
    difference = describe_difference(*({key: value for key, value in values.items()
                                        if key not in MAY_DIFFER} for values in (earlier, config)))
    if difference:
        raise RequestError(f"--resume: {folder} holds a run of another recipe or other data "
                           f"({difference}); give the same flags, or another --run")


def resume_at(folder: Path, epoch: int) -> None:
    """Remove history and checkpoints after the end of ``epoch``; those are not whole."""
    remove_after(folder / CHECKPOINTS, epoch)
    if (folder / HISTORY).exists():
        lines = read_json_lines(folder / HISTORY)  # not typed: keys of other versions stay
        kept = [json.dumps(line) + "\n" for line in lines if line["epoch"] <= epoch]
        write_text(folder / HISTORY, "".join(kept))


def read_history(folder: Path) -> list[HistoryLine]:
    """Return the epochs written so far.

    Raises:
        RequestError: a line is not one of a history.
    """
    path = folder / HISTORY
    try:
        return [HistoryLine.from_json(line) for line in read_json_lines(path)]
    except TypeError as error:
        raise RequestError(f"{path} is not the history of a run ({error}); give another folder"
                           ) from None


def add_history(folder: Path, line: HistoryLine) -> None:
    """Add one epoch to ``history.jsonl``; the file is whole at any moment, also on a full disk."""
    path = folder / HISTORY
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    write_text(path, before + json.dumps(line.to_json(), allow_nan=False) + "\n")


def describe_epoch(line: HistoryLine) -> str:
    """Return a line of ``history.jsonl`` for a person."""
    text = (f"epoch {line.epoch}: loss {line.loss:.3f}, learning rate {line.learning_rate:.3g}, "
            f"{line.ms_per_step:.0f} ms/step, {line.images_per_second:.1f} images/s")
    if line.waiting_for_data is not None:
        text += f", {100 * line.waiting_for_data:.0f} % waiting for data"
    for name, top1, top5 in (("full", line.full_top1_error, line.full_top5_error),
                             ("filtered", line.filtered_top1_error, line.filtered_top5_error)):
        if top1 is not None:
            text += f"; {name} set: top-1 error {top1:.1f} %, top-5 {top5:.1f} %"
    return text


def add_to_tensorboard(folder: Path, line: HistoryLine) -> None:
    """Write a line of history as TensorBoard's scalars; do nothing without the report extra.

    Each epoch gets a file of its own, whole when this returns: tensorboardX flushes only what its
    thread has written so far. What an earlier start of the run wrote from this step on is hidden.
    """
    if importlib.util.find_spec("tensorboardX") is None:
        return
    from tensorboardX import SummaryWriter
    with SummaryWriter(str(folder / TENSORBOARD), purge_step=line.step,
                       filename_suffix=f".epoch-{line.epoch}") as writer:
        for name, value in line.to_json().items():
            if name not in ("epoch", "step") and value is not None:
                writer.add_scalar(name, value, line.step)
