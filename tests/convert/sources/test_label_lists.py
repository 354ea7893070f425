"""Lists of validation images with their labels or wnids, as other tools write them."""

import os
import shutil
import tarfile

import pytest

from common.cli import RequestError
from convert.sample.arrange import arrange_sample
from convert.sources.label_lists import read_class_names, read_label_list
from convert.sources.split_listing import list_source

NAMES = ["n1", "n2", "n3"]


@pytest.fixture
def known(sample):
    """The listing of the sample, as its devkit labels it."""
    return list_source(sample, "val")


@pytest.fixture
def unlabelled(source):
    """The sample without its devkit."""
    shutil.rmtree(source / "devkit")
    return source


def lines_of(known, form):
    """A line for each image; the last image first, as order does not matter."""
    return [form.format(name=entry.file_name, number=entry.file_name[:-5], label=entry.label,
                        wnid=known.class_names[entry.label]) for entry in known.entries[::-1]]


@pytest.mark.parametrize("form, place, ending", [
    ("{name} {label}", "val.txt", "\n"), ("{name} {label}", "meta/val.txt", "\r\n"),
    ("val/{name}\t{label}", "val_list.txt", "\n"), ("{number},{label}", "list.csv", "\n"),
    ("{name},{wnid}", "list.csv", "\r\n"), ("{name} {wnid}", "any", "\n\n"),
    ("ImageId,PredictionString", "LOC_val_solution.csv", "\n")])
def test_a_list_is_found_or_given_and_gives_the_devkits_labels(known, unlabelled, form, place,
                                                               ending):
    lines = lines_of(known, form)
    if form == "ImageId,PredictionString":
        lines = [form, *lines_of(known, "{number},{wnid} 1 2 30 40 {wnid} 1 2 3 4 ")]
    path = unlabelled / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes("".join(f"{line}{ending}" for line in lines).encode("utf-8-sig"))
    given = path if place in ("list.csv", "any") else None
    assert list_source(unlabelled, "val", given).sha256() == known.sha256()


@pytest.mark.parametrize("place", [
    "val.txt", "meta/val_list.txt", "devkit/data/a_validation_ground_truth.txt",
    "ILSVRC2012_devkit_t12.tar.gz", "given.txt", "names.txt"])
def test_a_fifo_in_place_of_a_list_is_refused_unopened(unlabelled, place):
    fifo = unlabelled / place
    fifo.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(fifo)
    given = {"ground_truth": fifo} if place == "given.txt" else (
        {"class_names": fifo} if place == "names.txt" else {})
    if fifo.suffix == ".gz":
        arrange_to_archive(unlabelled)
    with pytest.raises(RequestError, match=f"{fifo} is a FIFO, a socket or a device"):
        list_source(unlabelled, "val", **given)


def arrange_to_archive(source):
    with tarfile.open(source / "val.tar", "w") as tar:
        for image in (source / "val").iterdir():
            tar.add(image, image.name)
    shutil.rmtree(source / "val")


@pytest.mark.parametrize("sorted_names", [True, False])
def test_class_names_say_what_labels_mean_in_the_order_of_the_file(known, unlabelled, sorted_names):
    shutil.rmtree(unlabelled / "train")
    names = known.class_names if sorted_names else known.class_names[::-1]
    truth, classes = unlabelled / "val.txt", unlabelled / "classes.txt"
    truth.write_text("".join(f"{e.file_name} {names.index(known.class_names[e.label])}\n"
                             for e in known.entries))
    with pytest.raises(RequestError, match="val.txt does not say which classes .*--class-names"):
        list_source(unlabelled, "val")
    classes.write_text("\n".join(names))
    assert list_source(unlabelled, "val", class_names=classes).sha256() == known.sha256()
    assert list_source(unlabelled, "val", truth, class_names=classes).sha256() == known.sha256()


def test_labels_of_packed_images_count_the_classes_of_train_in_the_source(known, unlabelled):
    arrange_to_archive(unlabelled)
    (unlabelled / "val.txt").write_text("\n".join(lines_of(known, "{name} {label}")))
    assert list_source(unlabelled, "val").sha256() == known.sha256()


@pytest.mark.parametrize("stray", ["__MACOSX", ".thumbnails"])
def test_folders_that_are_no_classes_shift_no_label(known, unlabelled, stray):
    (unlabelled / "val.txt").write_text("\n".join(lines_of(known, "{name} {label}")))
    (unlabelled / "train" / stray).mkdir()
    assert list_source(unlabelled, "val").sha256() == known.sha256()


@pytest.mark.parametrize("text, words", [
    ("", "is empty; give the labels"), ("\n\n", "is empty; give the labels"),
    ("\ncats\n", "is not a list of labels .'cats' is its first line.; give lines like"),
    ("3\n", "is not a list of labels .'3' is its first line.; give lines like")])
def test_what_is_no_list_is_said_to_be_none(unlabelled, text, words):
    (unlabelled / "val.txt").write_text(text)
    with pytest.raises(RequestError, match=f"^{unlabelled / 'val.txt'} {words}"):
        list_source(unlabelled, "val")
    if "cats" in text:  # nor is it one for a class map next to it
        (unlabelled / "map_clsloc.txt").write_text("n90000001 1 cats\n")
        with pytest.raises(RequestError, match=f"^{unlabelled / 'val.txt'} {words}"):
            list_source(unlabelled, "val")


def test_several_lists_are_refused(unlabelled):
    (unlabelled / "val.txt").touch()
    (unlabelled / "val_list.txt").touch()
    with pytest.raises(RequestError, match="several label lists: .*val.txt, .*val_list.txt"):
        list_source(unlabelled, "val")


def test_class_folders_are_compared_with_a_list(known, source):
    truth = source / "list.txt"
    arrange_sample(source, "folders")
    lines = lines_of(known, "{name} {wnid}")
    truth.write_text("\n".join(lines))
    assert list_source(source, "val", truth).sha256() == known.sha256()
    other = next(name for name in known.class_names if name not in lines[0])
    truth.write_text("\n".join([f"{lines[0].split()[0]} {other}", *lines[1:]]))
    with pytest.raises(RequestError, match=f"12.JPEG' is of class {other} by {truth} but of n"):
        list_source(source, "val", truth)
    truth.write_text("\n".join(lines[1:]))
    with pytest.raises(RequestError, match="12.JPEG has no label"):
        list_source(source, "val", truth)
    (source / "classes.txt").write_text("n1\n")
    with pytest.raises(RequestError, match="classes.txt names other classes .1. than .* has .4."):
        list_source(source, "val", class_names=source / "classes.txt")


def test_names_that_end_in_the_class_need_no_list(known, unlabelled):
    for entry in known.entries:
        image = unlabelled / "val" / entry.file_name
        image.rename(image.with_name(f"{image.stem}_{known.class_names[entry.label]}.JPEG"))
    listing = list_source(unlabelled, "val")
    assert [e.label for e in listing.entries] == [e.label for e in known.entries]
    assert listing.class_names == known.class_names
    (unlabelled / "train" / "n00000001").mkdir()  # a class of which there is no such image
    listing = list_source(unlabelled, "val")
    assert listing.class_names == ["n00000001", *known.class_names]
    assert [e.label for e in listing.entries] == [e.label + 1 for e in known.entries]
    missing = known.class_names[2]
    shutil.rmtree(unlabelled / "train" / missing)
    with pytest.raises(RequestError, match=f"of 1 class by their names .{missing}. which the"):
        list_source(unlabelled, "val")


def test_a_flat_set_of_one_class_is_refused(tmp_path):
    for number in (1, 2):
        (tmp_path / f"ILSVRC2012_val_0000000{number}_n90000001.JPEG").touch()
    with pytest.raises(RequestError, match="a single class, 'n90000001', with 2 images, but a set "
                                           "needs two; give the labels"):
        list_source(tmp_path, "val")


@pytest.mark.parametrize("text, words", [
    ("", "is empty"),
    ("ILSVRC2012_val_00000000.JPEG 0", "line 1: '.*00.JPEG 0' is not the name"),
    ("x.JPEG 0", "line 1: 'x.JPEG 0' is not the name of a validation image and its class"),
    ("{0} 0\n{1}", "line 2: 'ILSVRC2012_val_00000002.JPEG' is not the name .* and its class"),
    ("{0} 0\n{1} 0 0", "line 2: .* is not the name of a validation image and its class"),
    ("{0} 0\n\n{1} 1\n{0} 1", "line 4: '.*1.JPEG' is already on line 1"),
    ("{0} 0\n{1} 3", "line 2: label 3 is outside 0 to 2, .* count from 1"),
    ("{0} 0\n{1} " + "9" * 5000, "line 2: label 9* is outside 0 to 2"),
    ("{0} 0\n{1} -1", "line 2: '-1' is not a label, a number from 0 to 2"),
    ("{0} n1\n{1} n4", "line 2: 'n4' is not one of the 3 class names"),
    ("name,class\n{0},n1\nname,class", "line 3: 'name,class' is not the name"),
    ("{0},", "line 1: '' is not one of the 3 class names"),
])
def test_a_bad_list_is_refused_by_line(tmp_path, text, words):
    lines = text.format("ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000002.JPEG")
    with pytest.raises(RequestError, match=words) as error:
        read_label_list(tmp_path / "val.txt", lines.splitlines(), NAMES)
    assert f"{tmp_path / 'val.txt'}" in str(error.value)


@pytest.mark.parametrize("first", [490, 489])
def test_ilsvrcs_labels_in_the_devkits_order_are_refused(tmp_path, first):
    names = [f"n{k:08d}" for k in range(1000)]
    lines = [f"ILSVRC2012_val_{k:08d}.JPEG {first + k - 1 if k < 3 else 7}"
             for k in range(1, 50_001)]
    with pytest.raises(RequestError, match=f"devkit's order .image 1 is {first}.*image 1 is 65"):
        read_label_list(tmp_path / "val.txt", lines, names)
    assert len(read_label_list(tmp_path / "val.txt", lines[1:], names).labels) == 49_999


@pytest.mark.parametrize("text, words", [
    ("\n", "is empty"), ("n1\n\nn1\n", "line 3: 'n1' is already on line 1"),
    ("n1 tench\n", "line 1: 'n1 tench' is not one class name"),
    ("n01440764\nn0144353\nn01484850\n", "name 'n0144353' is not a wnid .* as 2 of the 3 are")])
def test_bad_class_names_are_refused_by_line(tmp_path, text, words):
    (tmp_path / "names").write_text(text)
    with pytest.raises(RequestError, match=words):
        read_class_names(tmp_path / "names")
