"""The self-check against ILSVRC's digests, on a stand-in of its size without images."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from blacklist.ids import ILSVRC_SHA256, Blacklist
from common.cli import RequestError
from convert.sources import ilsvrc
from convert.sources.ilsvrc import check_ilsvrc
from convert.sources.listing import Entry, Listing

NAMES = [f"n{k:08d}" for k in range(1000)]


def listing(labels, split="val"):
    entries = [Entry(f"ILSVRC2012_val_{k:08d}.JPEG", label, k, "x", 0, 1)
               for k, label in enumerate(labels, start=1)]
    return Listing(split, "flat", Path("val"), NAMES, entries)


LABELS = [(7 * k) % 1000 for k in range(50_000)]


@pytest.fixture(autouse=True)
def digests_of_the_stand_in(monkeypatch):
    def digest(items):
        return hashlib.sha256("".join(f"{item}\n" for item in items).encode()).hexdigest()
    monkeypatch.setattr(ilsvrc, "LABELS_SHA256", digest(LABELS))
    monkeypatch.setattr(ilsvrc, "CLASS_NAMES_SHA256", digest(NAMES))


def test_the_real_set_is_reported_with_its_blacklist():
    check = check_ilsvrc(listing(LABELS), Blacklist(frozenset({36}), ILSVRC_SHA256), False)
    assert check.describe() == "the ILSVRC2012 validation set, with ILSVRC's blacklist"
    check = check_ilsvrc(listing(LABELS), Blacklist(frozenset({36}), "0"), False)
    assert check.describe().endswith("with a blacklist that is not ILSVRC's")
    assert check_ilsvrc(listing(LABELS), None, False).describe().endswith("without a blacklist")


def test_two_labels_exchanged_are_an_error_unless_allowed():
    labels = [LABELS[1], LABELS[0], *LABELS[2:]]
    with pytest.raises(RequestError, match="not ILSVRC's although the classes are"):
        check_ilsvrc(listing(labels), None, False)
    check = check_ilsvrc(listing(labels), None, allow_other_labels=True)
    assert check.describe() == "not the ILSVRC2012 validation set: its labels differ"


def test_other_classes_are_reported_and_no_error(monkeypatch):
    monkeypatch.setattr(ilsvrc, "CLASS_NAMES_SHA256", "0")
    assert "its class names differ" in check_ilsvrc(listing(LABELS), None, False).describe()
    both_differ = check_ilsvrc(listing([0, *LABELS[1:-1], 1]), None, False)
    assert both_differ.describe().startswith("not the ILSVRC2012 validation set")


def test_smaller_sets_do_not_claim_to_be_ilsvrc():
    assert check_ilsvrc(listing(LABELS[:100]), None, False) is None
    assert check_ilsvrc(listing(LABELS, split="train"), None, False) is None
    assert check_ilsvrc(replace(listing(LABELS), class_names=NAMES[1:]), None, False) is None
