"""``<stem>.meta`` next to a checkpoint ``<stem>.ckpt``: its classes, how its network was built and
fed, how far it was trained. No MindSpore is needed to read it."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from common.cli import RequestError
from common.files import PathLike, read_bytes, sha256_of_lines
from common.json_text import parse_json
from common.text import class_label
from inceptionv4 import INTERPOLATIONS, SMALLEST_IMAGE

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
        top1_error: of one crop after that epoch, in percent, of the averaged weights where it has
            them; None where it was not measured.
        ckpt_sha256: of the ``.ckpt`` file; ``save_checkpoint`` fills it in.
        interpolation: how the library that trained it resizes images to evaluate it, one of
            ``INTERPOLATIONS``; None: this program's own way.
        ema_decay: of the averaged weights in it; 0: it has none.
        class_names: in label order; none where they are unknown, as in older files.
        class_words: what people call the classes, in label order, "" where the name says it; none
            where that is so for all.
        imported_from: library and file whose weights they are; "" for those of a run.
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
    interpolation: Optional[str] = None
    ema_decay: float = 0.0
    class_names: tuple[str, ...] = ()
    class_words: tuple[str, ...] = ()
    imported_from: str = ""

    def __post_init__(self):
        """Raise ValueError for a value of the wrong kind: a wrong mean would only cost accuracy."""
        for name, value in vars(self).items():
            if not _is_right(name, value):
                raise ValueError(f"{name} is {value!r}")
        for name in ("class_names", "class_words"):
            if len(getattr(self, name)) not in (0, self.num_classes):
                raise ValueError(f"{len(getattr(self, name))} {name} of {self.num_classes} classes")
        if self.class_names and sha256_of_lines(self.class_names) != self.class_names_sha256:
            raise ValueError("class_names have another digest than class_names_sha256")

    @property
    def class_labels(self) -> list[str]:
        """Return what to show for each class: words and name, the name, or the label's number."""
        names = self.class_names or [f"label {label}" for label in range(self.num_classes)]
        return [class_label(name, words) for name, words in
                zip(names, self.class_words or ("",) * self.num_classes)]


def _is_right(name: str, value: Any) -> bool:
    """Return whether ``value`` is one that the field ``name`` of a meta can have."""
    if name.endswith("_sha256"):
        return isinstance(value, str) and bool(re.fullmatch("([0-9a-f]{64})?", value))
    if name in ("mean", "std"):
        return (isinstance(value, tuple) and len(value) == 3 and all(map(_is_finite, value))
                and (name == "mean" or min(value) > 0))
    if name in ("class_names", "class_words"):
        return isinstance(value, tuple) and all(isinstance(each, str) for each in value)
    if name == "imported_from":
        return isinstance(value, str)
    if name in ("batch_norm_decay", "ema_decay"):
        return _is_finite(value) and 0 <= value < 1
    if name == "top1_error":
        return value is None or _is_finite(value)
    if name == "interpolation":
        return value is None or value in INTERPOLATIONS
    lowest = {"num_classes": 1, "image_size": SMALLEST_IMAGE}.get(name, 0)
    return type(value) is int and value >= lowest


def _is_finite(value: Any) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value))


def meta_path(ckpt: PathLike) -> Path:
    """Return ``<stem>.meta`` of ``<stem>.ckpt``; raise RequestError for another suffix."""
    path = Path(ckpt)
    if path.suffix != CKPT_SUFFIX:
        raise RequestError(f"checkpoint '{path}' does not end in {CKPT_SUFFIX}: "
                           "only MindSpore checkpoints written by this program can be used")
    return path.with_suffix(META_SUFFIX)


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
        values: dict[str, Any] = parse_json(read_bytes(meta_file))
        values.update({name: tuple(value) for name, value in values.items()
                       if isinstance(value, list)})
        return CheckpointMeta(**values)
    except (ValueError, TypeError, AttributeError) as error:
        raise RequestError(f"'{meta_file}' is not the meta file of a checkpoint ({error}); "
                           "use another checkpoint of the run") from error
