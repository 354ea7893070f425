"""Reading a blacklist file into a checked set of validation image ids."""

import re
from dataclasses import dataclass

from common.cli import RequestError
from common.files import PathLike, read_lines, sha256_of_lines
from common.text import counted

# devkit/data/ILSVRC2015_clsloc_validation_blacklist.txt; digest of "%d\n" per id, ascending.
ILSVRC_COUNT = 1762
ILSVRC_SHA256 = "9bb7a1a102fd1902ebdd011bc0f83f870ea91953928fc389e8c083354ec6678a"
ILSVRC_VALIDATION_IMAGES = 50_000

_ID_OR_FILE_NAME = re.compile(
    r"(\d{1,9})|(?:\S*/)?ILSVRC2012_val_(\d{8})(?:\.JPEG)?", re.IGNORECASE)


@dataclass(frozen=True)
class Blacklist:
    """Validation image ids (1-based) to leave out of the filtered set."""

    ids: frozenset[int]
    sha256: str  # of the ids as "%d\n" each, ascending: the same for any way of writing the file

    @property
    def is_ilsvrc(self) -> bool:
        """Return whether these are the 1,762 ids of the ILSVRC devkit."""
        return self.sha256 == ILSVRC_SHA256

    def describe(self) -> str:
        verdict = ("the ILSVRC list" if self.is_ilsvrc else
                   f"not the ILSVRC list of {ILSVRC_COUNT:,} ids")
        return f"{counted(len(self.ids), 'id')}, sha256 {self.sha256}: {verdict}"


def load_blacklist(path: PathLike, images: int = ILSVRC_VALIDATION_IMAGES) -> Blacklist:
    """Read a blacklist of validation image ids, in a file as for ``read_image_ids``."""
    ids = read_image_ids(path, images)
    return Blacklist(ids, sha256_of_lines(sorted(ids)))


def read_image_ids(path: PathLike, images: int) -> frozenset[int]:
    """Return the ids that a file lists.

    Args:
        path: a text file with one image per line, as id (``36``) or as file name
            (``ILSVRC2012_val_00000036.JPEG``); blank lines and ``#`` comments are allowed.
        images: the highest id; ids run from 1 to this.

    Raises:
        RequestError: the file is missing, empty or not text, or a line is not an id, out of
            range or repeated; the message names the file and the line.
    """
    seen: dict[int, int] = {}  # image id -> line
    for number, line in enumerate(read_lines(path, "image id"), start=1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        where = f"{path}, line {number}"
        match = _ID_OR_FILE_NAME.fullmatch(text)
        if match is None:
            raise RequestError(f"{where}: '{text[:80]}' is neither an image id nor an "
                               "ILSVRC2012_val_NNNNNNNN.JPEG name; put one of them on each line")
        image_id = int(match[1] or match[2])
        if not 1 <= image_id <= images:
            raise RequestError(f"{where}: image id {image_id} is outside 1 to {images}, the ids of "
                               "the images; check that the list belongs to them")
        if image_id in seen:
            raise RequestError(f"{where}: image id {image_id} is already on line {seen[image_id]}; "
                               "remove one of them")
        seen[image_id] = number
    if not seen:
        raise RequestError(f"{path} lists no image ids; leave the file out to score only the full "
                           "set")
    return frozenset(seen)
