"""The self-check against ILSVRC's digests, on a stand-in of its size without images."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from blacklist.ids import ILSVRC_SHA256, Blacklist
from common.cli import RequestError
from convert.sources import ilsvrc
from convert.sources.ilsvrc import (check_ilsvrc, count_like_ilsvrc, devkit_numbers,
                                    misfiled_images)
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


def train(sizes):
    """A training set whose classes have the given numbers of images, and 3 the others."""
    entries = [Entry("x", label, 1, "x", 0, 1) for label in range(1000)
               for _ in range(sizes.get(label, 3))]
    return Listing("train", "folders", Path("train"), NAMES, entries)


@pytest.mark.parametrize("sizes, words", [
    ({0: 2, 1: 5, 999: 2}, None),
    ({7: 1}, "but 2,998 images instead of 3,000; not 2 to 5 images in 1 class: n00000007 (1)"),
    ({7: 6, 8: 2, 9: 2, 10: 2}, "classes; not 2 to 5 images in 1 class: n00000007 (6)"),
    ({k: 1 for k in range(6)}, "in 6 classes: n00000000 (1), n00000001 (1), n00000002 (1), "
                               "n00000003 (1), n00000004 (1), …"),
    ({5: 2}, "ILSVRC2012's classes, but 2,999 images instead of 3,000"),
])
def test_a_training_set_of_ilsvrcs_classes_is_counted(monkeypatch, sizes, words):
    for name, value in (("TRAINING_IMAGES", 3000), ("FEWEST_PER_CLASS", 2), ("MOST_PER_CLASS", 5)):
        monkeypatch.setattr(ilsvrc, name, value)
    found = count_like_ilsvrc(train(sizes))
    assert found.complete == (words is None)
    assert words is None or found.describe("train").endswith(words)


def test_numbers_of_other_classes_and_of_other_names_are_not_compared():
    listing = train({})
    assert count_like_ilsvrc(replace(listing, class_names=["n", *NAMES[1:]])) is None
    named = [Entry(f"ILSVRC2012_val_{k:08d}.JPEG", 0, k, "x", 0, 1) for k in (1, 3)]
    val = Listing("val", "flat", Path("val"), ["n"], named)
    assert "2 of ILSVRC2012's 50,000 validation" in count_like_ilsvrc(val).describe("val")
    assert count_like_ilsvrc(replace(val, entries=[named[0]._replace(image_id=2)])) is None


def test_images_named_after_another_class_than_theirs_are_pointed_out():
    """Where classes are wnids: other class names cannot be compared."""
    names = ["n01440764_1.JPEG", "n01443537_2.JPEG", "ILSVRC2012_val_00000001.JPEG", "n1.jpg"]
    entries = [Entry(f"n01440764/{name}", 0, k, "x", 0, 1) for k, name in enumerate(names)]
    listing = Listing("train", "folders", Path("there"), ["n01440764", "n01443537"], entries)
    assert misfiled_images(listing) == (
        "there has 1 image with the label of another class than the name has "
        "(n01440764/n01443537_2.JPEG): the label is kept; move what lies in a wrong folder")
    assert misfiled_images(replace(listing, class_names=["fish", "n01443537"])) is None
    assert misfiled_images(replace(listing, entries=[entries[0], *entries[2:]])) is None


@pytest.mark.parametrize("start, warned", [(0, False), (1, True)])
def test_classes_numbered_like_the_devkits_are_pointed_out(start, warned):
    listing = replace(train({}), class_names=[str(start + k) for k in range(1000)])
    assert ("devkit's order" in (devkit_numbers(listing) or "")) == warned
