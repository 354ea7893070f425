"""What is to be converted: the images of a split, their labels and ids, where the bytes are."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

from common.cli import RequestError
from convert.sources.labels import GroundTruth
from convert.sources.naming import validation_id


class SourceFile(NamedTuple):
    """An image as it lies in the source."""

    name: str  # "<class>/<file>" in class folders, else "<file>"; "/" on every system
    container: str  # the file that holds the bytes (the image itself, or a tar), under the root
    offset: int  # bytes from the start of the container
    size: int  # bytes


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
    ignored: List[str] = field(default_factory=list)  # files that are not images by their name

    def sha256(self) -> str:
        """Identify the images by name, size, label and id: the same for every layout."""
        digest = hashlib.sha256("\n".join(self.class_names).encode())
        for entry in self.entries:
            digest.update(f"\n{entry.image_id} {entry.label} {entry.size} {entry.file_name}"
                          .encode())
        return digest.hexdigest()


def entries_by_class(images: Sequence[SourceFile], class_names: Sequence[str], split: str
                     ) -> List[Entry]:
    """Label images named ``<class>/<file>``; ids are positions in sorted file-name order.

    Validation images that bear ILSVRC's names keep its ids and are listed by their bare names,
    as in the official archive, so that every layout gives the same records.
    """
    label_of = {name: label for label, name in enumerate(class_names)}
    ids = [validation_id(image.name.rsplit("/", 1)[-1]) for image in images]
    if split == "val" and None not in ids:
        entries = [Entry(p.name.rsplit("/", 1)[-1], label_of[p.name.split("/", 1)[0]],
                         image_id or 0, p.container, p.offset, p.size)
                   for p, image_id in zip(images, ids)]
        return checked_ids(entries)
    return [Entry(p.name, label_of[p.name.split("/", 1)[0]], position, *p[1:])
            for position, p in enumerate(sorted(images), start=1)]


def entries_by_truth(images: Sequence[SourceFile], truth: GroundTruth) -> List[Entry]:
    """Label images named ``ILSVRC2012_val_NNNNNNNN.JPEG`` by their ids.

    Raises:
        RequestError: an image without a label, or a label without an image.
    """
    entries = []
    for image in images:
        image_id = validation_id(image.name)
        if image_id not in truth.labels:
            raise RequestError(f"{image.name} has no label: {truth.origin} holds "
                               f"{len(truth.labels)} labels; give the ground truth of this set")
        entries.append(Entry(image.name, truth.labels[image_id], image_id, *image[1:]))
    entries = checked_ids(entries)
    if len(entries) != len(truth.labels):
        missing = min(truth.labels.keys() - {entry.image_id for entry in entries})
        raise RequestError(f"{truth.origin} holds {len(truth.labels)} labels but there are "
                           f"{len(entries)} validation images (ILSVRC2012_val_{missing:08d}.JPEG "
                           "is missing); complete them or give the ground truth of this set")
    return entries


def checked_ids(entries: List[Entry]) -> List[Entry]:
    """Return the entries in id order; raise RequestError when two of them have one id."""
    seen: Dict[int, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.image_id, entry)
        if other is not entry:
            raise RequestError(f"'{other.container}' and '{entry.container}' both have image id "
                               f"{entry.image_id}; remove one of them")
    return sorted(entries, key=lambda entry: entry.image_id)


def read_entry(root: Path, entry: Entry) -> bytes:
    """Return the image's encoded bytes.

    Raises:
        RequestError: the source changed since it was listed.
    """
    with open(root / entry.container, "rb", buffering=0) as file:
        in_archive = entry.offset > 0  # a tar's first image stands behind its header
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
