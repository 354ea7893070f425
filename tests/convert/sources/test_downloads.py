"""ImageNet as Hugging Face and timm publish it: Parquet files, flat tars, WebDataset tars."""

import os
import shutil
import tarfile

import pytest

from common.cli import RequestError
from convert.sample.arrange import arrange_sample
from convert.sample.downloads import add_member
from convert.sources.ilsvrc import unused_numbers
from convert.sources.layouts import SPLITS
from convert.sources.split_listing import list_source


@pytest.mark.parametrize("name", ["train-00000-of-00001.parquet", "imagenet1k-train-0000.tar"])
def test_a_fifo_in_place_of_a_file_is_refused_unopened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(RequestError, match=f"{name} is a FIFO, a socket or a device"):
        list_source(tmp_path, "train")


@pytest.mark.parametrize("layout, spoil, words", [
    ("flat-tars", lambda source: (source / "train_images_3.tar").unlink(),
     "train_images_3.tar does not exist"),
    ("flat-tars", lambda source: add(source / "train_images_3.tar", "a.JPEG"),
     "'a.JPEG' in .* has no class at the end"),
    ("webdataset", lambda source: (source / "imagenet1k-train-01.tar").unlink(),
     "imagenet1k-train-01.tar is missing"),
    ("webdataset", lambda source: add(source / "imagenet1k-train-01.tar", "b.jpg"),
     "'b' in .*: a sample has 1 image and 0 labels"),
    ("webdataset", lambda source: add(source / "imagenet1k-train-01.tar", "b.jpg", "b.cls"),
     "label b'' is not a number"),
    ("webdataset", lambda source: (source / "_info.json").write_text(
        '{"splits": {"train": {"num_samples": 99}}}'),
     "says 99 for the train set, but the tars have 20 images"),
])
def test_incomplete_tars_are_refused(sample, tmp_path, layout, spoil, words):
    source = shutil.copytree(sample, tmp_path / "source")
    arrange_sample(source, layout)
    spoil(source)
    with pytest.raises(RequestError, match=words):
        list_source(source, "train")


def add(archive, *names):
    with tarfile.open(archive, "a") as tar:
        for name in names:
            add_member(tar, name, b"")


@pytest.mark.parametrize("files, words", [
    (["train_images_0.tar.gz"], "train_images_1.tar does not exist, nor train_images_1.tar.gz;"),
    (["images.tar.gz"], "gunzip -k .*images.tar.gz"),
    (["ILSVRC2012_img_train.tar.001", "ILSVRC2012_img_train.tar.002"],
     r"cat .*img_train.tar.\[0-9\]\[0-9\]\[0-9\] > .*img_train.tar$"),
    (["a.zip"], "unzip .*a.zip"),
    (["ILSVRC2012_devkit_t12.tar.gz", "x.tar.xz"], "unxz -k .*x.tar.xz"),
    (["ILSVRC2012_devkit_t12.tar.gz", "x.tar.md"], "fits no layout"),
    (["train.tar.gz.part00", "train.tar.gz.part01"],
     r"cat .*train.tar.gz.part\[0-9\]\[0-9\] > .*train.tar.gz$"),
    (["train.tar.aa", "train.tar.ab"], r"cat .*train.tar.\[a-z\]\[a-z\] > .*train.tar$"),
])
def test_packed_archives_are_refused_with_the_command(tmp_path, files, words):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(RequestError, match=words):
        list_source(tmp_path, "train")


def test_class_names_do_not_rename_training_folders_but_are_compared(sample, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("a\n")
    with pytest.raises(RequestError, match="names.txt names other classes .1. than .*train has .4"):
        list_source(sample, "train", class_names=names)
    listing = list_source(sample, "train")
    names.write_text("".join(f"{name}\n" for name in reversed(listing.class_names)))
    assert list_source(sample, "train", class_names=names) == listing


def add_class_to_names(source, split, flat):
    """Rename the images of a sample as Hugging Face does; unless flat, in class folders."""
    listing = list_source(source, split)
    for entry in listing.entries:
        wnid = listing.class_names[entry.label]
        image = listing.root / entry.container
        place = source / split if flat else source / split / wnid
        place.mkdir(exist_ok=True)
        image.rename(place / f"{image.stem}_{wnid}.JPEG")
    for folder in (source / split).iterdir():
        if flat and folder.is_dir():
            folder.rmdir()


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("split", SPLITS)
def test_folders_of_names_with_the_class_give_the_record_set_of_tars_and_parquet(
        sample, tmp_path, split, flat):
    digests = {list_source(sample, split).sha256()}
    for layout in ("flat-tars", "parquet", "folders"):
        source = shutil.copytree(sample, tmp_path / layout)
        arrange_sample(source, layout)
        if layout == "folders":
            add_class_to_names(source, split, flat)
            (source / "devkit").rename(tmp_path / "devkit")  # names have the labels
        digests.add(list_source(source, split).sha256())
    assert len(digests) == 1


def test_an_image_with_and_without_the_class_in_its_name_is_refused(source):
    image = min((source / "train").glob("*/*"))
    shutil.copy(image, image.with_name(f"{image.stem}_{image.parent.name}.JPEG"))
    with pytest.raises(RequestError, match=f"are both {image.parent.name}/{image.name}; remove"):
        list_source(source, "train")


def test_what_is_no_image_with_its_class_in_a_flat_folder_is_listed_or_refused(source):
    before = list_source(source, "train").sha256()
    add_class_to_names(source, "train", flat=True)
    (source / "train" / "._a.JPEG").touch()  # what macOS writes is listed, as in class folders
    found = list_source(source, "train")
    assert (found.sha256(), found.ignored) == (before, ["._a.JPEG"])
    (source / "train" / "a.jpg").touch()
    with pytest.raises(RequestError, match="'a.jpg' in .* has no class at the end"):
        list_source(source, "train")
    (source / "train" / "a.jpg").unlink()
    os.mkfifo(source / "train" / "b.jpg")
    with pytest.raises(RequestError, match="b.jpg is neither a file nor a folder"):
        list_source(source, "train")


def test_what_macos_wrote_into_a_flat_tar_is_listed(sample, tmp_path):
    source = shutil.copytree(sample, tmp_path / "source")
    arrange_sample(source, "flat-tars")
    before = list_source(source, "train").sha256()
    add(source / "train_images_3.tar", "__MACOSX/._a.JPEG")
    found = list_source(source, "train")
    assert (found.sha256(), found.ignored) == (before, ["__MACOSX/._a.JPEG"])


def test_imagenette_has_training_images_in_val(tmp_path):
    for name in ("n90000001/ILSVRC2012_val_00000009.JPEG", "n90000001/n90000001_7.JPEG",
                 "n90000002/n90000002_3.JPEG"):
        (tmp_path / "val" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "val" / name).touch()
    listing = list_source(tmp_path, "val")
    assert [(entry.file_name, entry.label, entry.image_id) for entry in listing.entries] == [
        ("n90000001/ILSVRC2012_val_00000009.JPEG", 0, 1), ("n90000001/n90000001_7.JPEG", 0, 2),
        ("n90000002/n90000002_3.JPEG", 1, 3)]
    assert listing.ids_are_positions
    assert unused_numbers(listing).startswith(
        f"1 of the 3 validation images in {tmp_path / 'val'} have ILSVRC's numbers in their names "
        "(such as ILSVRC2012_val_00000009.JPEG), the others are named like training images: ")
    (tmp_path / "val" / "n90000002" / "other.JPEG").touch()
    with pytest.raises(RequestError, match="1 image with ILSVRC's numbers in the names and 3 im"):
        list_source(tmp_path, "val")


def test_training_images_among_numbered_ones_do_not_take_their_numbers_away(source):
    """Positions of all would make a blacklist mark other images."""
    arrange_sample(source, "folders")
    image = min((source / "train").glob("*/*"))
    shutil.copy(image, source / "val" / image.parent.name)
    with pytest.raises(RequestError, match="12 images with ILSVRC's numbers in the names and 1 "
                                           f"image without .'{image.parent.name}/"):
        list_source(source, "val")
