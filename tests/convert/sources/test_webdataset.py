"""WebDataset tars whose keys have no wnids: what names their classes, and what is passed over."""

import json
import tarfile

import pytest

from common.cli import RequestError
from convert.sample.downloads import add_member
from convert.sources.layouts import list_source


@pytest.fixture
def labelled(tmp_path):
    """A WebDataset of two images without wnids: labels 0 and 1."""
    with tarfile.open(tmp_path / "imagenet-train-000000.tar", "w") as tar:
        for label in range(2):
            add_member(tar, f"{label}.jpg", b"x")
            add_member(tar, f"{label}.cls", b"%d" % label)
    return tmp_path


def test_webdataset_labels_without_wnids_need_class_names(tmp_path):
    for number in range(2):
        with tarfile.open(tmp_path / f"imagenet-train-{number:06d}.tar", "w") as tar:
            add_member(tar, "00000.jpg", b"x")
            add_member(tar, "00000.cls", b"%d" % number)
    with pytest.raises(RequestError, match="give --class-names FILE"):
        list_source(tmp_path, "train")
    names = tmp_path / "names.txt"
    names.write_text("zebra\nant\n")
    listing = list_source(tmp_path, "train", class_names=names)
    assert [(entry.file_name, entry.label) for entry in listing.entries] == [
        ("ant/imagenet-train-000001-00000.jpg", 0), ("zebra/imagenet-train-000000-00000.jpg", 1)]


def named(*names):
    """What Hugging Face's datasets library writes of a set with these class names."""
    return {"features": {"image": {"_type": "Image"},
                         "label": {"names": list(names), "_type": "ClassLabel"}}}


@pytest.mark.parametrize("name", ["_info.json", "info.json"])
def test_a_webdatasets_info_names_its_classes_unless_a_file_of_names_does(labelled, name):
    (labelled / name).write_text(json.dumps(named("zebra", "ant")))
    assert [entry.file_name.split("/")[0] for entry in list_source(labelled, "train").entries] == [
        "ant", "zebra"]
    (labelled / "names.txt").write_text("bee\ncat\n")
    listing = list_source(labelled, "train", class_names=labelled / "names.txt")
    assert listing.class_names == ["bee", "cat"]


@pytest.mark.parametrize("info, words", [
    (named("ant"), "label 1, but .*_info.json names 1 class; give the names"),
    (named("ant", "bee", "cat"), "_info.json names other classes .3. than .* has .2."),
    (named("ant", "ant"), "'ant' among its class names is not one word that appears"),
    (named("tench, Tinca", "b"), "'tench, Tinca' among .* give --class-names FILE"),
    (named("ant", 1), "'1' among its class names"),
    ({"splits": {"train": {"name": "train", "num_samples": 2, "shard_lengths": [2],
                           "filenames": ["imagenet-train-000000.tar"]}}},  # timm's
     "says labels but not which classes they are; give --class-names FILE")])
def test_class_names_of_an_info_that_cannot_be_right_are_refused(labelled, info, words):
    (labelled / "_info.json").write_text(json.dumps(info))
    with pytest.raises(RequestError, match=words):
        list_source(labelled, "train")


def test_what_is_hidden_in_a_webdataset_is_listed_and_divides_no_sample(labelled):
    (labelled / "._imagenet-train-000000.tar").touch()
    with tarfile.open(labelled / "imagenet-train-000000.tar", "a") as tar:
        for name in ("n1.jpg", "._n1.jpg", "n1.cls", ".trash/a.jpg"):
            add_member(tar, name, b"0")
    (labelled / "names.txt").write_text("ant\nbee\n")
    listing = list_source(labelled, "train", class_names=labelled / "names.txt")
    assert len(listing.entries) == 3
    assert listing.ignored == ["imagenet-train-000000.tar/._n1.jpg",
                               "imagenet-train-000000.tar/.trash/a.jpg"]
