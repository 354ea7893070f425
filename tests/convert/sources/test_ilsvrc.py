"""The self-check against ILSVRC's digests, on a stand-in of its size without images."""

import hashlib
from pathlib import Path

import pytest

from blacklist.ids import ILSVRC_SHA256, Blacklist
from common.cli import RequestError
from convert.sources import ilsvrc
from convert.sources.ilsvrc import check_ilsvrc
from convert.sources.listing import Entry, Listing

NAMES = [f"n{k:08d}" for k in range(1000)]
LABELS = [(7 * k) % 1000 for k in range(50_000)]
EXCHANGED = [LABELS[1], LABELS[0], *LABELS[2:]]


@pytest.fixture(autouse=True)
def digests_of_the_stand_in(monkeypatch):
    for name, items in (("LABELS_SHA256", LABELS), ("CLASS_NAMES_SHA256", NAMES)):
        text = "".join(f"{item}\n" for item in items)
        monkeypatch.setattr(ilsvrc, name, hashlib.sha256(text.encode()).hexdigest())


def check(labels=LABELS, names=NAMES, split="val", blacklist=None, allow=False):
    entries = [Entry(f"ILSVRC2012_val_{k:08d}.JPEG", label, k, "x", 0, 1)
               for k, label in enumerate(labels, start=1)]
    return check_ilsvrc(Listing(split, "flat", Path("val"), names, entries), blacklist, allow)


@pytest.mark.parametrize("options, words", [
    ({"blacklist": Blacklist(frozenset({36}), ILSVRC_SHA256)},
     "the ILSVRC2012 validation set, with ILSVRC's blacklist"),
    ({"blacklist": Blacklist(frozenset({36}), "0")},
     "the ILSVRC2012 validation set, with a blacklist that is not ILSVRC's"),
    ({}, "the ILSVRC2012 validation set, without a blacklist"),
    ({"labels": EXCHANGED, "allow": True}, "not the ILSVRC2012 validation set: its labels differ"),
    ({"names": ["n", *NAMES[1:]]}, "not the ILSVRC2012 validation set: its class names differ"),
    ({"names": ["n", *NAMES[1:]], "labels": EXCHANGED},
     "not the ILSVRC2012 validation set: its class names differ"),
    ({"labels": LABELS[:100]}, None), ({"split": "train"}, None), ({"names": NAMES[1:]}, None),
])
def test_a_set_of_its_size_is_reported_and_no_other(options, words):
    found = check(**options)
    assert (found and found.describe()) == words


def test_two_labels_exchanged_are_an_error_unless_allowed():
    with pytest.raises(RequestError, match="not ILSVRC's although the classes are"):
        check(EXCHANGED)
