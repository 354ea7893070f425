"""Sources that are one folder too deep or too high, and folders that would be both splits."""

import pytest

from common.cli import RequestError
from convert.sample.arrange import arrange_sample
from convert.sources.split_listing import list_source


def images_in(folder, *classes, name="{class_name}_1.JPEG"):
    for class_name in classes:
        path = folder / class_name / name.format(class_name=class_name)
        path.parent.mkdir(parents=True)
        path.touch()


VAL_NAME = "ILSVRC2012_val_00000001.JPEG"


@pytest.mark.parametrize("split, place, name, given, words", [
    ("val", "train", "a.jpg", "train", "{top}/train is a folder of training images .*"
     "--source {top} "),
    ("train", "val", "a.jpg", "val", "{top}/val is a folder of validation images .*"
     "--source {top} "),
    ("val", "set/unpacked", "{class_name}_1.JPEG", "set/unpacked",
     "named like ILSVRC's training images, not of a val set; .*--source {top}/set "),
    ("train", "set/unpacked", VAL_NAME, "set/unpacked",
     "named like ILSVRC's validation images, not of a train set; .*--source {top}/set "),
    ("val", "ILSVRC/Data/CLS-LOC/train", "a.jpg", "ILSVRC/Data/CLS-LOC/train",
     "--source {top} .make"),
    ("val", "link", "a.jpg", "train", "{top}/train is a folder of training images"),
    ("train", "train/more", "a.jpg", "", "n01440764 is a folder inside a class folder"
     ".*--source {top}/train/more if"),
])
def test_a_source_too_deep_or_too_high_is_refused(tmp_path, split, place, name, given, words):
    images_in(tmp_path / place, "n01440764", "n01443537", name=name)
    if place == "link":
        (tmp_path / "train").symlink_to("link")
    with pytest.raises(RequestError, match=words.format(top=tmp_path)):
        list_source(tmp_path / given, split)


def test_a_training_image_of_another_class_by_its_name_is_refused(tmp_path):
    images_in(tmp_path, "n92869080", "n90808240", name="{class_name}_1_n90808240.JPEG")
    with pytest.raises(RequestError, match="n92869080_1_n90808240.JPEG is of class n90808240 by its"
                                           " name but of n92869080 by the folder n92869080"):
        list_source(tmp_path, "train")


def test_names_that_end_in_the_class_tell_a_folder_of_the_other_split(tmp_path):
    (tmp_path / "ILSVRC2012_val_00000001_n01440764.JPEG").touch()
    with pytest.raises(RequestError, match="named like ILSVRC's validation images, not of a train"):
        list_source(tmp_path, "train")


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("place, other, words", [
    ("pets", "pets", "pets contains neither .* of the training images; give the folder that train/ "
                     "and val/ are in .make: IMAGENET.; or, .*--source {top}/pets --split train"),
    ("set/part", "set/val", "are in, probably {top}/set .make"),
])
def test_one_folder_does_not_become_both_splits(tmp_path, split, place, other, words):
    for folder in {place, other}:
        images_in(tmp_path / folder, "cat", "dog", name="a.jpg")
    with pytest.raises(RequestError, match=words.format(top=tmp_path)):
        list_source(tmp_path / place, split, both_splits=True)
    assert len(list_source(tmp_path / place, split).entries) == 2


@pytest.mark.parametrize("top", ["", "ILSVRC/Data/CLS-LOC/"])
def test_a_link_does_not_make_the_training_images_a_validation_set(tmp_path, top):
    images_in(tmp_path / f"{top}train", "cat", "dog", name="a.jpg")
    (tmp_path / f"{top}val").symlink_to("train")
    for split, other in ("train", "val"), ("val", "train"):
        with pytest.raises(RequestError, match=f"{split} and .*{other} are one folder: .*its own"):
            list_source(tmp_path, split, both_splits=True)


def test_splits_that_lie_in_different_ways_may_have_one_source(source):
    arrange_sample(source, "archives")
    (source / "ILSVRC2012_img_val.tar").unlink()
    images_in(source / "val", "n01440764", "n01443537")
    for split in ("val", "train"):
        assert list_source(source, split, both_splits=True) == list_source(source, split)


@pytest.mark.parametrize("split, name, words", [
    ("val", VAL_NAME, "move them to {top}/val, or give --source {top}/val/images with"),
    ("val", "val_1.JPEG", "put the images into one folder per class"),
    ("train", "a.jpg", "put the images into one folder per class"),
])
def test_a_single_class_is_refused(tmp_path, split, name, words):
    images_in(tmp_path / split, "images", name=name)
    with pytest.raises(RequestError, match="has a single class, 'images', .*" +
                       words.format(top=tmp_path)):
        list_source(tmp_path, split)


@pytest.mark.parametrize("place", ["imagenet-a", "imagenette2/val"])
def test_class_folders_alone_can_be_a_validation_set(tmp_path, place):
    name = "art_0.jpg" if place == "imagenet-a" else "{class_name}_1.JPEG"
    images_in(tmp_path / place, "n01440764", "n01443537", name=name)
    assert len(list_source(tmp_path / place, "val").entries) == 2


@pytest.fixture
def place(tmp_path):
    """A folder whose own parent, where a devkit is searched for, is the test's alone."""
    folder = tmp_path / "set"
    folder.mkdir()
    return folder


A, B = "n01440764", "n01443537"
KAGGLE = "ILSVRC/Data/CLS-LOC"


@pytest.mark.parametrize("train, val, twice", [
    ([f"train/{A}/{A}_7.JPEG", f"train/{B}/{B}_7.JPEG"],
     [f"val/{A}/{A}_7.jpg", f"val/{B}/{B}_8.JPEG"], f"{A}/{A}_7.jpg"),
    ([f"train/{A}_7_{A}.JPEG", f"train/{B}_7_{B}.JPEG"],
     [f"val/{A}/{A}_7.JPEG", f"val/{B}/{B}_8.JPEG"], f"{A}/{A}_7.JPEG"),
    ([f"train/{A}/{VAL_NAME}", f"train/{B}/{B}_7.JPEG"],
     [f"val/{VAL_NAME[:-5]}_{A}.JPEG", f"val/ILSVRC2012_val_00000002_{B}.JPEG"],
     f"{VAL_NAME[:-5]}_{A}.JPEG"),
    ([f"{KAGGLE}/train/{A}/{A}_7.JPEG", f"{KAGGLE}/train/{B}/{B}_7.JPEG"],
     [f"{KAGGLE}/val/{A}/{A}_8.JPEG", f"{KAGGLE}/val/{B}/{B}_7.JPEG"], f"{B}/{B}_7.JPEG"),
    ([f"{A}_7_{A}.JPEG", f"{B}_7_{B}.JPEG"],  # training images next to val/
     [f"val/{A}/{A}_8.JPEG", f"val/{B}/{B}_7.JPEG"], f"{B}/{B}_7.JPEG"),
    ([f"train/{A}/7.JPEG", f"train/{B}/7.JPEG"],  # names that any image may have
     [f"val/{A}/7.JPEG", f"val/{B}/7.JPEG"], None),
    ([f"train/{A}/{A}_7.JPEG", f"train/{B}/{B}_7.JPEG", f"train/.trash/{A}_8.JPEG"],
     [f"val/{A}/{A}_8.JPEG", f"val/{B}/{B}_8.JPEG"], None),  # as imagenette's
])
def test_an_image_of_both_splits_is_refused_by_its_official_name(place, train, val, twice):
    for name in (*train, *val):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert len(list_source(place, "val").entries) == 2
    if twice is None:
        assert len(list_source(place, "val", both_splits=True).entries) == 2
        return
    with pytest.raises(RequestError, match=rf"val and .* have 1 image in common by ImageNet's own "
                                           rf"names .{twice}.: .*; remove them from one of"):
        list_source(place, "val", both_splits=True)


def test_a_flat_training_set_names_the_classes_of_the_validation_set(place):
    (place / "val").mkdir()
    (place / "train").mkdir()
    for name in (f"train/{A}_1_{A}.JPEG", f"train/{B}_1_{B}.JPEG",
                 f"val/ILSVRC2012_val_00000001_{B}.JPEG"):
        (place / name).touch()
    listing = list_source(place, "val")  # alone, it would have one class, of label 0
    assert (listing.class_names, [entry.label for entry in listing.entries]) == ([A, B], [1])
    (place / "val" / "ILSVRC2012_val_00000002_n01530575.JPEG").touch()
    with pytest.raises(RequestError, match="also of 1 class by their names .n01530575. which the "
                                           "training set, .* does not have .2 classes"):
        list_source(place, "val")


def test_labels_in_a_list_are_of_the_classes_of_a_flat_training_set(place):
    for name in (f"train/{A}_1_{A}.JPEG", f"train/{B}_1_{B}.JPEG", f"val/{VAL_NAME}"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).touch()
    (place / "val.txt").write_text(f"{VAL_NAME} 1\n")
    listing = list_source(place, "val")
    assert (listing.class_names, listing.entries[0].label) == ([A, B], 1)
