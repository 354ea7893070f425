"""What a run reads: a record set or class folders of raw images to train on, a record set to be
scored on.

The ADSL report's row "no optimisation" reads class folders; records are faster on slow storage.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from common.cli import RequestError, counted
from common.files import sha256_of_lines
from convert.records.reader import RecordSet, open_records
from convert.sources.class_words import find_class_words
from convert.sources.layouts import list_source
from convert.sources.names import IMAGE_EXTENSIONS
from train.options import TrainRequest


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
    listing = list_source(Path(source).absolute(), "train", extensions=IMAGE_EXTENSIONS,
                          layout="folders")
    words = find_class_words(Path(source).absolute())
    return ClassFolders(listing.root, listing.class_names, len(listing.entries),
                        sum(entry.size for entry in listing.entries), listing.sha256(),
                        [words.get(name, "") for name in listing.class_names])


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
    if validation.class_names == source.class_names:
        return
    only = sorted(set(source.class_names) ^ set(validation.class_names))
    raise RequestError(f"{source.folder} has {counted(len(source.class_names), 'class')}, "
                       f"{validation.folder} {len(validation.class_names)}"
                       + (f" ('{only[0]}' is in one of them only)" if only else "")
                       + "; convert both from the same source")
