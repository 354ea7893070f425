"""What a run trains on: a record set, or class folders of raw images.

The seed report's row "no optimisation" reads class folders; records are faster on slow storage.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Union

from common.files import sha256_of_lines
from convert.records.reader import RecordSet
from convert.sources.layouts import list_source
from convert.sources.listing import IMAGE_EXTENSIONS


@dataclass(frozen=True)
class ClassFolders:
    """``folder/<class>/<image>``, with what training needs to know; see ``RecordSet``."""

    folder: Path
    class_names: list[str]  # sorted; the position is the label
    images: int
    bytes: int
    sha256: str  # of the images' names and sizes as listed

    @property
    def class_names_sha256(self) -> str:
        """The digest that a ``RecordSet`` of the same classes has."""
        return sha256_of_lines(self.class_names)


Source = Union[RecordSet, ClassFolders]


def open_class_folders(source: Path) -> ClassFolders:
    """List the training images of ``source`` (``SOURCE/train/<class>`` or ``SOURCE/<class>``).

    Raises:
        RequestError: there are no class folders, or one has no images.
    """
    listing = list_source(Path(source).absolute(), "train", extensions=IMAGE_EXTENSIONS,
                          layout="folders")
    return ClassFolders(listing.root, listing.class_names, len(listing.entries),
                        sum(entry.size for entry in listing.entries), listing.sha256())
