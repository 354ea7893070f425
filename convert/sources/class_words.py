"""What people call the classes: the words that a devkit, or Kaggle's list, has for each wnid.

They are for people alone: no label depends on them, so a file of them that is damaged costs no more
than a warning.
"""

import sys
from pathlib import Path
from typing import Iterator, Optional

from common.cli import RequestError
from common.files import read_bytes
from convert.sources.label_lists import KAGGLE_CLASSES
from convert.sources.labels import (MAP_NAME, META_NAME, devkit_files, devkit_folders,
                                    read_class_table)


def find_class_words(source: Path, ground_truth: Optional[Path] = None) -> dict[str, str]:
    """Return the first of the words of each class by its wnid, from the first of these files that
    has some: the devkit's ``map_clsloc.txt`` or ``meta.mat`` next to the ground truth or in the
    source, its archive or Kaggle's ``LOC_synset_mapping.txt`` there, a devkit next to the source.
    Empty where there is none."""
    for path in _candidates(source, ground_truth):
        try:
            words = _read(path)
        except (RequestError, OSError, ValueError) as error:
            print(f"warning: {path} has no words for classes that could be read ({error}): they "
                  "are shown by their names", file=sys.stderr)
            continue
        if words:
            return {name: text.split(",")[0].replace("_", " ").strip()
                    for name, text in words.items()}
    return {}


def _candidates(source: Path, ground_truth: Optional[Path]) -> Iterator[Path]:
    own = [*([ground_truth.parent] if ground_truth else []), *devkit_folders(source)]
    paths = [folder / name for folder in own for name in (MAP_NAME, META_NAME)]
    paths += [*sorted(source.glob("ILSVRC*devkit*.tar.gz")), source / KAGGLE_CLASSES]
    paths += [folder / name for folder in devkit_folders(source.parent)
              for name in (MAP_NAME, META_NAME)]
    return (path for path in paths if path.is_file())


def _read(path: Path) -> dict[str, str]:
    """Return all words of each class by its wnid, as the file has them."""
    if path.suffix == ".gz":
        files = devkit_files(path)
        if MAP_NAME in files:
            return _in_lines(files[MAP_NAME], between=1)
        return _in_meta(files[META_NAME]) if META_NAME in files else {}
    if path.name == META_NAME:
        return _in_meta(read_bytes(path))
    return _in_lines(read_bytes(path), between=1 if path.name == MAP_NAME else 0)


def _in_lines(data: bytes, between: int) -> dict[str, str]:
    """Read lines of a wnid and its words, with so many other fields ``between`` them."""
    lines = (line.split(maxsplit=between + 1) for line in data.decode("utf-8-sig").splitlines())
    return {fields[0]: fields[-1] for fields in lines if len(fields) == between + 2}


def _in_meta(data: bytes) -> dict[str, str]:
    return {wnid: words for _, wnid, words in read_class_table(data)}
