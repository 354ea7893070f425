"""What is to be converted: the images of a split, their labels and ids, and where the bytes are."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Mapping, NamedTuple, Optional, Sequence

from common.cli import RequestError
from common.files import naming_file
from common.text import counted, first_of
from convert.sources.names import (IMAGE_EXTENSIONS, check_wnid_in_name, in_label_order,
                                   is_hidden, is_training_image, own_name, validation_id,
                                   wnid_in_name)

_NAMES_SHOWN = 3
_TAR_BLOCK, _TAR_MAGIC_AT = 512, 257  # bytes of a block, and where a header has "ustar"


class SourceFile(NamedTuple):
    """An image as it lies in the source."""

    name: str  # "<class>/<file>" in class folders, else "<file>"; "/" on every system
    container: str  # the file that holds the bytes (the image itself, or a tar), under the root
    offset: int  # bytes from the start of the container
    size: int  # bytes


class Scan(NamedTuple):
    """The files of one split in a source, not labelled yet."""

    images: list[SourceFile]
    ignored: list[str]  # files that are not images by their name or place

    def add_class(self, files: Iterable[SourceFile], extensions: Sequence[str], where: str,
                  remedy: str) -> None:
        """Sort the files of a class into images and others; raise RequestError without images."""
        before = len(self.images)
        for file in files:
            if file.name.lower().endswith(tuple(extensions)) and not is_hidden(file.name):
                self.images.append(file)
            else:
                self.ignored.append(file.name)
        if len(self.images) == before:
            raise RequestError(f"{where} contains no images ({' '.join(extensions)}); {remedy}")


@dataclass(frozen=True)
class ScanOptions:
    """How the images of a source are listed."""

    extensions: tuple[str, ...] = IMAGE_EXTENSIONS  # of images in class folders
    keep: Optional[Path] = None  # folder for what a later attempt can use; None: write nothing
    workers: int = 1  # processes, where listing takes much computing


@dataclass(frozen=True)
class GroundTruth:
    """The label of every validation image, and the file it was read from."""

    origin: Path
    class_names: list[str]  # sorted wnids: the index is the label
    labels: dict[int, int]  # image id (1-based) -> label (0-based)
    lines: Mapping[int, int] = field(default_factory=dict)  # image id -> line, where it names them


class Entry(NamedTuple):
    """An image with its label. A tuple: ImageNet's training set has 1,281,167 in memory."""

    file_name: str  # as stored in the record: the same in every layout
    label: int  # 0-based position in the class names
    image_id: int  # 1-based
    container: str
    offset: int
    size: int

    def digest_line(self) -> bytes:
        """Return what digests of images have of this one: not where its bytes are."""
        return f"\n{self.image_id} {self.label} {self.size} {self.file_name}".encode()


@dataclass(frozen=True)
class Listing:
    """All images of one split, in file-name order, or image-id order (ILSVRC validation)."""

    split: str
    layout: str
    root: Path
    class_names: list[str]  # in label order
    entries: list[Entry]
    ignored: list[str] = field(default_factory=list)  # files, not images by their name or place

    @property
    def ids_are_positions(self) -> bool:
        """Return whether ids are positions among the names, not ILSVRC's numbers in the names."""
        return any(validation_id(entry.file_name.rsplit("/")[-1]) != entry.image_id
                   for entry in self.entries)

    def sha256(self) -> str:
        """Return a digest of the images' names, sizes, labels and ids, alike for every layout."""
        digest = hashlib.sha256("\n".join(self.class_names).encode())
        for entry in self.entries:
            digest.update(entry.digest_line())
        return digest.hexdigest()


def validation_scan(files: Iterable[SourceFile]) -> Scan:
    """Return the files, those with the names of ILSVRC's validation images as images.

    Raises:
        RequestError: some of them have names like these, but other images have not.
    """
    scan, others = Scan([], []), []
    for file in files:
        if validation_id(file.name) is not None:
            scan.images.append(file)
        elif file.name.lower().endswith(IMAGE_EXTENSIONS) and not is_hidden(file.name):
            others.append(file.name)
        else:
            scan.ignored.append(file.name)
    if others and scan.images:
        raise _mixed_names(len(scan.images), others)
    return scan


def _mixed_names(numbered: int, others: Sequence[str]) -> RequestError:
    shown = first_of([f"'{name}'" for name in sorted(others)], _NAMES_SHOWN)
    return RequestError(f"the validation set has {counted(numbered, 'image')} with ILSVRC's "
                        f"numbers in the names and {counted(len(others), 'image')} without "
                        f"({shown}); image ids are these numbers: rename or remove the others")


def entries_by_class(files: Sequence[SourceFile], class_names: Sequence[str], split: str
                     ) -> list[Entry]:
    """Label images named ``<class>/<file>``; ids are positions in sorted file-name order.

    Validation images with ILSVRC's names keep its ids and are listed by their bare names, as in
    the official archive, and a class at the end of ImageNet's names is left out, so that every
    layout gives the same records.

    Raises:
        RequestError: some have ILSVRC's names and some not (unless most have the names of training
            images), a name has another class than the folder, or two images have one id or one
            name.
    """
    label_of = {name: label for label, name in enumerate(class_names)}
    ordered = sorted(file._replace(name=_own_path(file.name)) for file in files)
    entries = [Entry(file.name, label_of[file.name.split("/")[0]], position, *file[1:])
               for position, file in enumerate(ordered, start=1)]
    for entry, following in zip(entries, entries[1:]):
        if entry.file_name == following.file_name:
            raise RequestError(f"{_place(entry)} and {_place(following)} are both "
                               f"{entry.file_name}; remove one of them")
    if split == "train":
        return entries
    numbered, others = [], []
    for entry in entries:
        name = entry.file_name.split("/")[1]
        image_id = validation_id(name)
        if image_id is None:
            others.append(entry.file_name)
        else:
            numbered.append(entry._replace(file_name=name, image_id=image_id))
    if numbered and others:
        # imagenette and imagewoof were split anew: most images of their val/ are training images.
        if len(others) > len(numbered) and all(map(is_training_image, others)):
            return entries
        raise _mixed_names(len(numbered), others)
    return _in_id_order(numbered) if numbered else entries


def _own_path(path: str) -> str:
    """Return ``<class>/<file>`` with ImageNet's own file name."""
    class_name, _, name = path.partition("/")
    check_wnid_in_name(name, class_name, f"the folder {class_name}")
    return f"{class_name}/{own_name(name)}"


def truth_in_names(files: Sequence[SourceFile], root: Path,
                   classes: Optional[Sequence[str]] = None) -> Optional[GroundTruth]:
    """Return the labels that the images' names end in, or None unless all have one.

    Args:
        classes: those that there are; by default those in the names.

    Raises:
        RequestError: a name has another class.
    """
    wnids = [wnid_in_name(file.name) for file in files]
    if None in wnids:
        return None
    class_names = in_label_order(classes or {wnid for wnid in wnids if wnid})
    unknown = sorted({wnid for wnid in wnids if wnid} - set(class_names))
    if unknown:
        raise RequestError(f"the images of {root} are also of "
                           f"{counted(len(unknown), 'class')} by their names "
                           f"({first_of(unknown, _NAMES_SHOWN)}) which the training set, or "
                           f"--class-names, does not have ({counted(len(class_names), 'class')}, "
                           f"{class_names[0]} to {class_names[-1]}): their labels would differ; "
                           "complete the training set, or remove these images")
    label_of = {name: label for label, name in enumerate(class_names)}
    labels = {validation_id(file.name) or 0: label_of[wnid]
              for file, wnid in zip(files, wnids) if wnid}
    return GroundTruth(root, class_names, labels)


def check_by_truth(entries: Sequence[Entry], class_names: Sequence[str], truth: GroundTruth
                   ) -> None:
    """Check the classes that folders give validation images against those of a ground truth.

    Raises:
        RequestError: they differ, an image has no label, or a label no image.
    """
    files = [SourceFile(entry.file_name, *entry[3:]) for entry in entries]
    for entry, checked in zip(entries, entries_by_truth(files, truth)):
        known, expected = class_names[entry.label], truth.class_names[checked.label]
        if known != expected:
            raise RequestError(f"{_place(entry)} is of class {expected} by {truth.origin} but of "
                               f"{known} by its folder; correct the one that is wrong")


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
                               f"{counted(len(truth.labels), 'label')}; give the ground truth of "
                               "this set")
        label = truth.labels[image_id]
        check_wnid_in_name(file.name, truth.class_names[label], str(truth.origin))
        entries.append(Entry(own_name(file.name), label, image_id, *file[1:]))
    entries = _in_id_order(entries)
    if len(entries) != len(truth.labels):
        missing = min(truth.labels.keys() - {entry.image_id for entry in entries})
        line = f", line {truth.lines[missing]}," if missing in truth.lines else ""
        raise RequestError(f"{truth.origin} has {counted(len(truth.labels), 'label')} for "
                           f"{counted(len(entries), 'validation image')} "
                           f"(ILSVRC2012_val_{missing:08d}.JPEG{line} is missing); complete them "
                           "or give the ground truth of this set")
    return entries


def _in_id_order(entries: list[Entry]) -> list[Entry]:
    """Return the entries in id order; raise RequestError when two of them have one id."""
    ordered = sorted(entries, key=lambda entry: entry.image_id)
    for entry, following in zip(ordered, ordered[1:]):
        if entry.image_id == following.image_id:
            raise RequestError(f"{_place(entry)} and {_place(following)} both have image id "
                               f"{entry.image_id}; remove one of them")
    return ordered


def _place(entry: Entry) -> str:
    """Return what an error calls the image: its own file, or its name in an archive."""
    archive = Path(entry.container).name
    return f"'{entry.file_name}' in {archive}" if entry.offset else f"'{entry.container}'"


def read_entry(root: Path, entry: Entry) -> bytes:
    """Return the image's encoded bytes.

    Raises:
        RequestError: the source changed since it was listed, or its disk failed.
    """
    path = root / entry.container
    with naming_file(path), open(path, "rb", buffering=0) as file:
        container_bytes = os.fstat(file.fileno()).st_size
        file.seek(entry.offset)
        data = file.read(entry.size)
    in_archive = entry.offset > 0  # the first image of a tar follows its header
    if len(data) != entry.size or not (in_archive or container_bytes == entry.size):
        raise changed(root, entry)
    if in_archive and _holds_tar_header(data):
        raise RequestError(f"{root / path.name}: '{entry.file_name}' continues over the header of "
                           "another member: blocks are missing; fetch the archive again")
    return data


def _holds_tar_header(data: bytes) -> bool:
    """Return whether the data of a tar's member contains the header of another one: where blocks of
    the data were lost, it continues over what follows, which no listing then shows."""
    columns = data[_TAR_MAGIC_AT::_TAR_BLOCK]  # a byte of each block
    at = -1
    while (at := columns.find(b"u", at + 1)) >= 0:
        begin = _TAR_MAGIC_AT + _TAR_BLOCK * at
        if data[begin:begin + 5] == b"ustar":
            return True
    return False


def changed(root: Path, entry: Entry) -> RequestError:
    return RequestError(f"{root / entry.container} changed while it was converted (it had "
                        f"{counted(entry.size, 'byte')} when '{entry.file_name}' was listed); "
                        "convert again when nothing writes to the source")
