"""ImageNet as Hugging Face and timm publish it: Parquet files, flat tars, WebDataset tars."""

import os
import shutil
import tarfile

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from common.cli import RequestError
from convert.sample.arrange import arrange_sample
from convert.sample.downloads import add_member
from convert.sources import parquet as parquet_source
from convert.sources import snappy
from convert.sources.ilsvrc import unused_numbers
from convert.sources.layouts import SPLITS, list_source, reader_of

WNIDS = ("n90000001", "n90000002")


def image_rows(count=40):
    """Rows of ``image`` and ``label``: bytes that cannot be compressed, and some that can."""
    rng = np.random.default_rng(0)
    data = [rng.bytes(int(size)) + b"abc" * 400 for size in rng.integers(1, 90_000, count)]
    if count > 5:
        data[5] = data[2]  # an image that recurs, after another one of its size
        data[3] = data[2][::-1]
    return [{"bytes": item, "path": f"{WNIDS[k % 2]}_{k}_{WNIDS[k % 2]}.JPEG"}
            for k, item in enumerate(data)]


def write(path, rows, labels=None, text=pyarrow.string(), **options):
    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": text})
    labels = [k % 2 for k in range(len(rows))] if labels is None else labels
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pyarrow.table({"image": pyarrow.array(rows, kind), "label": labels}), path,
                        **options)


def replace(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "train-00000-of-00001.parquet"


@pytest.mark.parametrize("options", [
    {}, {"row_group_size": 7}, {"use_dictionary": False}, {"data_page_version": "2.0"},
    {"compression": "none"}, {"data_page_size": 1000, "write_batch_size": 3},
    {"use_dictionary": False, "data_page_version": "2.0", "write_page_checksum": True},
])
def test_each_image_is_read_alone_wherever_it_is_stored(file, tmp_path, options):
    rows = image_rows()
    write(file, rows, **options)
    listing = list_source(tmp_path, "train")
    expected = {f"{WNIDS[k % 2]}/{WNIDS[k % 2]}_{k}.JPEG": row["bytes"]
                for k, row in enumerate(rows)}
    read = reader_of("parquet")
    assert {entry.file_name: read(listing.root, entry) for entry in listing.entries} == expected


@pytest.mark.parametrize("change, words", [
    (lambda path: write(path, image_rows(), compression="gzip"), "GZIP; only SNAPPY and UNCOMPR"),
    (lambda path: write(path, [{"bytes": b"a", "path": "a.JPEG"}]), "row 0: path 'a.JPEG' is not"),
    (lambda path: write(path, [{"bytes": None, "path": "a.JPEG"}]), "a row without image"),
    (lambda path: write(path, image_rows(2), [0, 5]), "has label 5, but is number 1 of the 2"),
    (lambda path: write(path, image_rows(4), [0, 1, 0, 0]), "has label 0, but 1 in .*row 1"),
    (lambda path: write(path, 2 * image_rows(2)), "'n90000001/n90000001_0.JPEG' is in"),
    (lambda path: parquet.write_table(pyarrow.table({"a": [1]}), path), "has the columns a; exp"),
    (lambda path: write(path, [{"bytes": b"a", "path": b"a.JPEG"}], text=pyarrow.binary()),
     "is not a whole Parquet file .its paths are not text"),
    (lambda path: os.truncate(path, 5000), "is not a whole Parquet file"),
    (lambda path: path.write_bytes(b""), "is not a whole Parquet file"),
    (lambda path: replace(path, b"PAR1\x15", b"PAR1\x35"), "a page header without its field 1"),
    (lambda path: replace(path, b"PAR1\x15\x04\x15\x8a", b"PAR1\x15\x04\x15\x8c"), "by its header"),
    (lambda path: write(path, image_rows(), write_page_checksum=True, compression="none") or
     replace(path, b"n90000001_6_", b"n90000001_9_"), "CRC checksum verification failed"),
    (lambda path: path.rename(path.with_name("train-00000-of-00002.parquet")), "001-of.*missing"),
])
def test_other_or_damaged_parquet_files_are_refused(file, tmp_path, change, words):
    write(file, image_rows())
    change(file)
    with pytest.raises(RequestError, match=words) as error:
        list_source(tmp_path, "train")
    assert str(file.parent) in str(error.value) and "\n" not in str(error.value)


def test_a_parquet_file_that_changes_and_a_missing_package_are_named(file, tmp_path, monkeypatch):
    write(file, image_rows())
    listing = list_source(tmp_path, "train")
    file.write_bytes(b"\xff" * 100_000)
    with pytest.raises(RequestError, match="changed while it was converted"):
        for entry in listing.entries:
            reader_of("parquet")(listing.root, entry)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install '.\[parquet\]'"):
        list_source(tmp_path, "train")


@pytest.mark.parametrize("options", [{}, {"compression": "none"}, {"use_dictionary": False}])
def test_listing_reads_little_of_the_images(file, tmp_path, options, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [{**row, "bytes": rng.bytes(100_000)} for row in image_rows()]
    write(file, rows, **options)
    asked, real = [], os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, size, place: (
        asked.append(size), real(descriptor, size, place))[1])
    monkeypatch.setattr("convert.sources.parquet._compare", lambda *_: None)
    assert len(list_source(tmp_path, "train").entries) == 40
    assert sum(asked) < file.stat().st_size / 8


def test_a_listing_is_kept_for_a_file_as_it_is(tmp_path, monkeypatch):
    first, second = (tmp_path / "data" / f"train-0000{part}-of-00002.parquet" for part in (0, 1))
    rows = image_rows()
    write(first, rows[:20])
    write(second, rows[20:])
    keep, plain = tmp_path / "out" / "keep", list_source(tmp_path, "train")
    monkeypatch.setattr(parquet_source, "BYTES_PER_WORKER", 1)
    assert list_source(tmp_path, "train", keep=keep, workers=2) == plain
    listed, real = [], parquet_source._rows
    monkeypatch.setattr(parquet_source, "_rows", lambda path, compare: (
        listed.append(path), real(path, compare))[1])
    assert list_source(tmp_path, "train", keep=keep) == plain and not listed
    write(second, rows[21:], [k % 2 for k in range(21, 40)])
    os.truncate(keep / f"{first.name}.json", 100)
    assert len(list_source(tmp_path, "train", keep=keep).entries) == 39
    assert listed == [first, second]


@pytest.mark.parametrize("name", ["train-00000-of-00001.parquet", "imagenet1k-train-0000.tar"])
def test_a_fifo_in_place_of_a_file_is_refused_unopened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(RequestError, match=f"{name} is a FIFO, a socket or a device"):
        list_source(tmp_path, "train")


def test_snappy_copies_may_overlap_what_they_write_but_not_begin_before_it():
    data = bytes(70_000) + b"abcd" * 30_000 + np.random.default_rng(1).bytes(100)
    stored = bytes(pyarrow.compress(data, "snappy", asbytes=True))
    stream = snappy.Stream(lambda at, size: stored[at:at + size], len(stored))
    assert (len(stream.blocks), stream.length) == (3, len(data))
    for block, begin in enumerate(stream.blocks):
        part = data[block * snappy.BLOCK:]
        assert bytes(snappy.decode(stored[begin:], len(part))) == part
        assert bytes(snappy.decode(stored[begin:], 9)) == part[:9]
    for place in (0, 65_534, 70_001, 131_070, len(data) - 4):  # also across blocks, of a copy
        assert bytes(stream.bytes_at(place, 4)) == data[place:place + 4]
    random = np.random.default_rng(2).bytes(140_000)
    stored = bytes(pyarrow.compress(random, "snappy", asbytes=True))
    stream = snappy.Stream(lambda at, size: stored[at:at + max(size, 0)], len(stored))
    for place, size in ((65_000, 1_000), (65_000, 70_000), (0, 140_000)):
        assert bytes(stream.bytes_at(place, size)) == random[place:place + size]
    with pytest.raises(ValueError, match="before the block"):
        snappy.decode(b"\x01\x05", 4)


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
