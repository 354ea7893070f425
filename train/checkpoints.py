"""The checkpoints of a run folder: which ones stay, which one is the best, which one to resume
from."""

import re
import sys
from pathlib import Path
from typing import Mapping, NamedTuple, Optional

import mindspore as ms

from common.cli import RequestError
from common.files import PathLike
from inceptionv4.checkpoint import read_checkpoint, save_checkpoint
from inceptionv4.meta import CKPT_SUFFIX, META_SUFFIX, CheckpointMeta, read_meta

CHECKPOINTS = "checkpoints"  # in the run folder
_NAME = re.compile(r"inceptionv4-\d+_(?P<step>\d+)\.ckpt")


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
    path = folder / CHECKPOINTS / f"inceptionv4-{meta.epoch}_{meta.step}.ckpt"
    save_checkpoint(path, state, meta)
    saved = checkpoints(folder)
    for old in set(saved) - {*saved[-keep:], best_checkpoint(folder)}:
        remove_checkpoint(old)
    link_checkpoints(folder)
    return path


def link_checkpoints(folder: Path) -> None:
    """Let ``last.ckpt`` and ``best.ckpt`` in the run folder, with their ``.meta``, be links to the
    last checkpoint and the one with the lowest error; a warning where links are impossible."""
    saved = checkpoints(folder)
    try:
        for name, path in (("last", saved[-1] if saved else None),
                           ("best", best_checkpoint(folder))):
            for suffix in (META_SUFFIX, CKPT_SUFFIX):
                link = folder / f"{name}{suffix}"
                if path is None:
                    link.unlink(missing_ok=True)
                else:
                    _replace_link(link, Path(CHECKPOINTS, path.with_suffix(suffix).name))
    except OSError as error:
        print(f"warning: {folder} has no links to its last and best checkpoint ({error})",
              file=sys.stderr, flush=True)


def _replace_link(link: Path, target: Path) -> None:
    """Make ``link`` point to ``target``; a reader finds the old or the new link."""
    if link.is_symlink() and link.readlink() == target:
        return
    made = link.with_name(f".{link.name}.tmp")
    made.unlink(missing_ok=True)
    made.symlink_to(target)
    made.replace(link)


def remove_checkpoint(path: Path) -> None:
    path.unlink()
    path.with_suffix(".meta").unlink(missing_ok=True)


def checkpoints(folder: PathLike) -> list[Path]:
    """Return the run's checkpoints, oldest first, complete or not."""
    numbered = [(int(match["step"]), path) for path in Path(folder, CHECKPOINTS).glob("*.ckpt")
                if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(numbered)]


def epoch_of(checkpoint: Path) -> int:
    return int(checkpoint.stem.removeprefix("inceptionv4-").split("_")[0])


def best_checkpoint(folder: PathLike) -> Optional[Path]:
    """Return the checkpoint with the lowest top-1 error, the first of equal ones; None where no
    error was measured."""
    errors = {path: _top1_error(path) for path in checkpoints(folder)}
    measured = {path: error for path, error in errors.items() if error is not None}
    return min(measured, key=lambda path: measured[path], default=None)


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
