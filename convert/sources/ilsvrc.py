"""Check whether a validation set is ILSVRC's own, by the digests of its labels and classes."""

from dataclasses import dataclass
from typing import Optional

from blacklist.ids import ILSVRC_VALIDATION_IMAGES, Blacklist
from common.cli import RequestError
from common.files import sha256_of_lines
from convert.sources.listing import Listing

# sha256 of "%d\n" per label in image-id order, and of "%s\n" per sorted wnid, of the ILSVRC2012
# classification validation set (ground truth and class map of the devkit).
LABELS_SHA256 = "098d797749a19d2c76f3243494b4d38079446eab41f3b8775212a33e4558a35f"
CLASS_NAMES_SHA256 = "70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15"
CLASSES = 1000


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
