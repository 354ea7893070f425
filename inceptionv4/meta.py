"""What belongs to a checkpoint beside its parameters: ``<stem>.meta`` next to ``<stem>.ckpt``.

Needs no MindSpore, so that a command can look at a checkpoint before the framework is loaded.
"""

import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from common import RequestError, write_json
from common.files import PathLike

CKPT_SUFFIX, META_SUFFIX = ".ckpt", ".meta"


@dataclass(frozen=True)
class CheckpointMeta:
    """How the network of a checkpoint was built and fed, and how far it was trained.

    Attributes:
        num_classes: length of a row of logits.
        image_size: side in pixels of the square pictures it was trained on.
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
    """``<stem>.meta`` of ``<stem>.ckpt``; RequestError for a path of another suffix."""
    path = Path(ckpt)
    if path.suffix != CKPT_SUFFIX:
        raise RequestError(f"checkpoint '{path}' does not end in {CKPT_SUFFIX}: "
                           "only MindSpore checkpoints written by this program can be used")
    return path.with_suffix(META_SUFFIX)


def write_meta(ckpt: PathLike, meta: CheckpointMeta) -> None:
    write_json(meta_path(ckpt), asdict(meta))


def read_meta(path: PathLike) -> CheckpointMeta:
    """The meta of the checkpoint ``path`` (the ``.ckpt``, whose bytes are not looked at).

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
