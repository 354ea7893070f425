"""The checkpoints of a run: which ones stay, and which one to resume from."""

import re
import shutil
import sys
from pathlib import Path
from typing import Mapping, NamedTuple, Optional

import mindspore as ms

from common.cli import RequestError
from inceptionv4.checkpoint import CheckpointMeta, read_checkpoint, read_meta, save_checkpoint

_PREFIX = "inceptionv4-"
_NAME = re.compile(rf"{_PREFIX}\d+_(?P<step>\d+)\.ckpt")


class LoadedCheckpoint(NamedTuple):
    """A complete checkpoint."""

    path: Path
    meta: CheckpointMeta
    state: dict[str, ms.Parameter]


def add_checkpoint(folder: Path, state: Mapping[str, ms.Tensor], meta: CheckpointMeta,
                   keep: int) -> Path:
    """Save ``inceptionv4-<epoch>_<step>.ckpt``; only the last ``keep``, the new one included, and
    the one with the lowest error stay.

    Raises:
        OSError: the folder cannot be written or the disk is full; the older ones all stay.
    """
    path = folder / f"{_PREFIX}{meta.epoch}_{meta.step}.ckpt"
    save_checkpoint(path, state, meta)
    saved = checkpoints(folder)
    for old in set(saved) - {*saved[-keep:], best_checkpoint(folder)}:
        _remove(old)
    return path


def _remove(path: Path) -> None:
    path.unlink()
    path.with_suffix(".meta").unlink(missing_ok=True)


def checkpoints(folder: Path) -> list[Path]:
    """Return the run's checkpoints, oldest first, complete or not."""
    numbered = [(int(match["step"]), path) for path in folder.glob(f"{_PREFIX}*.ckpt")
                if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(numbered)]


def best_checkpoint(folder: Path) -> Optional[Path]:
    """Return the checkpoint with the lowest top-1 error, the first of equal ones; None where no
    error was measured."""
    errors = [(_top1_error(path), path) for path in checkpoints(folder)]
    measured = [(error, path) for error, path in errors if error is not None]
    return min(measured, key=lambda pair: pair[0])[1] if measured else None


def _top1_error(path: Path) -> Optional[float]:
    try:
        return read_meta(path).top1_error
    except RequestError as error:  # torn: no reason to end the run
        print(f"warning: {error}", file=sys.stderr)
        return None


def newest_complete(folder: Path) -> Optional[LoadedCheckpoint]:
    """Return the last checkpoint that is whole; a warning names each later one that is not."""
    for path in reversed(checkpoints(folder)):
        try:
            return LoadedCheckpoint(path, *read_checkpoint(path))
        except RequestError as error:
            print(f"warning: not used for resuming: {error}", file=sys.stderr)
    return None


def remove_after(folder: Path, epoch: int) -> None:
    """Remove the checkpoints after ``epoch``: damaged ones, which would count as the last."""
    for path in checkpoints(folder):
        if int(path.stem.removeprefix(_PREFIX).split("_")[0]) > epoch:
            _remove(path)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    for path in folder.glob(f".{_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in folder.glob(f"{_PREFIX}*.meta"):
        if not path.with_suffix(".ckpt").exists():
            path.unlink()
