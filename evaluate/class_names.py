"""Class names compared with a checkpoint's, and what a label of the records means to it."""

from pathlib import Path
from typing import NamedTuple, Optional, Sequence

import numpy as np

from common.cli import RequestError
from common.files import sha256_of_lines
from common.text import counted
from convert.records.reader import RecordSet
from convert.sources.label_lists import read_class_names
from inceptionv4.meta import CheckpointMeta


class NetworkClasses(NamedTuple):
    """The network's class names in label order, the network's label of each label of the records,
    int32 (classes of the records,), and what people call the network's classes ("" where the name
    says it)."""

    names: list[str]
    labels: np.ndarray
    words: list[str]


def network_classes(records: RecordSet, meta: CheckpointMeta, checkpoint: Path,
                    class_names: Optional[Path]) -> NetworkClasses:
    """Return what the labels of the records mean to the checkpoint.

    Without ``class_names`` both must have the same classes; a checkpoint whose class names are
    unknown (an imported one) is compared by count alone. ``class_names`` is a file of the
    checkpoint's: the records' are some of these (ImageNet-A, -R), or numbers from 0, which are
    labels (ImageNet-V2).

    Raises:
        RequestError: the classes differ, or the file's are not the checkpoint's.
    """
    if class_names is None:
        _check_same_classes(records, meta, checkpoint)
        return NetworkClasses(records.class_names, np.arange(meta.num_classes, dtype=np.int32),
                              _words_of(records.class_names, records, meta))
    names = read_class_names(class_names, with_spaces=True)
    check_class_names(names, class_names, meta, checkpoint)
    # All numbers from 0 are labels. Numbers from 1 would be the devkit's, in another order.
    numbers = [str(label) for label in range(len(names))]
    numbered = set(records.class_names) == set(numbers)  # older records have them sorted as text
    positions = {name: label for label, name in enumerate(numbers if numbered else names)}
    unknown = [name for name in records.class_names if name not in positions]
    if unknown:
        raise RequestError(f"class '{unknown[0]}' of {records.folder} is not one of the "
                           f"{len(names)} in {class_names}, nor are its classes numbered 0 to "
                           f"{len(names) - 1}")
    labels = [positions[name] for name in records.class_names]
    return NetworkClasses(names, np.array(labels, np.int32), _words_of(names, records, meta))


def _words_of(names: Sequence[str], records: RecordSet, meta: CheckpointMeta) -> list[str]:
    """Return what the checkpoint calls the classes, else the records."""
    known = {**dict(zip(records.class_names, records.class_words)),
             **{name: words for name, words in zip(meta.class_names, meta.class_words) if words}}
    return [known.get(name, "") for name in names]


def check_class_names(names: Sequence[str], source: Path, meta: CheckpointMeta, checkpoint: Path,
                      otherwise: str = "") -> None:
    """Raise RequestError unless the names, read from ``source``, are the checkpoint's; the message
    ends with ``otherwise``, what else the user can do."""
    known = meta.class_names_sha256 in ("", sha256_of_lines(names))
    if len(names) != meta.num_classes or not known:
        raise RequestError(f"the {counted(len(names), 'class name')} of {source} are not those "
                           "that "
                           f"{checkpoint} was trained on ({counted(meta.num_classes, 'class')}): "
                           f"give the right ones in label order{otherwise}")


def _check_same_classes(records: RecordSet, meta: CheckpointMeta, checkpoint: Path) -> None:
    classes = len(records.class_names)
    if classes != meta.num_classes:
        raise RequestError(f"{checkpoint} has {counted(meta.num_classes, 'class')} but "
                           f"{records.folder} "
                           f"has {classes}: evaluate it on records of the classes it was trained "
                           "on, or give those with --class-names")
    if meta.class_names_sha256 not in ("", records.class_names_sha256):
        raise RequestError(f"{checkpoint} and {records.folder} both have {classes} classes, but "
                           "with other names: evaluate it on records of the classes it was "
                           "trained on, or give those with --class-names")
