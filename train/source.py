"""What a run reads: a record set or class folders of raw images to train on, a record set to be
scored on.

The original report's row "no optimisation" reads class folders; records are faster on slow storage.
"""

import itertools
import shlex
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Optional, Union

from common.cli import RequestError
from common.deadline import reading_deadline
from common.files import sha256_of_lines
from common.progress import progress_bar
from common.text import counted, first_of
from convert.images import BadImage, check_jpeg_file
from convert.records.manifest import difference_of_classes
from convert.records.reader import RecordSet, open_records
from convert.sources.class_words import find_class_words
from convert.sources.names import IMAGE_EXTENSIONS
from convert.sources.split_listing import list_source
from train.options import TrainRequest

CHECKING_THREADS = 16  # which mostly wait for files, where storage is slow
LOT = 100  # images that a thread checks at a time
DAMAGED_SHOWN = 3


@dataclass(frozen=True)
class ClassFolders:
    """``folder/<class>/<image>``, with what training needs to know; see ``RecordSet``."""

    folder: Path
    class_names: list[str]  # in label order
    images: int
    image_bytes: int
    sha256: str  # of the images' names and sizes as listed
    class_words: list[str]  # what people call them, in label order; "" where the name says it

    @property
    def class_names_sha256(self) -> str:
        """Return the digest that a ``RecordSet`` of the same classes has."""
        return sha256_of_lines(self.class_names)


Source = Union[RecordSet, ClassFolders]


def open_class_folders(source: Path) -> ClassFolders:
    """List the training images of ``source`` (``SOURCE/train/<class>`` or ``SOURCE/<class>``).

    Raises:
        RequestError: there are no class folders, or one has no images.
    """
    if not Path(source).is_dir():
        raise RequestError(f"--images {source} is not a folder; set --images to the folder of the "
                           "training images")
    listing = list_source(Path(source).absolute(), "train", extensions=IMAGE_EXTENSIONS,
                          layout="folders")
    words = find_class_words(Path(source).absolute())
    return ClassFolders(listing.root, listing.class_names, len(listing.entries),
                        sum(entry.size for entry in listing.entries), listing.sha256(),
                        [words.get(name, "") for name in listing.class_names])


def check_jpegs(source: Source, rank: int = 0, ranks: int = 1) -> None:
    """Check the headers of JPEGs in class folders (the converter checked those in records): one
    that is damaged there kills the process in MindSpore's decoder, and no message names it. Each
    rank checks its share.

    Raises:
        RequestError: some are damaged, or the storage fails.
    """
    if not isinstance(source, ClassFolders):
        return
    paths = (path for name in source.class_names
             for path in sorted((source.folder / name).iterdir())
             if path.suffix.lower() in IMAGE_EXTENSIONS)
    share = itertools.islice(paths, rank, None, ranks)
    lots = iter(lambda: list(itertools.islice(share, LOT)), [])
    damaged: list[str] = []
    with ThreadPool(CHECKING_THREADS) as pool, \
            progress_bar(source.images // ranks, "check headers", "images") as bar:
        checked = pool.imap(_damaged_in, lots)
        for images in itertools.count(LOT, LOT):
            with reading_deadline("the check of training images read none",
                                  f"before image {images} of its share"):
                found = next(checked, None)
            if found is None:
                break
            damaged += found
            bar.update(min(LOT, bar.total - bar.n))
    if damaged:
        number = f" ({counted(len(damaged), 'image')})" if len(damaged) > 1 else ""
        raise in_class_folders(f"{first_of(damaged, DAMAGED_SHOWN)} cannot be decoded{number}",
                               source.folder)


def _damaged_in(paths: list[Path]) -> list[str]:
    """Return the files that MindSpore's decoder would not survive, each with the reason."""
    damaged = []
    for path in paths:
        try:
            check_jpeg_file(path)
        except BadImage as reason:
            damaged.append(f"{path} ({reason})")
    return damaged


def in_class_folders(what: str, folder: Path) -> RequestError:
    """Return what ends a run on class folders with images that cannot be read."""
    return RequestError(
        f"{what}; repair or remove damaged images: python -m convert run --split train --source "
        f"{shlex.quote(str(folder))} --out RECORDS names them all and makes records to train on")


def open_data(request: TrainRequest) -> tuple[Source, Optional[RecordSet]]:
    """Return the training set and the validation set, None if none was given.

    Raises:
        RequestError: a set is damaged or of the wrong split, or they do not belong together.
    """
    source: Source
    if request.images is not None:
        source = open_class_folders(request.images)
    else:
        assert request.records is not None, "the parser asks for one of both"
        source = _open_split(request.records, "train", "--records")
    if request.val_records is None:
        return source, None
    validation = _open_split(request.val_records, "val", "--val-records")
    check_same_classes(source, validation)
    return source, validation


def _open_split(folder: Path, split: str, flag: str) -> RecordSet:
    records = open_records(folder)
    if records.split != split:
        raise RequestError(f"{flag} {records.folder} holds the {records.split} set; give the "
                           f"record set of the {split} split")
    records.readers(threads=1)  # refuses a limit on open files that is too low
    return records


def check_same_classes(source: Source, validation: RecordSet) -> None:
    """Raise RequestError unless both sets have the same classes in the same order."""
    difference = difference_of_classes(source.folder, source.class_names, validation.folder,
                                       validation.class_names)
    if difference:
        raise RequestError(difference)
