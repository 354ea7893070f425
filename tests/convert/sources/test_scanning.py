"""What is listed from a source, and which sources are refused."""

import os
import shutil
from dataclasses import replace

import pytest

from common.cli import RequestError
from convert.sample.arrange import arrange_sample
from convert.sources.layouts import SPLITS
from convert.sources.listing import read_entry
from convert.sources.split_listing import list_source


def test_training_labels_and_ids_follow_the_sorted_names(sample):
    listing = list_source(sample, "train")
    names = sorted(f"{path.parent.name}/{path.name}" for path in sample.glob("train/*/*"))
    assert [entry.file_name for entry in listing.entries] == names
    assert [entry.image_id for entry in listing.entries] == list(range(1, len(names) + 1))
    assert listing.class_names == sorted(os.listdir(sample / "train"))
    assert all(listing.class_names[e.label] == e.file_name.split("/")[0] for e in listing.entries)


@pytest.mark.parametrize("layout", ["flat", "archives"])
def test_what_is_not_an_image_or_hidden_is_passed_over_and_listed_in_every_layout(source, layout):
    clean = {split: list_source(source, split).sha256() for split in SPLITS}
    wnid = min(os.listdir(source / "train"))
    names = [".DS_Store", ".hidden.JPEG", "notes.txt"]
    for folder in (source / "train" / wnid, source / "val"):
        for name in names:
            (folder / name).write_text("x")
    arrange_sample(source, layout)
    for split, ignored in ("val", names), ("train", [f"{wnid}/{name}" for name in names]):
        listing = list_source(source, split)
        assert (listing.sha256(), listing.ignored) == (clean[split], ignored)


def test_hidden_class_folders_are_listed_file_by_file_and_never_opened(source):
    clean, hidden = list_source(source, "train"), source / "train" / ".n01440764"
    (hidden / "deep").mkdir(parents=True)
    os.mkfifo(hidden / "deep" / "a.JPEG")
    (source / "train" / clean.class_names[0] / ".trash").mkdir()
    (source / "train" / clean.class_names[0] / ".trash" / "b.JPEG").touch()
    (source / "train" / ".link").symlink_to(".link")
    (source / "train" / os.fsdecode(b".caf\xe9")).touch()
    listing = list_source(source, "train")
    assert listing.ignored == [r".caf\xe9", ".link", ".n01440764/deep/a.JPEG",
                               f"{clean.class_names[0]}/.trash/b.JPEG"]
    assert listing.sha256() == clean.sha256()


def test_a_folder_of_images_in_a_flat_folder_is_refused_and_its_other_files_are_listed(source):
    clean, inner = list_source(source, "val"), source / "val" / "more"
    (inner / "deep").mkdir(parents=True)
    for name in ("a.txt", "deep/b.txt", ".c.JPEG"):
        (inner / name).touch()
    listing = list_source(source, "val")
    assert listing.ignored == ["more/.c.JPEG", "more/a.txt", "more/deep/b.txt"]
    assert listing.sha256() == clean.sha256()
    image = min((source / "val").glob("*.JPEG"))
    image.rename(inner / image.name)
    with pytest.raises(RequestError, match=f"{inner} is a folder with 1 image .'more/{image.name}'."
                                           " next to .*: move them next to the others"):
        list_source(source, "val")


def test_images_in_the_source_itself_may_have_the_other_split_and_a_devkit_next_to_them(source):
    clean = list_source(source, "val")
    for image in list((source / "val").iterdir()):
        image.rename(source / image.name)
    (source / "val").rmdir()
    listing = list_source(source, "val")
    assert listing.sha256() == clean.sha256()
    assert listing.ignored == sorted(f"devkit/data/{path.name}"
                                     for path in (source / "devkit" / "data").iterdir())


def test_extensions_decide_what_an_image_is_in_any_case_of_letters(tmp_path):
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "train" / "dog").mkdir()
    for name in ("a.jpg", "a.webp"):
        (tmp_path / "train" / "dog" / name).write_bytes(b"x")
    for name in ("a.JPEG", "b.jpg", "c.Png", "d.webp", "e.WEBP", "jpg"):
        (tmp_path / "train" / "cat" / name).write_bytes(b"x")

    def names(**options):
        return [entry.file_name for entry in list_source(tmp_path, "train", **options).entries]
    assert names() == ["cat/a.JPEG", "cat/b.jpg", "cat/c.Png", "dog/a.jpg"]
    assert names(extensions=(".webp",)) == ["cat/d.webp", "cat/e.WEBP", "dog/a.webp"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_in_class_folders_images_are_numbered_by_position(source, split):
    """Training images even if they are named like ILSVRC's validation images, and validation
    images if none are."""
    arrange_sample(source, "folders")
    if split == "train":
        shutil.rmtree(source / "train")
        (source / "val").rename(source / "train")
    else:
        for image in (source / "val").glob("*/*"):
            image.rename(image.with_name(f"x{image.name}"))
    listing = list_source(source, split)
    names = sorted(f"{path.parent.name}/{path.name}" for path in source.glob(f"{split}/*/*"))
    assert [entry.file_name for entry in listing.entries] == names
    assert [entry.image_id for entry in listing.entries] == list(range(1, len(names) + 1))


def test_the_digest_depends_on_every_field_that_decides_a_record(sample):
    listing = list_source(sample, "val")
    first, *rest = listing.entries
    digests = {listing.sha256()} | {
        replace(listing, entries=[first._replace(**change), *rest]).sha256()
        for change in ({"label": first.label + 1}, {"image_id": 99}, {"size": first.size + 1},
                       {"file_name": "other.JPEG"})}
    digests.add(replace(listing, class_names=["n0", *listing.class_names[1:]]).sha256())
    assert len(digests) == 6
    moved = [first._replace(container="a.tar", offset=512), *rest]
    assert replace(listing, entries=moved, layout="archives").sha256() == listing.sha256()


@pytest.mark.parametrize("spoil, words", [
    (lambda first: shutil.rmtree(first.parents[1]), "is not a folder"),
    (lambda first: [shutil.rmtree(folder) for folder in first.parent.iterdir()],
     "fits no layout of a train set; known layouts"),
    (lambda first: (first.parent / "n99999999").mkdir(), "n99999999 contains no images"),
    (lambda first: (first / "more").mkdir(), "more is a folder inside a class folder"),
    (lambda first: (first / "up").symlink_to(".."), "up is a folder inside a class folder"),
    (lambda first: (first / os.fsdecode(b"caf\xe9.JPEG")).write_bytes(b"x"),
     r"'caf\\xe9.JPEG' in .* is not a UTF-8 name"),
])
def test_a_bad_training_source_is_refused(source, spoil, words):
    spoil(min((source / "train").iterdir()))
    with pytest.raises(RequestError, match=words):
        list_source(source, "train")


@pytest.mark.parametrize("split, place", [("train", "class/x.JPEG"), ("train", "x"), ("val", "x")])
@pytest.mark.parametrize("make, words", [
    (os.mkfifo, "x(.JPEG)? is neither a file nor a folder"),
    (lambda path: path.symlink_to("nothing"), "x(.JPEG)? is a link to something that does not"),
    (lambda path: path.symlink_to("/dev/null"), "x(.JPEG)? is neither a file nor a folder"),
])
def test_what_cannot_be_an_image_is_refused_unread(source, split, place, make, words):
    first = min((source / split).iterdir())
    make(first / "x.JPEG" if "/" in place else first.with_name(place))
    with pytest.raises(RequestError, match=words):
        list_source(source, split)


def test_links_to_images_and_class_folders_are_followed(source, tmp_path):
    clean = list_source(source, "train")
    first = min((source / "train").iterdir())
    image = min(first.iterdir())
    for path in (image, first):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    assert list_source(source, "train").sha256() == clean.sha256()


def test_what_lies_next_to_class_folders_or_is_from_macos_is_ignored_by_name(source):
    clean, first = list_source(source, "train"), min((source / "train").iterdir())
    for folder in (first, source / "train", source / "val"):
        (folder / "__MACOSX" / "deep").mkdir(parents=True)
        for name in ("._a.JPEG", "__MACOSX/deep/b.JPEG"):
            (folder / name).touch()
    for name in ("n01484850.tar", "loose.JPEG"):
        (source / "train" / name).touch()
    listing, macos = list_source(source, "train"), ["._a.JPEG", "__MACOSX/deep/b.JPEG"]
    assert listing.ignored == sorted([
        *macos, *(f"{first.name}/{name}" for name in macos), "loose.JPEG", "n01484850.tar"])
    assert listing.sha256() == clean.sha256()
    assert list_source(source, "val").ignored == macos


@pytest.mark.parametrize("place", ["a_class", "n1/an_image.JPEG"])
def test_a_symlink_to_itself_is_refused_by_name(tmp_path, fail, place):
    (tmp_path / "train" / "n1").mkdir(parents=True)
    loop = tmp_path / "train" / place
    loop.symlink_to(loop.name)
    last, = fail(2, "run", "--source", tmp_path, "--split", "train", "--out", tmp_path / "out"
                 ).splitlines()
    assert not (tmp_path / "out").exists()
    assert last.startswith("error: ") and str(loop) in last


@pytest.mark.parametrize("change", [lambda data: data + b"more", lambda data: data[:-1]])
def test_an_image_that_changes_while_it_is_converted_is_named(source, change):
    listing = list_source(source, "train")
    entry = listing.entries[0]
    path = listing.root / entry.container
    assert read_entry(listing.root, entry) == path.read_bytes()
    path.write_bytes(change(path.read_bytes()))
    # The file as one image, and as an archive with the image after a header.
    for image in (entry, entry._replace(offset=512, size=path.stat().st_size)):
        with pytest.raises(RequestError, match=f"{entry.file_name} changed while it was convert"):
            read_entry(listing.root, image)


def test_a_validation_image_without_label_or_file_is_refused(source):
    last = source / "val" / "ILSVRC2012_val_00000012.JPEG"
    shutil.copy(last, source / "val" / "ILSVRC2012_val_00000013.JPEG")
    with pytest.raises(RequestError, match="00000013.JPEG has no label: .* has 12 labels"):
        list_source(source, "val")
    (source / "val" / "ILSVRC2012_val_00000013.JPEG").unlink()
    last.unlink()
    (source / "val" / "ILSVRC2012_val_00000007.JPEG").unlink()
    with pytest.raises(RequestError, match="12 labels for 10 .*07.JPEG is missing"):
        list_source(source, "val")


def test_one_id_twice_is_refused(source):
    arrange_sample(source, "folders")
    first, second = sorted((source / "val").iterdir())[:2]
    image = next(first.iterdir())
    shutil.copy(image, second / image.name)
    with pytest.raises(RequestError, match=f"'{second.name}/{image.name}' both have image id"):
        list_source(source, "val")


def test_one_id_twice_in_an_archive_is_refused_with_the_names(source):
    first, second = sorted((source / "val").iterdir())[:2]
    second.rename(first.with_suffix(".jpg"))
    arrange_sample(source, "archives")
    with pytest.raises(RequestError, match=rf"'{first.name}' in ILSVRC2012_img_val.tar and "
                                           rf"'{first.stem}.jpg' in ILSVRC2012_img_val.tar both"):
        list_source(source, "val")


@pytest.mark.parametrize("layout", ["flat", "folders", "archives"])
def test_numbered_and_other_names_do_not_mix(source, layout):
    """Positions of all would make a blacklist mark other images."""
    copy = source / "val" / "ILSVRC2012_val_00000003 (1).JPEG"
    shutil.copy(source / "val" / "ILSVRC2012_val_00000003.JPEG", copy)
    (source / "val" / "._ILSVRC2012_val_00000003.JPEG").write_bytes(b"x")  # macOS's, in tars
    if layout == "folders":
        arrange_sample(source, "folders")
        copy.rename(min((source / "val").glob("n*")) / copy.name)
    elif layout == "archives":
        arrange_sample(source, "archives")
    with pytest.raises(RequestError, match=r"12 images with .* 1 image without \('.*\(1\).JPEG'"):
        list_source(source, "val")


@pytest.mark.parametrize("layout", ["flat", "folders"])
@pytest.mark.parametrize("name", ["{number}.jpg", "{number}.jpeg", "{number}.PNG",
                                  "{number}_{wnid}.JPEG"])
def test_ids_are_read_from_names_of_other_endings_and_with_the_class(source, layout, name):
    expected = list_source(source, "val")
    wnids = {entry.image_id: expected.class_names[entry.label] for entry in expected.entries}
    if layout == "folders":
        arrange_sample(source, "folders")
    for image in list((source / "val").rglob("*.JPEG")):
        image.rename(image.with_name(name.format(number=image.stem,
                                                 wnid=wnids[int(image.stem[-8:])])))
    listing = list_source(source, "val")
    assert not listing.ids_are_positions
    assert [(e.image_id, e.label, e.file_name) for e in listing.entries] == [
        (e.image_id, e.label, name.replace("_{wnid}", "").format(number=e.file_name[:-5]))
        for e in expected.entries]


@pytest.mark.parametrize("layout", ["flat", "folders"])
def test_a_class_in_the_name_must_be_the_one_of_the_label(source, layout):
    if layout == "folders":
        arrange_sample(source, "folders")
    image, = (source / "val").rglob("*_00000003.JPEG")
    image.rename(image.with_name("ILSVRC2012_val_00000003_n01440764.JPEG"))
    with pytest.raises(RequestError, match="3_n01440764.JPEG is of class n01440764 by its name but"
                                           " of n"):
        list_source(source, "val")
