"""The manifest of a record set: what it holds, how it was made, the digest of every file."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Optional, Sequence

from common.cli import RequestError
from common.files import PathLike, read_json, sha256_of_file, sha256_of_lines, write_json
from common.forms import check_kinds
from common.text import counted
from convert.sources.ilsvrc import IlsvrcCheck, IlsvrcNumbers
from convert.sources.layouts import SPLITS
from convert.sources.names import in_label_order

FORMAT_VERSION = 1
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class Shard:
    """One data file and the index next to it (``<file>.db``)."""

    file: str
    images: int
    bytes: int
    sha256: str
    index_bytes: int
    index_sha256: str

    @property
    def index_file(self) -> str:
        return f"{self.file}.db"

    def faults(self, *folders: Path, digests: bool = False) -> list[str]:
        """Return what is wrong with its files, each looked for in the folders in this order.

        Args:
            digests: compare also the files' digests, not only their sizes.
        """
        faults = []
        for name, size, sha256 in ((self.file, self.bytes, self.sha256),
                                   (self.index_file, self.index_bytes, self.index_sha256)):
            path = next((folder / name for folder in folders if (folder / name).exists()), None)
            if path is None:
                faults.append(f"{name} is missing")
            elif path.stat().st_size != size:
                faults.append(f"{name} has {path.stat().st_size} bytes instead of {size}")
            elif digests and sha256_of_file(path) != sha256:
                faults.append(f"{name} has changed (its sha256 differs)")
        return faults


@dataclass(frozen=True)
class ClassCount:
    """A class, how many of the stored images are of it, and what people call it ("kit fox" for
    n02119789); no words: the name says it."""

    name: str
    images: int
    words: str = ""


@dataclass(frozen=True)
class BlacklistNote:
    """Which list the ``blacklisted`` column came from, and how many stored images it marks."""

    sha256: str
    ids: int
    images: int
    is_ilsvrc: bool
    ids_are_positions: bool = False  # in sorted names, otherwise ILSVRC's numbers


@dataclass(frozen=True, order=True)
class FileNote:
    """An image that was repaired or rejected, and why."""

    file_name: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """What a record set holds and how it was made. ``options`` are those that decide the bytes."""

    format_version: int
    split: str
    layout: str
    options: dict[str, Any]
    seed: int
    images: int
    image_bytes: int  # stored in the records; the file's key is picture_bytes
    shrunk: int  # images, see options short_side and quality
    bytes_saved: int  # by shrinking them
    source_sha256: str  # of names, sizes, labels and ids as listed
    rows_sha256: str  # of "image_id label blacklisted\n" of every stored row, in image-id order
    classes: list[ClassCount]
    shards: list[Shard]
    blacklist: Optional[BlacklistNote]
    ilsvrc: Optional[IlsvrcCheck]  # None unless the numbers of images and classes are ILSVRC's
    repaired: list[FileNote]
    rejected: list[FileNote]
    ignored: list[str]  # files of the source that are not images by name or place
    mindspore_version: str
    ilsvrc_numbers: Optional[IlsvrcNumbers] = None  # older files have none, nor what follows
    source_files: str = ""  # a source of archives in gzip: see ``state_of_files``
    argv: list[str] = dataclasses.field(default_factory=list)  # the command, as it was typed

    @property
    def class_names(self) -> list[str]:
        """Return the names in label order."""
        return [item.name for item in self.classes]

    @property
    def has_ilsvrc_names(self) -> bool:
        """Return whether the images are named, or are as many and of as many classes, as ILSVRC's
        validation images, whose numbers a blacklist lists."""
        return self.split == "val" and bool(self.ilsvrc or self.ilsvrc_numbers)

    def write(self, folder: Path) -> None:
        fields = {"picture_bytes" if name == "image_bytes" else name: value
                  for name, value in dataclasses.asdict(self).items()}
        for name in ("source_files", "argv"):
            if not fields[name]:
                del fields[name]
        for item in fields["classes"]:
            if not item["words"]:  # a set without any can be read by older versions, too
                del item["words"]
        write_json(folder / MANIFEST_NAME, fields)


def difference_of_classes(train: PathLike, train_names: Sequence[str], val: PathLike,
                          val_names: Sequence[str]) -> str:
    """Return how the classes of the sets in the two folders differ, which no training can use
    together, and what to do; empty where both have the same in the same order."""
    if list(train_names) == list(val_names):
        return ""
    only = sorted(set(train_names) ^ set(val_names))
    return (f"{train} has {counted(len(train_names), 'class')}, {val} {len(val_names)}"
            + (f" ('{only[0]}' is in one of them only)" if only else ", in another order")
            + "; convert both from the same source")


def record_sets_in(folder: PathLike) -> list[Path]:
    """Return the folders of the record sets that ``folder`` means: its own, else those in train/
    and val/ in it; ``folder`` where there is none, as an error should name it."""
    folder = Path(folder)
    splits = [folder / split for split in SPLITS if (folder / split).is_dir()]
    if (folder / MANIFEST_NAME).exists() or not any((split / MANIFEST_NAME).exists()
                                                    for split in splits):
        return [folder]
    return splits  # one without a manifest is a conversion that was not finished: an error


def read_manifest(folder: PathLike) -> Manifest:
    """Read ``folder/manifest.json``.

    Raises:
        RequestError: there is none, it is not one of this format, or it contradicts itself.
    """
    folder = Path(folder)
    path = folder / MANIFEST_NAME
    remedy = f"remove {folder}, then convert again"
    if not path.exists():
        inner = record_sets_in(folder)
        if inner != [folder]:
            raise RequestError(f"{folder} is the folder of the record sets "
                               f"{' and '.join(map(str, inner))}; give one of them")
        raise RequestError(f"{folder} is not a record set: it has no {MANIFEST_NAME}; give another "
                           "folder (make: RECORDS=FOLDER), or convert into it first (make "
                           "convert, python -m convert run)")
    fields = read_json(path, remedy)
    version = fields.get("format_version")
    if version != FORMAT_VERSION:
        raise RequestError(f"{path} has format version {version}, this program reads "
                           f"{FORMAT_VERSION}; {remedy}")
    try:
        manifest = _from_fields(fields)
        check_kinds(manifest)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise RequestError(f"{path} is damaged ({error}); {remedy}") from None
    _check_consistent(manifest, path, remedy)
    return manifest


def _check_consistent(manifest: Manifest, path: Path, remedy: str) -> None:
    """Raise RequestError when numbers differ or the classes are not in label order."""
    names = manifest.class_names
    # Older versions sorted numbers as text, too.
    if names not in (in_label_order(set(names)), sorted(set(names))):
        raise RequestError(f"{path} contradicts itself (its classes are not sorted); {remedy}")
    in_shards = sum(shard.images for shard in manifest.shards)
    in_classes = sum(item.images for item in manifest.classes)
    if not manifest.images == in_shards == in_classes:
        raise RequestError(f"{path} contradicts itself ({counted(manifest.images, 'image')} in "
                           "all, "
                           f"{in_shards} in its shards, {in_classes} in its classes); {remedy}")


def _from_fields(fields: dict[str, Any]) -> Manifest:
    fields["image_bytes"] = fields.pop("picture_bytes")
    blacklist, ilsvrc = fields.pop("blacklist"), fields.pop("ilsvrc")
    numbers = fields.pop("ilsvrc_numbers", None)
    return Manifest(
        classes=[ClassCount(**item) for item in fields.pop("classes")],
        shards=[Shard(**item) for item in fields.pop("shards")],
        blacklist=BlacklistNote(**blacklist) if blacklist else None,
        ilsvrc=IlsvrcCheck(**ilsvrc) if ilsvrc else None,
        ilsvrc_numbers=IlsvrcNumbers(**numbers) if numbers else None,
        repaired=[FileNote(**item) for item in fields.pop("repaired")],
        rejected=[FileNote(**item) for item in fields.pop("rejected")],
        **fields)


def sha256_of_rows(rows: Iterable[tuple[int, int, int]]) -> str:
    """Return a digest of (image_id, label, blacklisted) rows, the same in every order."""
    return sha256_of_lines("%d %d %d" % row for row in sorted(rows))
