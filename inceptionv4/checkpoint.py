"""Checkpoints: MindSpore's ``.ckpt`` made safe, with ``<stem>.meta`` next to it.

MindSpore's own save removes the old file before it writes the new one, does not fsync and makes
the file readable by its owner alone; its own load passes over a flipped byte unless asked and
may fill a weight from an optimiser state of a similar name. So a file is written next to its
place and moved, its digest goes into the meta file, and loading compares name by name.
"""

import contextlib
import json
import math
import os
import re
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

import mindspore as ms
import psutil
from mindspore import nn
from mindspore.train import serialization

from common.cli import RequestError
from common.files import (PathLike, fsync_folder, make_durable, sha256_of_file,
                          write_json)

CKPT_SUFFIX, META_SUFFIX = ".ckpt", ".meta"


@dataclass(frozen=True)
class CheckpointMeta:
    """How the network of a checkpoint was built and fed, and how far it was trained.

    Attributes:
        num_classes: length of a row of logits.
        image_size: side in pixels of the square images that it was trained on.
        mean, std: per channel (red, green, blue), in 0..255 units; it reads (x - mean) / std.
        batch_norm_decay: share of the old moving average that a training step keeps.
        class_names_sha256: digest of the class names in label order, 64 hex digits; "" unknown.
        epoch, step: finished epochs and finished training steps, counted over the whole run.
        top1_error: of one crop after that epoch, in percent; None where it was not measured.
        ckpt_sha256: of the ``.ckpt`` file; ``save_checkpoint`` fills it in.
    """

    num_classes: int
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    batch_norm_decay: float
    class_names_sha256: str
    epoch: int
    step: int
    top1_error: Optional[float] = None
    ckpt_sha256: str = ""

    def __post_init__(self):
        """ValueError for a value of the wrong kind: a wrong mean would just cost accuracy."""
        for name, is_right in _CHECKS.items():
            if not is_right(getattr(self, name)):
                raise ValueError(f"{name} is {getattr(self, name)!r}")


def meta_path(ckpt: PathLike) -> Path:
    """Return ``<stem>.meta`` of ``<stem>.ckpt``; raise RequestError for another suffix."""
    path = Path(ckpt)
    if path.suffix != CKPT_SUFFIX:
        raise RequestError(f"checkpoint '{path}' does not end in {CKPT_SUFFIX}: "
                           "only MindSpore checkpoints written by this program can be used")
    return path.with_suffix(META_SUFFIX)


def write_meta(ckpt: PathLike, meta: CheckpointMeta) -> None:
    write_json(meta_path(ckpt), asdict(meta))


def read_meta(path: PathLike) -> CheckpointMeta:
    """Return the meta of the checkpoint ``path``, a ``.ckpt`` file whose bytes are not read.

    Raises:
        RequestError: no such checkpoint, or its meta file is missing or not of the right form.
    """
    meta_file = meta_path(path)
    if not Path(path).is_file():
        raise RequestError(f"checkpoint '{path}' does not exist: give the path of a .ckpt file")
    if not meta_file.is_file():
        raise RequestError(f"checkpoint '{path}' is torn or foreign: '{meta_file}' is missing; "
                           "use another checkpoint of the run")
    try:
        values: dict[str, Any] = json.loads(meta_file.read_text(encoding="utf-8"))
        values.update({name: tuple(value) for name, value in values.items()
                       if isinstance(value, list)})
        return CheckpointMeta(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise RequestError(f"'{meta_file}' is not the meta file of a checkpoint ({error}); "
                           "use another checkpoint of the run") from error


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: object) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value))


def _is_number_or_none(value: object) -> bool:
    return value is None or _is_number(value)


def _is_channels(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(map(_is_number, value))


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch("([0-9a-f]{64})?", value))


_CHECKS = {
    "num_classes": _is_count, "image_size": _is_count, "mean": _is_channels, "std": _is_channels,
    "batch_norm_decay": _is_number, "class_names_sha256": _is_digest, "epoch": _is_count,
    "step": _is_count, "top1_error": _is_number_or_none, "ckpt_sha256": _is_digest,
}


def network_parameters(network: nn.Cell) -> dict[str, ms.Parameter]:
    """Return parameters and moving averages by the network's own names (``stem.0.conv.weight``).

    The names come from the network: the name that a Parameter carries gains a prefix when
    the network becomes a part of another cell.
    """
    return dict(network.parameters_and_names())


def save_checkpoint(path: PathLike, parameters: Mapping[str, ms.Tensor],
                    meta: CheckpointMeta) -> CheckpointMeta:
    """Write ``path`` (``.ckpt``) and its meta file; a reader finds the old or the new ``.ckpt``.

    A crash between the two files leaves a ``.ckpt`` that does not fit its meta, which loading
    reports as torn: keep an older checkpoint under another name.

    Args:
        parameters: the network's own (``network_parameters``) and, in a training checkpoint,
            optimiser state under other names.
        meta: its ``ckpt_sha256`` is filled in here.

    Returns:
        The meta as it was written.

    Raises:
        RequestError: ``path`` does not end in ``.ckpt``.
        OSError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    meta_path(path)  # refuses a wrong suffix before anything is written
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as folder:
        written = Path(folder, path.name)
        ms.save_checkpoint([{"name": name, "data": value} for name, value in parameters.items()],
                           str(written), crc_check=True)
        make_durable(written)
        meta = replace(meta, ckpt_sha256=sha256_of_file(written))
        os.replace(written, path)
    fsync_folder(path.parent)
    write_meta(path, meta)
    return meta


def read_checkpoint(path: PathLike) -> tuple[CheckpointMeta, dict[str, ms.Parameter]]:
    """Return everything in a checkpoint after checking its digest and CRC.

    Raises:
        RequestError: no such checkpoint, torn, damaged, or not one of this program.
    """
    meta = read_meta(path)
    if sha256_of_file(path) != meta.ckpt_sha256:
        raise RequestError(f"checkpoint '{path}' is torn or damaged: its sha256 is not the one in "
                           f"'{meta_path(path)}'; use another checkpoint of the run")
    try:
        with _page_cache_counted_as_available():
            return meta, ms.load_checkpoint(str(path), crc_check=True)
    except ValueError as error:
        raise RequestError(f"'{path}' cannot be read as a MindSpore checkpoint ({error}); "
                           "use another checkpoint of the run") from error


@contextlib.contextmanager
def _page_cache_counted_as_available() -> Iterator[None]:
    """Make MindSpore count the page cache as available memory: it refuses a checkpoint larger than
    the memory that is free without it, which is little once record files have been read."""
    mindspores_own = serialization._get_available_memory
    serialization._get_available_memory = lambda: psutil.virtual_memory().available
    try:
        yield
    finally:
        serialization._get_available_memory = mindspores_own


def load_checkpoint(path: PathLike, network: nn.Cell) -> CheckpointMeta:
    """Fill every parameter and moving average of ``network`` from the checkpoint ``path``.

    The file must have all of the network's parameters with their shapes and types; what else it
    has (optimiser state) is not used. On an error the network keeps its values.

    Raises:
        RequestError: as ``read_checkpoint``, or the checkpoint belongs to another network or
            class count.
    """
    meta, values = read_checkpoint(path)
    own = network_parameters(network)
    _check_fits(path, meta, own, values)
    for name, parameter in own.items():
        parameter.set_data(values[name])
    return meta


def _check_fits(path: PathLike, meta: CheckpointMeta, own: Mapping[str, ms.Parameter],
                values: Mapping[str, ms.Parameter]) -> None:
    num_classes = own["classifier.bias"].shape[0]
    if meta.num_classes != num_classes:
        raise RequestError(f"checkpoint '{path}' has {meta.num_classes} classes but "
                           f"{num_classes} are needed: use one trained on the same classes")
    for name, parameter in own.items():
        if name not in values:
            raise RequestError(f"checkpoint '{path}' belongs to another network: "
                               f"it has no parameter '{name}'")
        found, needed = _form(values[name]), _form(parameter)
        if found != needed:
            raise RequestError(f"checkpoint '{path}' belongs to another network: parameter "
                               f"'{name}' is {found} instead of {needed}")


def _form(parameter: ms.Parameter) -> str:
    return f"{parameter.dtype}{tuple(parameter.shape)}"
