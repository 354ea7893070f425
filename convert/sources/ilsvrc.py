"""Check whether a set is ILSVRC's own, by the digests of labels and classes and by its numbers."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Optional, Sequence

from blacklist.ids import ILSVRC_VALIDATION_IMAGES, Blacklist
from common.cli import RequestError
from common.files import sha256_of_lines
from common.text import counted, first_of
from convert.sources.listing import Listing
from convert.sources.names import WNID, training_wnid, validation_id

# sha256 of "%d\n" per label in image-id order, and of "%s\n" per sorted wnid, of the ILSVRC2012
# classification validation set (ground truth and class map of the devkit).
LABELS_SHA256 = "098d797749a19d2c76f3243494b4d38079446eab41f3b8775212a33e4558a35f"
CLASS_NAMES_SHA256 = "70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15"
CLASSES = 1000

TRAINING_IMAGES, FEWEST_PER_CLASS, MOST_PER_CLASS = 1_281_167, 732, 1_300
CLASSES_SHOWN = 5
MISFILED_SHOWN = 3
_WNID = re.compile("n(0[0-9]|1[0-5])[0-9]{6}")


@dataclass(frozen=True)
class IlsvrcCheck:
    """Which parts of a set with ILSVRC's numbers of images and classes are ILSVRC's."""

    labels: bool
    class_names: bool
    blacklist: Optional[bool]  # None: there is none

    def describe(self) -> str:
        if not (self.labels and self.class_names):
            wrong = "labels" if self.class_names else "class names"
            return f"not the ILSVRC2012 validation set: its {wrong} differ"
        if self.blacklist is None:
            blacklist = "without a blacklist"
        elif self.blacklist:
            blacklist = "with ILSVRC's blacklist"
        else:
            blacklist = "with a blacklist that is not ILSVRC's"
        return f"the ILSVRC2012 validation set, {blacklist}"


def check_ilsvrc(listing: Listing, blacklist: Optional[Blacklist], allow_other_labels: bool
                 ) -> Optional[IlsvrcCheck]:
    """Compare a listing of 50,000 validation images and 1,000 classes with ILSVRC's digests.

    Returns:
        None for a set of other numbers: it does not claim to be ILSVRC.

    Raises:
        RequestError: ILSVRC's class names with other labels, unless those are allowed.
    """
    if (listing.split, len(listing.entries), len(listing.class_names)) != (
            "val", ILSVRC_VALIDATION_IMAGES, CLASSES):
        return None
    check = IlsvrcCheck(
        labels=sha256_of_lines(entry.label for entry in listing.entries) == LABELS_SHA256,
        class_names=sha256_of_lines(listing.class_names) == CLASS_NAMES_SHA256,
        blacklist=blacklist.is_ilsvrc if blacklist else None)
    if check.class_names and not check.labels and not allow_other_labels:
        raise RequestError(f"the labels of {listing.root} are not ILSVRC's although the classes "
                           "are: check ground truth and class map, or give --allow-other-labels "
                           "if other labels are intended")
    return check


@dataclass(frozen=True)
class IlsvrcNumbers:
    """How many images a set with ILSVRC's classes, or with ILSVRC's image names, has."""

    images: int
    expected: int  # what ILSVRC's split has
    unusual_classes: dict[str, int]  # training: images of those outside of 732 to 1,300

    @property
    def complete(self) -> bool:
        return self.images == self.expected and not self.unusual_classes

    def describe(self, split: str) -> str:
        if self.complete:
            return (f"ILSVRC2012's training set by its class names and numbers of images "
                    f"({self.images:,})")
        if split == "val":
            return (f"{self.images:,} of ILSVRC2012's {self.expected:,} validation images, by "
                    "their names")
        text = "ILSVRC2012's classes"
        if self.images != self.expected:
            text += f", but {counted(self.images, 'image')} instead of {self.expected:,}"
        if self.unusual_classes:
            classes = [f"{name} ({images:,})" for name, images in self.unusual_classes.items()]
            text += (f"; not {FEWEST_PER_CLASS} to {MOST_PER_CLASS:,} images in "
                     f"{counted(len(classes), 'class')}: {first_of(classes, CLASSES_SHOWN)}")
        return text


def count_like_ilsvrc(listing: Listing) -> Optional[IlsvrcNumbers]:
    """Compare the number of images with ILSVRC's: of a training set with its 1,000 class names, of
    a validation set with its image names that has not all 50,000; None for any other."""
    images = len(listing.entries)
    if listing.split == "val":
        if images == ILSVRC_VALIDATION_IMAGES or listing.ids_are_positions:
            return None
        return IlsvrcNumbers(images, ILSVRC_VALIDATION_IMAGES, {})
    if sha256_of_lines(listing.class_names) != CLASS_NAMES_SHA256:
        return None
    per_class = Counter(entry.label for entry in listing.entries)
    unusual = {name: per_class[label] for label, name in enumerate(listing.class_names)
               if not FEWEST_PER_CLASS <= per_class[label] <= MOST_PER_CLASS}
    return IlsvrcNumbers(images, TRAINING_IMAGES, unusual)


def may_be_wnids(class_names: Sequence[str]) -> bool:
    """Return whether all names may be WordNet's; its ids of nouns end near n15300000."""
    return all(_WNID.fullmatch(name) for name in class_names)


def unused_numbers(listing: Listing) -> Optional[str]:
    """Return a warning where some validation images have ILSVRC's numbers, but ids are positions,
    or None."""
    if listing.split != "val" or not listing.ids_are_positions:
        return None
    names = [entry.file_name.rsplit("/")[-1] for entry in listing.entries]
    numbered = [name for name in names if validation_id(name) is not None]
    if not numbered:
        return None
    return (f"{len(numbered):,} of the {counted(len(names), 'validation image')} in {listing.root} "
            f"have ILSVRC's numbers in their names (such as {numbered[0]}), the others are named "
            "like training images: image ids are positions in the sorted names, not these numbers")


def misfiled_images(listing: Listing) -> Optional[str]:
    """Return a warning where images have the label of another wnid than their own names begin
    with, as ILSVRC's training images do, or None."""
    found = [entry.file_name for entry in listing.entries
             if (wnid := training_wnid(entry.file_name.rsplit("/", 1)[-1])) is not None
             and WNID.fullmatch(name := listing.class_names[entry.label]) and wnid != name]
    if not found:
        return None
    return (f"{listing.root} has {counted(len(found), 'image')} with the label of another class "
            f"than the name has ({first_of(found, MISFILED_SHOWN)}): the label is kept; move what "
            "lies in a wrong folder")


def devkit_numbers(listing: Listing) -> Optional[str]:
    """Return a warning where classes are numbered 1 to 1000, as the devkit's are, or None."""
    if listing.class_names != [str(number) for number in range(1, CLASSES + 1)]:
        return None
    return (f"the class folders of {listing.root} are numbered 1 to {CLASSES:,}, perhaps in the "
            "devkit's order, which is not the order of the sorted wnids that trained networks "
            "have; class 1 becomes label 0")
