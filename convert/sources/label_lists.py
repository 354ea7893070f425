"""Label lists: a line per validation image with its name and its class.

Caffe and OpenMMLab (`val.txt`: ``ILSVRC2012_val_00000001.JPEG 65``) and Paddle (`val_list.txt`:
``val/ILSVRC2012_val_00000001.JPEG 65``) write labels, Kaggle's `LOC_val_solution.csv`
(``ILSVRC2012_val_00000001,n01751748 111 108 ...``) and other CSV files wnids, in any order of rows.
A label alone does not say which class it is: that takes the class names in label order.
"""

import csv
from pathlib import Path
from typing import NamedTuple, Optional, Sequence

from blacklist.ids import ILSVRC_VALIDATION_IMAGES
from common.cli import RequestError
from common.files import read_lines
from common.text import counted
from convert.sources.listing import GroundTruth
from convert.sources.names import (WNID, check_class_names, in_label_order, validation_id,
                                   wnid_in_name)

KAGGLE_SOLUTION = "LOC_val_solution.csv"
KAGGLE_CLASSES = "LOC_synset_mapping.txt"
LIST_NAMES = ("val.txt", "val_list.txt", KAGGLE_SOLUTION)

# The label of ILSVRC's first validation image, n01751748, in the devkit's order, which counts from
# 1, and in the order of the sorted wnids, which counts from 0.
DEVKIT_FIRST, SORTED_FIRST = 490, 65
MAX_DIGITS = 9


class Row(NamedTuple):
    """A line of a list."""

    number: int  # of the line, from 1
    image_id: int
    image: str  # its name
    label: str  # a number or the name of a class


def find_label_list(source: Path) -> Optional[Path]:
    """Return the label list in ``source`` or ``source/meta``, or None.

    Raises:
        RequestError: several were found.
    """
    found = [folder / name for folder in (source, source / "meta") for name in LIST_NAMES
             if (folder / name).exists()]
    if len(found) > 1:
        raise RequestError("several label lists: " + ", ".join(map(str, found)) +
                           "; choose with --ground-truth FILE")
    return found[0] if found else None


def is_label_list(lines: Sequence[str]) -> bool:
    """Return whether the first line that is not blank has two fields; a devkit's has one."""
    first = next((line for line in lines if line), "")
    return "," in first or len(first.split()) > 1


def read_label_list(path: Path, lines: Sequence[str], class_names: Optional[Sequence[str]]
                    ) -> GroundTruth:
    """Return the labels that the lines of ``path`` have.

    Args:
        class_names: in the order that the labels in the list count in; None where they are not
            known: then Kaggle's file next to the list names them.

    Raises:
        RequestError: a line is not of its form, an image appears twice, a class is unknown, or the
            labels are ILSVRC's in the devkit's order.
    """
    rows = _rows(path, lines)
    numbers = _is_number(rows[0].label)
    kaggle_classes = path.with_name(KAGGLE_CLASSES)
    if class_names is None and kaggle_classes.exists():
        class_names = kaggle_class_names(kaggle_classes)
    if class_names is None:
        raise RequestError(f"{path} does not say which classes there are, and there is no train/ "
                           "with class folders next to the images; give --class-names FILE with "
                           "one class name per line in label order")
    in_order = in_label_order(class_names)
    if numbers and list(class_names) == in_order:
        _refuse_devkit_order(path, rows)
    position = {name: label for label, name in enumerate(in_order)}
    labels = {}
    for row in rows:
        name = _class_of(path, row, class_names, numbers)
        if name not in position:
            raise RequestError(f"{path}, line {row.number}: '{row.label[:40]}' is not one of the "
                               f"{counted(len(position), 'class name')} ({in_order[0]} to "
                               f"{in_order[-1]}); correct it, or give others with --class-names "
                               "FILE")
        labels[row.image_id] = position[name]
    return GroundTruth(path, in_order, labels, {row.image_id: row.number for row in rows})


def _rows(path: Path, lines: Sequence[str]) -> list[Row]:
    rows: dict[int, Row] = {}
    for number, line in enumerate(lines, start=1):
        fields = _fields(line)
        if not line or (number == 1 and _is_heading(line, fields)):
            continue
        where = f"{path}, line {number}"
        name = fields[0].replace("\\", "/").rsplit("/")[-1]
        image_id = validation_id(name) or validation_id(f"{name}.JPEG")
        if len(fields) != 2 or image_id is None:
            raise RequestError(f"{where}: '{line[:60]}' is not the name of a validation image "
                               "and its class; give a line like ILSVRC2012_val_00000001.JPEG 65")
        if image_id in rows:
            raise RequestError(f"{where}: '{name}' is already on line {rows[image_id].number}; "
                               "remove one of them")
        rows[image_id] = Row(number, image_id, name, fields[1])
    if not rows:
        raise RequestError(f"{path} is empty; give the labels of the validation images")
    return list(rows.values())


def _fields(line: str) -> list[str]:
    """Return the fields of a line; after Kaggle's wnid come the corners of boxes."""
    if "," not in line:
        return line.split()
    fields = [field.strip() for field in next(csv.reader([line]))]
    return [*fields[:1], *((field.split() or [""])[0] for field in fields[1:])]


def _is_heading(line: str, fields: Sequence[str]) -> bool:
    return "," in line and len(fields) > 1 and not any(char.isdigit() for char in line)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _class_of(path: Path, row: Row, class_names: Sequence[str], numbers: bool) -> str:
    """Return the name of the row's class; RequestError where it contradicts the image's name."""
    name = row.label
    if numbers:
        if not _is_number(row.label):
            raise RequestError(f"{path}, line {row.number}: '{row.label[:40]}' is not a label, a "
                               f"number from 0 to {len(class_names) - 1}; correct it")
        label = int(row.label) if len(row.label) <= MAX_DIGITS else len(class_names)
        if label >= len(class_names):
            one = (": does the list count from 1? Labels count from 0"
                   if label == len(class_names) else "")
            raise RequestError(f"{path}, line {row.number}: label {row.label[:40]} is outside 0 "
                               f"to {len(class_names) - 1}, the labels of "
                               f"{counted(len(class_names), 'class')}{one}; give the list of "
                               "these classes")
        name = class_names[label]
    wnid = wnid_in_name(row.image)
    if wnid and wnid != name and wnid in class_names:
        raise RequestError(f"{path}, line {row.number}: {row.image} is of class {wnid} by its name "
                           f"but of {name} by its label; correct the one that is wrong")
    return name


def _refuse_devkit_order(path: Path, rows: Sequence[Row]) -> None:
    """Raise RequestError for ILSVRC's labels in the devkit's order, counted from 1 or 0."""
    first = next((row.label for row in rows if row.image_id == 1), "")
    if (len(rows) == ILSVRC_VALIDATION_IMAGES
            and first in (f"{DEVKIT_FIRST}", f"{DEVKIT_FIRST - 1}")):
        raise RequestError(f"{path} has ILSVRC's labels in the devkit's order (image 1 is "
                           f"{first}), but labels are positions in the sorted wnids (image 1 is "
                           f"{SORTED_FIRST}, n01751748); give a list in the sorted order, or the "
                           "devkit's ground truth with its class map")


def read_class_names(path: Path, with_spaces: bool = False) -> list[str]:
    """Return the class names of a file, one per line, in label order.

    Raises:
        RequestError: the file is missing, empty or not text, a name appears twice or, unless
            allowed, has spaces.
    """
    lines: dict[str, int] = {}
    for number, name in enumerate(read_lines(path, "class name"), start=1):
        if not name:
            continue
        if name in lines or (len(name.split()) != 1 and not with_spaces):
            what = (f"is already on line {lines[name]}; remove one of them" if name in lines else
                    "is not one class name; put one on each line, without a description")
            raise RequestError(f"{path}, line {number}: '{name[:60]}' {what}")
        lines[name] = number
    if not lines:
        raise RequestError(f"{path} is empty; put one class name on each line, in label order")
    if not with_spaces:
        check_class_names(list(lines), path)
    return list(lines)


def kaggle_class_names(path: Path) -> list[str]:
    """Return the wnids of Kaggle's ``LOC_synset_mapping.txt``, each with its words after it.

    Raises:
        RequestError: the file is missing, empty or not text, a line without a wnid, or one
            twice.
    """
    lines: dict[str, int] = {}
    for number, line in enumerate(read_lines(path, "class"), start=1):
        name = line.split(" ", 1)[0]
        if name in lines:
            raise RequestError(f"{path}, line {number}: '{name[:60]}' is already on line "
                               f"{lines[name]}; give Kaggle's file")
        if name and not WNID.fullmatch(name):  # one class more would shift the others' labels
            raise RequestError(f"{path}, line {number}: '{name[:60]}' is not a wnid like "
                               "n01440764; give Kaggle's file")
        if name:
            lines[name] = number
    if not lines:
        raise RequestError(f"{path} is empty; give Kaggle's file")
    return in_label_order(lines)


def read_kaggle(folder: Path) -> GroundTruth:
    """Read Kaggle's two files, the labels and the classes.

    Raises:
        RequestError: a file is missing or not of its form, or a class is not in the map.
    """
    for name in (KAGGLE_CLASSES, KAGGLE_SOLUTION):
        if not (folder / name).exists():
            raise RequestError(f"{folder / name} does not exist; Kaggle's {KAGGLE_SOLUTION} and "
                               f"{KAGGLE_CLASSES} must be next to the ILSVRC folder")
    solution = folder / KAGGLE_SOLUTION
    return read_label_list(solution, read_lines(solution, "label"),
                           kaggle_class_names(folder / KAGGLE_CLASSES))
