"""The labels that a source writes next to its images, compared with the classes in their names."""

from pathlib import Path
from typing import Sequence

from common.cli import RequestError
from common.text import counted
from convert.sources.listing import SourceFile


class ClassLabels:
    """The label of each class, and where it appeared first."""

    def __init__(self) -> None:
        self._labels: dict[str, int] = {}
        self._origins: dict[str, str] = {}

    def add(self, class_name: str, label: int, where: str) -> None:
        """Raise RequestError if the class had another label before."""
        known = self._labels.setdefault(class_name, label)
        self._origins.setdefault(class_name, where)
        if known != label:
            raise RequestError(f"{where}: class {class_name} has label {label}, but {known} in "
                               f"{self._origins[class_name]}; fetch the files again")

    def check(self, root: Path) -> None:
        """Raise RequestError unless labels are positions in the sorted classes."""
        for position, class_name in enumerate(sorted(self._labels)):
            label = self._labels[class_name]
            if label != position:
                raise RequestError(f"{self._origins[class_name]}: class {class_name} has label "
                                   f"{label}, but is number {position} of the "
                                   f"{counted(len(self._labels), 'sorted class')} in {root}; give "
                                   "all files of the set")


def refuse_twice(images: Sequence[SourceFile], root: Path) -> None:
    """Raise RequestError if two images have one name: files of several downloads are mixed."""
    ordered = sorted(images)
    for image, following in zip(ordered, ordered[1:]):
        if image.name == following.name:
            raise RequestError(f"'{image.name}' is in {root / image.container} and in "
                               f"{root / following.container}; fetch the files again")
