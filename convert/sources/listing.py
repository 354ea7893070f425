"""What is to be converted: the images of a split, their labels and ids, and where the bytes are."""

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, NamedTuple, Optional

from common.cli import RequestError

IMAGE_EXTENSIONS = (".jpeg", ".jpg", ".png")

_VALIDATION_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


class SourceFile(NamedTuple):
    """An image as it lies in the source."""

    name: str  # "<class>/<file>" in class folders, else "<file>"; "/" on every system
    container: str  # the file that holds the bytes (the image itself, or a tar), under the root
    offset: int  # bytes from the start of the container
    size: int  # bytes


class Scan(NamedTuple):
    """The files of one split in a source, not labelled yet."""

    files: List[SourceFile]
    class_names: List[str]  # sorted; empty where the images are not arranged by class
    ignored: List[str]  # files whose names are not those of images


class Entry(NamedTuple):
    """An image with its label. A tuple: ImageNet's training set has 1,281,167 in memory."""

    file_name: str  # as stored in the record: the same in every layout
    label: int  # 0-based position in the sorted class names
    image_id: int  # 1-based
    container: str
    offset: int
    size: int


@dataclass(frozen=True)
class Listing:
    """All images of one split, in file-name order, or image-id order (ILSVRC validation)."""

    split: str
    layout: str
    root: Path
    class_names: List[str]  # sorted: the index is the label
    entries: List[Entry]
    ignored: List[str] = field(default_factory=list)  # files whose names are not those of images

    def sha256(self) -> str:
        """Return a digest of the images' names, sizes, labels and ids, the same for every layout.
        """
        digest = hashlib.sha256("\n".join(self.class_names).encode())
        for entry in self.entries:
            digest.update(f"\n{entry.image_id} {entry.label} {entry.size} {entry.file_name}"
                          .encode())
        return digest.hexdigest()


def validation_id(file_name: str) -> Optional[int]:
    """Return the number in ``ILSVRC2012_val_NNNNNNNN.JPEG``, or None for any other name."""
    match = _VALIDATION_NAME.fullmatch(file_name)
    return int(match.group(1)) if match else None


def checked_name(name: str, place: object) -> str:
    """Return ``name``, or raise RequestError when it is not UTF-8: a record could not hold it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise RequestError(f"'{shown}' in {place} is not a UTF-8 name; rename it") from None
    return name


def read_entry(root: Path, entry: Entry) -> bytes:
    """Return the image's encoded bytes.

    Raises:
        RequestError: the source changed since it was listed.
    """
    with open(root / entry.container, "rb", buffering=0) as file:
        in_archive = entry.offset > 0  # the first image of a tar follows its header
        if not in_archive and os.fstat(file.fileno()).st_size != entry.size:
            raise _changed(root, entry)
        file.seek(entry.offset)
        data = file.read(entry.size)
    if len(data) != entry.size:
        raise _changed(root, entry)
    return data


def _changed(root: Path, entry: Entry) -> RequestError:
    return RequestError(f"{root / entry.container} changed while it was converted (it had "
                        f"{entry.size} bytes when '{entry.file_name}' was listed); convert again "
                        "when nothing writes to the source")
