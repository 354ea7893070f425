"""The names that ImageNet's images have, and what they say."""

import os
import re
from pathlib import Path
from typing import Iterable, Optional, Sequence

from common.cli import RequestError

IMAGE_EXTENSIONS = (".jpeg", ".jpg", ".png")

MACOS_FOLDER = "__MACOSX"  # in what was packed on macOS
LONGEST_NUMBER = 18  # digits of a class name that is sorted as a number

# Copies differ in the ending, and Hugging Face's have the class at the end of the name.
_VALIDATION_NAME = re.compile(
    r"ILSVRC2012_val_((?!0{8})[0-9]{8})(?:_(n[0-9]{8}))?\.(?:JPEG|JPG|PNG)", re.IGNORECASE)
WNID = re.compile("n[0-9]{8}")
_TRAINING_NAME = re.compile(r"(n[0-9]{8})_[0-9]+\.[A-Za-z]+")
_NAME_WITH_WNID = re.compile(
    r"((?:(n[0-9]{8})_[0-9]+|ILSVRC2012_val_[0-9]{8}))_(n[0-9]{8})(\.(?i:JPEG|JPG|PNG))")
# A part of a path that is MACOS_FOLDER, or begins with a dot and is not "." or "..".
_HIDDEN = re.compile(rf"(?:\A|/)(?:{MACOS_FOLDER}(?:/|\Z)|\.(?!\.?(?:/|\Z)))")


def validation_id(file_name: str) -> Optional[int]:
    """Return the number in ``ILSVRC2012_val_NNNNNNNN.JPEG``, with another ending (``.jpg``) or the
    class before it (``_n01440764.JPEG``), too; None for any other name."""
    match = _VALIDATION_NAME.fullmatch(file_name)
    return int(match.group(1)) if match else None


def training_wnid(file_name: str) -> Optional[str]:
    """Return the class in ``n01440764_10026.JPEG``, also with another ending; None for any other
    name."""
    match = _TRAINING_NAME.fullmatch(file_name)
    return match[1] if match else None


def is_training_image(name: str) -> bool:
    """Return whether ``<class>/<file>`` is named like ILSVRC's training images."""
    class_name, _, file_name = name.partition("/")
    return training_wnid(file_name) == class_name


def wnid_in_name(file_name: str) -> Optional[str]:
    """Return the class at the end of ``ILSVRC2012_val_NNNNNNNN_nNNNNNNNN.JPEG`` or
    ``nNNNNNNNN_N_nNNNNNNNN.JPEG``, or None without one."""
    match = _VALIDATION_NAME.fullmatch(file_name)
    if match:
        return match[2].lower() if match[2] else None
    match = _NAME_WITH_WNID.fullmatch(file_name)
    return match[3] if match else None


def imagenet_name(file_name: str) -> Optional[str]:
    """Return ``<wnid>/<file>`` with ImageNet's own file name for one with the wnid at the end, as
    Hugging Face has them (``n01440764_10026_n01440764.JPEG``); None for any other name."""
    match = _NAME_WITH_WNID.fullmatch(file_name)
    return f"{match[3]}/{match[1]}{match[4]}" if match and match[2] in (None, match[3]) else None


def own_name(file_name: str) -> str:
    """Return ImageNet's own file name for one that has the class at its end, else the name."""
    name = imagenet_name(file_name)
    return file_name if name is None else name.partition("/")[2]


def official_stem(file_name: str) -> Optional[str]:
    """Return ImageNet's own file name without ending, which no other image has; None for any other
    name."""
    name = own_name(file_name)
    official = training_wnid(name) or validation_id(name)
    return name.rpartition(".")[0] if official else None


def check_wnid_in_name(file_name: str, class_name: str, origin: str) -> None:
    """Raise RequestError where the name has another class than ``origin``; one that does not
    name classes by their wnids is not comparable."""
    wnid = wnid_in_name(file_name)
    if wnid and WNID.fullmatch(class_name) and wnid != class_name:
        raise RequestError(f"{file_name} is of class {wnid} by its name but of {class_name} by "
                           f"{origin}; correct the one that is wrong")


def check_class_names(names: Sequence[str], origin: object) -> None:
    """Raise RequestError where only some of the names are wnids: a name that was damaged may be
    sorted elsewhere, which shifts the labels of others."""
    others = [name for name in names if not WNID.fullmatch(name)]
    if 0 < len(others) < len(names):
        raise RequestError(f"{origin}: class name '{others[0][:60]}' is not a wnid like n01440764, "
                           f"as {len(names) - len(others):,} of the {len(names):,} are; correct it")


def is_hidden(path: str) -> bool:
    """Return whether a file or folder is passed over: a part of its path begins with a dot, as what
    the system keeps (.DS_Store, .nfs…, macOS's ._ companions), or is macOS's ``__MACOSX``."""
    return _HIDDEN.search(path) is not None


def check_utf8(name: str, place: Path) -> None:
    """Raise RequestError for a name that is not UTF-8: a record could not hold it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise RequestError(f"'{shown_name(name)}' in {place} is not a UTF-8 name; rename it"
                           ) from None


def shown_name(name: str) -> str:
    """Return the name with escapes for what is not UTF-8 in it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def in_label_order(class_names: Iterable[str]) -> list[str]:
    """Return the names sorted: by number where all are numbers (ImageNet-V2's 0 to 999), else as
    text."""
    names = sorted(class_names)
    numbers = all(name.isdecimal() and len(name) <= LONGEST_NUMBER for name in names)
    return sorted(names, key=int) if numbers else names
