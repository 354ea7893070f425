"""The run folder: config, plan, a line of history per epoch, checkpoints, TensorBoard's events."""

import dataclasses
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any, ContextManager, Mapping, Optional

from common.cli import RequestError, shown_command, typed_command
from common.files import (describe_difference, locked_file, read_json, read_json_lines, write_json,
                          write_text)
from common.forms import CONFIG, HISTORY, PLAN, HistoryLine
from common.origin import origin
from common.text import counted, folded
from convert.records.reader import RecordSet
from evaluate.results import tops_of
from inceptionv4.device import Device
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
from train.checkpoints import (CHECKPOINTS, checkpoints, epoch_of, link_checkpoints,
                               remove_checkpoint)
from train.initial import InitialWeights
from train.phases import Phase, with_total
from train.plan import Plan, plan_fields
from train.recipe import Recipe
from train.source import Source

TENSORBOARD = "tensorboard"
PROFILE = "profile"  # of MindSpore's profiler, with --profile
LOCK = ".lock"  # held by rank 0 for as long as it trains
_TEMPORARY = ".*.tmp"  # of common.files.replaced_file

# What may differ when a run is resumed: files may lie elsewhere, another device computes the
# same, the command to resume has --resume, and where workers differ, a warning says so.
MAY_DIFFER = ("data", "val_records", "init", "device", "arithmetic", "argv", "made", "workers")

# What versions did that had no such key yet.
BEFORE_THE_KEY = {"precision": "float32", "loss_scale": 1.0, "warmup_start": 0.0,
                  "restart_optimizer": False, "colour_distortion": False, "shuffle": "global",
                  "normalize_on": "device", "accumulate": 1, "ema_decay": 0.0,
                  "init": None, "init_sha256": None, "mean": list(INCEPTION_MEAN),
                  "std": list(INCEPTION_STD)}


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
    """Return whether a dry run left the file, or a run that was killed before it wrote its
    config."""
    empty = path.name == CHECKPOINTS and not any(path.iterdir())
    return path.name in (PLAN, LOCK) or empty or path.match(_TEMPORARY)


def config_of(recipe: Recipe, source: Source, validation: Optional[RecordSet], device: Device,
              initial: InitialWeights = InitialWeights()) -> dict[str, Any]:
    """Return what ``config.json`` holds: the recipe, the data, what the run starts from, the device
    and the command, with date, commit and host."""
    config = {
        **dataclasses.asdict(recipe), "data": str(source.folder), "data_sha256": source.sha256,
        "val_records": str(validation.folder) if validation else None,
        "val_records_sha256": validation.sha256 if validation else None,
        **initial.to_config(),
        "device": device.name, "arithmetic": device.arithmetic, "argv": typed_command(),
        "made": origin()}
    return json.loads(json.dumps(config))  # tuples as lists, to be compared with what is read


def start_run(folder: Path, config: dict[str, Any], plan: Plan) -> None:
    """Write config and plan; remove what a killed run left half-written.

    The command that a run was started with, its date, commit and host stay in its config when
    another one resumes it.
    """
    (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    _remove_unfinished(folder)
    if has_config(folder):
        earlier = read_config(folder)
        config = {**config, "argv": earlier.get("argv"), "made": earlier.get("made")}
    write_plan(folder, plan)
    write_json(folder / CONFIG, config)


def has_config(folder: Path) -> bool:
    return (folder / CONFIG).exists()


def read_config(folder: Path) -> dict[str, Any]:
    return read_json(folder / CONFIG, "give another --run")


def complete_config(folder: Path) -> dict[str, Any]:
    """Return the run's config with the keys that its version did not have yet."""
    return {**BEFORE_THE_KEY, **read_config(folder)}


def describe_saved_epochs(folder: Path, place: object) -> str:
    """Return what a user reads who interrupts the run: the last epoch that is saved in ``folder``,
    which the user knows as ``place``, and how to resume."""
    saved = [path for path in checkpoints(folder) if path.with_suffix(".meta").exists()]
    what = f"epoch {epoch_of(saved[-1])} is the last one" if saved else "no epoch is"
    return f"{what} saved in {place}; resume with: {shown_command('--resume')}"


def locked_run(folder: Path) -> ContextManager[None]:
    """Return a lock on the run folder; entering it raises RequestError while another process
    trains there."""
    folder.mkdir(parents=True, exist_ok=True)
    return locked_file(folder / LOCK, f"--run {folder}: another process trains there; end it (it "
                                      "may have outlived its terminal) or give another folder")


def check_same_run(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise RequestError, naming what differs, unless ``folder`` holds a run of the same recipe
    and data. It may have fewer epochs, and only one of both may be validated."""
    earlier = complete_config(folder)
    unknown = sorted(earlier.keys() - config.keys())
    if unknown:
        raise RequestError(f"{folder / CONFIG} has the unknown key '{unknown[0]}'; resume with "
                           "the version that wrote it, or give another --run")
    may_differ = set(MAY_DIFFER)
    if None in (earlier.get("val_records_sha256"), config["val_records_sha256"]):
        may_differ.add("val_records_sha256")
    if not any(phase["warmup_epochs"] for phase in config["phases"]):
        may_differ.add("warmup_start")  # of no effect
    if _is_prolonged(earlier.get("phases"), config["phases"]):
        may_differ.add("phases")
    difference = describe_difference(*({key: _as_typed(value) if key == "phases" else value
                                        for key, value in values.items() if key not in may_differ}
                                       for values in (earlier, config)))
    if difference:
        raise RequestError(f"--resume: {folder} holds a run of another recipe or other data "
                           f"({difference}); give the same flags, or another --run")


def _as_typed(phases: Any) -> Any:
    """Return the phases of a config as --phases takes them; as they are where another version, or a
    person, wrote them."""
    try:
        return " ".join(str(Phase(**phase)) for phase in phases)
    except (TypeError, ValueError):
        return phases


def _is_prolonged(earlier: Any, now: list[dict[str, Any]]) -> bool:
    """Return whether the phases, as a config holds them, have the same rates in all epochs of the
    earlier ones, and more epochs."""
    try:
        before, after = ([Phase(**phase) for phase in phases] for phases in (earlier, now))
        epochs = sum(phase.epochs for phase in before)
    except TypeError:  # of another version
        return False
    return (sum(phase.epochs for phase in after) > epochs
            and with_total(after, epochs) == tuple(before))


def resume_at(folder: Path, epoch: int) -> None:
    """Remove history and checkpoints after the end of ``epoch``: damaged ones, which would count
    as the last."""
    for path in checkpoints(folder):
        if epoch_of(path) > epoch:
            remove_checkpoint(path)
    link_checkpoints(folder)
    if (folder / HISTORY).exists():
        write_text(folder / HISTORY, _history_until(folder, epoch))


def _history_until(folder: Path, epoch: int) -> str:
    if not (folder / HISTORY).exists():
        return ""
    lines = read_json_lines(folder / HISTORY)  # not typed: keys of other versions stay
    for number, line in enumerate(lines, start=1):
        if type(line.get("epoch")) is not int:
            raise RequestError(f"{folder / HISTORY}, line {number}, has no epoch; remove that line")
    return "".join(json.dumps(line) + "\n" for line in lines if line["epoch"] <= epoch)


def add_history(folder: Path, line: HistoryLine) -> None:
    """Add one epoch to ``history.jsonl``, or replace it there; the file is whole at any moment,
    also on a full disk."""
    added = json.dumps(line.to_json(), allow_nan=False) + "\n"
    write_text(folder / HISTORY, _history_until(folder, line.epoch - 1) + added)


def describe_epoch(line: HistoryLine, epochs: int, checkpoint: Optional[Path], left: str,
                   classes: int) -> str:
    """Return a line of ``history.jsonl`` for a person, folded where it is long.

    Args:
        epochs: of the whole run.
        checkpoint: the epoch's; None where it could not be saved.
        left: the time until the end of the run.
        classes: of the images.
    """
    text = (f"epoch {line.epoch}/{epochs}: loss {line.loss:.3f}, "
            f"learning rate {line.learning_rate:.3g}, "
            f"{line.ms_per_step:.0f} ms/step, {line.images_per_second:.1f} images/s")
    if line.waiting_for_data is not None:
        text += f", {100 * line.waiting_for_data:.0f} % waiting for data"
    if line.loss_scale is not None:
        text += (f", loss scale {line.loss_scale:g}, "
                 f"{counted(line.skipped_steps or 0, 'step')} skipped")
    for name, top1, top5 in (
            ("full set", line.full_top1_error, line.full_top5_error),
            ("filtered set", line.filtered_top1_error, line.filtered_top5_error),
            ("full set, averaged weights", line.ema_full_top1_error, line.ema_full_top5_error),
            ("filtered set, averaged weights", line.ema_filtered_top1_error,
             line.ema_filtered_top5_error)):
        if top1 is not None:
            text += f"; {name}: top-1 error {top1:.1f} %"
            text += f", top-5 {top5:.1f} %" if "top5" in tops_of(classes) else ""
    text += f"; saved {checkpoint.name}" if checkpoint else "; not saved"
    return folded(text + (f"; {left} left" if line.epoch < epochs else ""))


def add_to_tensorboard(folder: Path, line: HistoryLine) -> None:
    """Write a line of history as TensorBoard's scalars; do nothing without the report extra. A
    failure is a warning: the history has the same figures.

    Each epoch gets a file of its own, whole when this returns: tensorboardX flushes only what its
    thread has written so far. What an earlier start of the run wrote from this step on is hidden.
    """
    if importlib.util.find_spec("tensorboardX") is None:
        return
    try:
        from tensorboardX import SummaryWriter
        with SummaryWriter(str(folder / TENSORBOARD), purge_step=line.step,
                           filename_suffix=f".epoch-{line.epoch}") as writer:
            for name, value in line.to_json().items():
                if name not in ("epoch", "step") and value is not None:
                    writer.add_scalar(name, value, line.step)
    except Exception as error:  # also what an unfit version of its dependencies raises
        print(f"warning: TensorBoard has no epoch {line.epoch}: {folder / TENSORBOARD} could not "
              f"be written ({error})", file=sys.stderr, flush=True)


def _remove_unfinished(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    for path in [*folder.glob(_TEMPORARY), *(folder / CHECKPOINTS).glob(".inceptionv4-*")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in (folder / CHECKPOINTS).glob("inceptionv4-*.meta"):
        if not path.with_suffix(".ckpt").exists():
            path.unlink()
