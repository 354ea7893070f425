"""WebDataset tars whose keys have no wnids: what names their classes, and what is passed over."""

import json
import tarfile

import pytest

from common.cli import RequestError
from convert.sample.downloads import add_member
from convert.sources.split_listing import list_source


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


@pytest.mark.parametrize("name, info", [
    ("_info.json", {"class_names": ["zebra", "ant"]}), ("info.json", {"classes": ["zebra", "ant"]}),
    ("info.json", {"features": {"image": 1, "label": {"names": ["zebra", "ant"]}}}),
    ("_info.json", {"class_to_idx": {"ant": 1, "zebra": 0}, "splits": {}})])
def test_a_webdatasets_info_names_its_classes_unless_a_file_of_names_does(labelled, name, info):
    (labelled / name).write_text(json.dumps(info))
    assert [entry.file_name.split("/")[0] for entry in list_source(labelled, "train").entries] == [
        "ant", "zebra"]
    (labelled / "names.txt").write_text("bee\ncat\n")
    listing = list_source(labelled, "train", class_names=labelled / "names.txt")
    assert listing.class_names == ["bee", "cat"]


@pytest.mark.parametrize("info, words", [
    ({"class_names": ["ant"]}, "label 1, but .*_info.json names 1 class; give the names"),
    ({"class_names": ["ant", "bee", "cat"]}, "_info.json names other classes .3. than .* has .2."),
    ({"class_names": ["ant", "ant"]}, "'ant' among its class names is not one word that appears"),
    ({"class_names": ["tench, Tinca", "b"]}, "'tench, Tinca' among .* give --class-names FILE"),
    ({"class_names": ["ant", 1]}, "'1' among its class names"),
    ({"class_to_idx": {"ant": 1, "bee": 2}}, "class_to_idx does not count from 0; give the file"),
    ({"classes": ["n01440764", "bee"]}, "'bee' is not a wnid .* as 1 of the 2 are"),
    ({"splits": {}}, "says labels but not which classes they are; give --class-names FILE")])
def test_class_names_of_an_info_that_cannot_be_right_are_refused(labelled, info, words):
    (labelled / "_info.json").write_text(json.dumps(info))
    with pytest.raises(RequestError, match=words):
        list_source(labelled, "train")


def test_the_training_tars_name_the_classes_of_validation_images_without_wnids(tmp_path):
    def pack(tar_name, *members):
        with tarfile.open(tmp_path / tar_name, "w") as tar:
            for key, label in members:
                add_member(tar, f"{key}.jpg", b"x")
                add_member(tar, f"{key}.cls", b"%d" % label)

    pack("imagenet1k-validation-00.tar", ("ILSVRC2012_val_00000001", 1),
         ("ILSVRC2012_val_00000002", 0))
    with pytest.raises(RequestError, match="give --class-names FILE"):
        list_source(tmp_path, "val")
    pack("imagenet1k-train-0000.tar", ("n01443537_5", 1), ("n01440764_7", 0))
    assert [(entry.file_name, entry.label) for entry in list_source(tmp_path, "val").entries] == [
        ("ILSVRC2012_val_00000001.JPEG", 1), ("ILSVRC2012_val_00000002.JPEG", 0)]
    assert list_source(tmp_path, "val").class_names == ["n01440764", "n01443537"]
    pack("imagenet1k-validation-00.tar", ("ILSVRC2012_val_00000001", 2))
    with pytest.raises(RequestError, match="label 2, but the set of training .* names 2 classes"):
        list_source(tmp_path, "val")
    pack("imagenet1k-train-0000.tar", ("1", 1), ("0", 0))
    with pytest.raises(RequestError, match="give --class-names FILE"):
        list_source(tmp_path, "val")


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
