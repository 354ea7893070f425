"""What a run trains on: a record set, or class folders of raw pictures.

The seed report's row "no optimisation" reads class folders; records are faster on slow storage.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Union

from common.files import sha256_of_lines
from convert import RecordSet
from convert.naming import PICTURE_EXTENSIONS
from convert.sources import list_source


@dataclass(frozen=True)
class ClassFolders:
    """``folder/<class>/<picture>``, as far as training needs to know; see ``RecordSet``."""

    folder: Path
    class_names: list[str]  # sorted; the position is the label
    images: int
    bytes: int
    sha256: str  # of the pictures' names and sizes as listed

    @property
    def class_names_sha256(self) -> str:
        """As ``RecordSet.class_names_sha256``."""
        return sha256_of_lines(self.class_names)


Source = Union[RecordSet, ClassFolders]


def open_class_folders(source: Path) -> ClassFolders:
    """List the training pictures of ``source`` (``SOURCE/train/<class>`` or ``SOURCE/<class>``).

    Raises:
        RequestError: no class folders there, or one without pictures.
    """
    listing = list_source(Path(source).absolute(), "train", extensions=PICTURE_EXTENSIONS,
                          layout="folders")
    return ClassFolders(listing.root, listing.class_names, len(listing.entries),
                        sum(entry.size for entry in listing.entries), listing.sha256())
