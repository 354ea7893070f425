"""What is to be converted: the pictures of a split, their labels and ids, where the bytes are."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

from common import RequestError


class Entry(NamedTuple):
    """One picture. A tuple, because ImageNet's training set has 1,281,167 of them in memory."""

    file_name: str  # as stored in the record: relative, "/" separators, the same in every layout
    label: int  # 0-based position in the sorted class names
    image_id: int  # 1-based
    container: str  # the file that holds the bytes (the picture itself, or a tar), under the root
    offset: int  # bytes from the start of the container
    size: int  # bytes


@dataclass(frozen=True)
class Listing:
    """All pictures of one split, in file-name order, or image-id order (ILSVRC validation)."""

    split: str
    layout: str
    root: Path
    class_names: List[str]  # sorted: the index is the label
    entries: List[Entry]
    ignored: List[str] = field(default_factory=list)  # files that are not pictures by their name

    def sha256(self) -> str:
        """Identify the pictures by name, size, label and id: the same for every layout."""
        digest = hashlib.sha256("\n".join(self.class_names).encode())
        for entry in self.entries:
            digest.update(f"\n{entry.image_id} {entry.label} {entry.size} {entry.file_name}"
                          .encode())
        return digest.hexdigest()


def read_entry(root: Path, entry: Entry) -> bytes:
    """Return the picture's encoded bytes.

    Raises:
        RequestError: the source changed since it was listed.
    """
    with open(root / entry.container, "rb", buffering=0) as file:
        in_archive = entry.container != entry.file_name and entry.offset > 0
        if not in_archive and os.fstat(file.fileno()).st_size != entry.size:
            raise _changed(root, entry)
        file.seek(entry.offset)
        data = file.read(entry.size)
    if len(data) != entry.size:
        raise _changed(root, entry)
    return data


def _changed(root: Path, entry: Entry) -> RequestError:
    return RequestError(f"{root / entry.container} changed while it was converted (it had "
                        f"{entry.size} bytes when listed for '{entry.file_name}'); convert again "
                        "when the source is at rest")


def checked_name(name: str, folder: Path) -> str:
    """Return ``name``, or raise RequestError when it is not UTF-8: a record could not hold it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise RequestError(f"'{shown}' in {folder} is not a UTF-8 name; rename it") from None
    return name


def check_unique_ids(entries: Sequence[Entry]) -> None:
    """Raise RequestError when two pictures have one image id."""
    seen: Dict[int, str] = {}
    for entry in entries:
        other = seen.setdefault(entry.image_id, entry.file_name)
        if other is not entry.file_name:
            raise RequestError(f"'{other}' and '{entry.file_name}' both have image id "
                               f"{entry.image_id}; remove one of them")
