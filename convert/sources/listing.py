"""What is to be converted: the images of a split, their labels and ids, and where the bytes are."""

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable, Mapping, NamedTuple, Optional, Sequence

from common.cli import RequestError, first_of
from common.files import naming_file

IMAGE_EXTENSIONS = (".jpeg", ".jpg", ".png")

MACOS_FOLDER = "__MACOSX"  # in what was packed on macOS

# Copies differ in the ending, and Hugging Face's have the class at the end of the name.
_VALIDATION_NAME = re.compile(
    r"ILSVRC2012_val_((?!0{8})[0-9]{8})(?:_(n[0-9]{8}))?\.(?:JPEG|JPG|PNG)", re.IGNORECASE)
_WNID = re.compile("n[0-9]{8}")
_NAME_WITH_WNID = re.compile(
    r"((?:(n[0-9]{8})_[0-9]+|ILSVRC2012_val_[0-9]{8}))_(n[0-9]{8})(\.JPEG)")
_TRAIN_NAME = re.compile(r"(n[0-9]{8})/\1_[0-9]+\.JPEG")
_NAMES_SHOWN = 3


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
            if file.name.lower().endswith(tuple(extensions)) and not is_companion(file.name):
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
        """Return a digest of the images' names, sizes, labels and ids, the same for every layout.
        """
        digest = hashlib.sha256("\n".join(self.class_names).encode())
        for entry in self.entries:
            digest.update(entry.digest_line())
        return digest.hexdigest()


def validation_id(file_name: str) -> Optional[int]:
    """Return the number in ``ILSVRC2012_val_NNNNNNNN.JPEG``, with another ending (``.jpg``) or the
    class before it (``_n01440764.JPEG``), too; None for any other name."""
    match = _VALIDATION_NAME.fullmatch(file_name)
    return int(match.group(1)) if match else None


def wnid_in_name(file_name: str) -> Optional[str]:
    """Return the class in ``ILSVRC2012_val_NNNNNNNN_nNNNNNNNN.JPEG``, or None without one."""
    match = _VALIDATION_NAME.fullmatch(file_name)
    return match.group(2).lower() if match and match.group(2) else None


def imagenet_name(file_name: str) -> Optional[str]:
    """Return ``<wnid>/<file>`` with ImageNet's own file name for one with the wnid at the end, as
    Hugging Face has them (``n01440764_10026_n01440764.JPEG``); None for any other name."""
    match = _NAME_WITH_WNID.fullmatch(file_name)
    return f"{match[3]}/{match[1]}{match[4]}" if match and match[2] in (None, match[3]) else None


def validation_scan(files: Iterable[SourceFile]) -> Scan:
    """Return the files, those with the names of ILSVRC's validation images as images.

    Raises:
        RequestError: some of them have names like these, but other images have not.
    """
    scan, others = Scan([], []), []
    for file in files:
        if validation_id(file.name) is not None:
            scan.images.append(file)
        elif file.name.lower().endswith(IMAGE_EXTENSIONS) and not (
                file.name.startswith(".") or is_companion(file.name)):
            others.append(file.name)
        else:
            scan.ignored.append(file.name)
    if others and scan.images:
        raise _mixed_names(len(scan.images), others)
    return scan


def _mixed_names(numbered: int, others: Sequence[str]) -> RequestError:
    shown = first_of([f"'{name}'" for name in sorted(others)], _NAMES_SHOWN)
    return RequestError(f"the names of {numbered} validation images have ILSVRC's numbers, those "
                        f"of {len(others)} have not ({shown}); image ids are these numbers: rename "
                        "or remove the others")


def is_companion(path: str) -> bool:
    """Return whether macOS wrote that file next to another one, whose attributes it holds."""
    *folders, name = path.split("/")
    return name.startswith("._") or MACOS_FOLDER in folders


def check_utf8(name: str, place: Path) -> None:
    """Raise RequestError for a name that is not UTF-8: a record could not hold it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise RequestError(f"'{shown}' in {place} is not a UTF-8 name; rename it") from None


def in_label_order(class_names: Iterable[str]) -> list[str]:
    """Return the names sorted: by number where all are numbers (ImageNet-V2's 0 to 999), else as
    text."""
    names = sorted(class_names)
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else names


def entries_by_class(files: Sequence[SourceFile], class_names: Sequence[str], split: str
                     ) -> list[Entry]:
    """Label images named ``<class>/<file>``; ids are positions in sorted file-name order.

    Validation images with ILSVRC's names keep its ids and are listed by their bare names, as in
    the official archive, so that every layout gives the same records.

    Raises:
        RequestError: some have ILSVRC's names and some not, a name has another class than the
            folder, or two images have one id.
    """
    label_of = {name: label for label, name in enumerate(class_names)}
    entries = [Entry(file.name, label_of[file.name.split("/")[0]], position, *file[1:])
               for position, file in enumerate(sorted(files), start=1)]
    if split == "train":
        return entries
    numbered, others = [], []
    for entry in entries:
        class_name, name = entry.file_name.split("/")
        image_id = validation_id(name)
        if image_id is None:
            others.append(entry.file_name)
        else:
            check_wnid_in_name(name, class_name, f"the folder {class_name}")
            numbered.append(entry._replace(file_name=name, image_id=image_id))
    if numbered and others:
        # imagenette and imagewoof were split anew: their val/ has training images, too.
        if all(_TRAIN_NAME.fullmatch(name) for name in others):
            return entries
        raise _mixed_names(len(numbered), others)
    return _in_id_order(numbered) if numbered else entries


def check_wnid_in_name(file_name: str, class_name: str, origin: str) -> None:
    """Raise RequestError where the name has another class than ``origin``; one that does not
    name classes by their wnids is not comparable."""
    wnid = wnid_in_name(file_name)
    if wnid and _WNID.fullmatch(class_name) and wnid != class_name:
        raise RequestError(f"{file_name} is of class {wnid} by its name but of {class_name} by "
                           f"{origin}; correct the one that is wrong")


def truth_in_names(files: Sequence[SourceFile], root: Path) -> Optional[GroundTruth]:
    """Return the labels that the images' names end in, or None unless all have one."""
    wnids = [wnid_in_name(file.name) for file in files]
    class_names = sorted({wnid for wnid in wnids if wnid})
    label_of = {name: label for label, name in enumerate(class_names)}
    labels = {validation_id(file.name) or 0: label_of[wnid]
              for file, wnid in zip(files, wnids) if wnid}
    return None if None in wnids else GroundTruth(root, class_names, labels)


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
            raise RequestError(f"'{entry.container}' is of class {expected} by {truth.origin} but "
                               f"of {known} by its folder; correct the one that is wrong")


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
        label = truth.labels[image_id]
        check_wnid_in_name(file.name, truth.class_names[label], str(truth.origin))
        entries.append(Entry(file.name, label, image_id, *file[1:]))
    entries = _in_id_order(entries)
    if len(entries) != len(truth.labels):
        missing = min(truth.labels.keys() - {entry.image_id for entry in entries})
        line = f", line {truth.lines[missing]}," if missing in truth.lines else ""
        raise RequestError(f"{truth.origin} has {len(truth.labels)} labels but there are "
                           f"{len(entries)} validation images (ILSVRC2012_val_{missing:08d}.JPEG"
                           f"{line} is missing); complete them or give the ground truth of this "
                           "set")
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
    return data


def changed(root: Path, entry: Entry) -> RequestError:
    return RequestError(f"{root / entry.container} changed while it was converted (it had "
                        f"{entry.size} bytes when '{entry.file_name}' was listed); convert again "
                        "when nothing writes to the source")
