"""What is to be converted: the images of a split, their labels and ids, and where the bytes are."""

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, NamedTuple, Optional, Sequence

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

    images: list[SourceFile]
    ignored: list[str]  # files whose names are not those of images

    def add_class(self, files: Iterable[SourceFile], extensions: Sequence[str], where: str,
                  remedy: str) -> None:
        """Sort the files of a class into images and others; raise RequestError without images."""
        before = len(self.images)
        for file in files:
            if file.name.lower().endswith(tuple(extensions)):
                self.images.append(file)
            else:
                self.ignored.append(file.name)
        if len(self.images) == before:
            raise RequestError(f"{where} contains no images ({' '.join(extensions)}); {remedy}")


@dataclass(frozen=True)
class GroundTruth:
    """The label of every validation image, and the file it was read from."""

    origin: Path
    class_names: list[str]  # sorted wnids: the index is the label
    labels: dict[int, int]  # image id (1-based) -> label (0-based)


class Entry(NamedTuple):
    """An image with its label. A tuple: ImageNet's training set has 1,281,167 in memory."""

    file_name: str  # as stored in the record: the same in every layout
    label: int  # 0-based position in the class names
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
    class_names: list[str]  # in label order
    entries: list[Entry]
    ignored: list[str] = field(default_factory=list)  # files whose names are not those of images

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


def in_label_order(class_names: Iterable[str]) -> list[str]:
    """Return the names sorted: by number where all are numbers (ImageNet-V2's 0 to 999), else as
    text."""
    names = sorted(class_names)
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else names


def validation_scan(files: Iterable[SourceFile]) -> Scan:
    """Return the files, those with the names of ILSVRC's validation images as images."""
    scan = Scan([], [])
    for file in files:
        if validation_id(file.name) is None:
            scan.ignored.append(file.name)
        else:
            scan.images.append(file)
    return scan


def check_utf8(name: str, place: Path) -> None:
    """Raise RequestError for a name that is not UTF-8: a record could not hold it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise RequestError(f"'{shown}' in {place} is not a UTF-8 name; rename it") from None


def entries_by_class(files: Sequence[SourceFile], class_names: Sequence[str], split: str
                     ) -> list[Entry]:
    """Label images named ``<class>/<file>``; ids are positions in sorted file-name order.

    Validation images with ILSVRC's names keep its ids and are listed by their bare names, as in
    the official archive, so that every layout gives the same records.
    """
    label_of = {name: label for label, name in enumerate(class_names)}
    entries = [Entry(file.name, label_of[file.name.split("/")[0]], position, *file[1:])
               for position, file in enumerate(sorted(files), start=1)]
    numbered = []
    for entry in entries:
        name = entry.file_name.split("/")[1]
        image_id = validation_id(name)
        if split == "train" or image_id is None:
            return entries
        numbered.append(entry._replace(file_name=name, image_id=image_id))
    return _in_id_order(numbered)


def entries_by_truth(files: Sequence[SourceFile], truth: GroundTruth) -> list[Entry]:
    """Label images named ``ILSVRC2012_val_NNNNNNNN.JPEG`` by their ids.

    Raises:
        RequestError: an image without a label, or a label without an image.
    """
    entries = []
    for file in files:
        image_id = validation_id(file.name)
        if image_id not in truth.labels:
            raise RequestError(f"{file.name} has no label: {truth.origin} has "
                               f"{len(truth.labels)} labels; give the ground truth of this set")
        entries.append(Entry(file.name, truth.labels[image_id], image_id, *file[1:]))
    entries = _in_id_order(entries)
    if len(entries) != len(truth.labels):
        missing = min(truth.labels.keys() - {entry.image_id for entry in entries})
        raise RequestError(f"{truth.origin} has {len(truth.labels)} labels but there are "
                           f"{len(entries)} validation images (ILSVRC2012_val_{missing:08d}.JPEG "
                           "is missing); complete them or give the ground truth of this set")
    return entries


def _in_id_order(entries: list[Entry]) -> list[Entry]:
    """Return the entries in id order; raise RequestError when two of them have one id."""
    ordered = sorted(entries, key=lambda entry: entry.image_id)
    for entry, following in zip(ordered, ordered[1:]):
        if entry.image_id == following.image_id:
            raise RequestError(f"'{entry.container}' and '{following.container}' both have image "
                               f"id {entry.image_id}; remove one of them")
    return ordered


def read_entry(root: Path, entry: Entry) -> bytes:
    """Return the image's encoded bytes.

    Raises:
        RequestError: the source changed since it was listed.
    """
    with open(root / entry.container, "rb", buffering=0) as file:
        container_bytes = os.fstat(file.fileno()).st_size
        file.seek(entry.offset)
        data = file.read(entry.size)
    in_archive = entry.offset > 0  # the first image of a tar follows its header
    if len(data) != entry.size or not (in_archive or container_bytes == entry.size):
        raise RequestError(f"{root / entry.container} changed while it was converted (it had "
                           f"{entry.size} bytes when '{entry.file_name}' was listed); convert "
                           "again when nothing writes to the source")
    return data
