"""The same images give the same records, digest for digest, however they lie on the disk."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from common.cli import RequestError
from convert.conversion import convert
from convert.records.reader import open_records
from convert.request import Request
from convert.sample.arrange import SAMPLE_LAYOUTS, arrange_sample
from convert.sources import layouts
from convert.sources.listing import Scan
from convert.sources.split_listing import list_source


@pytest.fixture(scope="module")
def arranged(sample, tmp_path_factory):
    """The sample in every layout: layout -> folder."""
    top = tmp_path_factory.mktemp("layouts")
    folders = {layout: shutil.copytree(sample, top / layout) for layout in SAMPLE_LAYOUTS}
    for layout, folder in folders.items():
        arrange_sample(folder, layout)
    assert folders.keys() == set(layouts.LAYOUT_NAMES)
    kept = {"ILSVRC2015_clsloc_validation_blacklist.txt"}
    for layout in folders.keys() - {"flat"}:
        names = {path.name for path in (folders[layout] / "devkit" / "data").iterdir()}
        assert names == kept | ({"map_clsloc.txt"} if layout == "folders" else set())
    return folders


@pytest.fixture
def copy_of(arranged, tmp_path):
    """Layout -> a copy of the sample in it, which a test may spoil."""
    return lambda layout: shutil.copytree(arranged[layout], tmp_path / "source")


@pytest.mark.parametrize("split", ["train", "val"])
def test_every_layout_gives_the_same_record_set(arranged, split, tmp_path):
    digests, names = set(), []
    for layout, source in arranged.items():
        manifest = convert(Request(source, split, tmp_path / layout, shards=2))
        digests.add((open_records(tmp_path / layout).sha256, manifest.rows_sha256,
                     manifest.source_sha256))
        names.append(manifest.layout)
    assert len(digests) == 1
    assert names == ["folders" if split == "train" and name == "flat" else name
                     for name in SAMPLE_LAYOUTS]


VAL_NAME = "ILSVRC2012_val_00000001.JPEG"
KAGGLE = "ILSVRC/Data/CLS-LOC"


@pytest.mark.parametrize("split, files, expected", [
    ("train", ["train/n1/a.jpg"], "folders"),
    ("train", ["n1/a.jpg", ".trash/a.jpg"], "folders"),
    ("train", ["train/n1/a.jpg", "train/val/a.jpg"], "folders"),
    ("train", ["n1/a.jpg", "val/a.jpg"], None),
    ("train", ["n1/a.jpg", "devkit/a.txt"], None),
    ("train", [".trash/a.jpg"], None),
    ("train", ["ILSVRC2012_img_val.tar"], None),
    ("train", ["ILSVRC2012_img_train.tar"], "archives"),
    ("train", [f"{KAGGLE}/train/n1/a.jpg"], "kaggle"),
    ("train", [f"{KAGGLE}/train/n1/a.jpg", "train/n1/a.jpg"], "kaggle"),
    ("train", [f"{KAGGLE}/val/{VAL_NAME}"], None),
    ("train", [f"train/{VAL_NAME}"], None),
    ("train", ["train/n90000001_5_n90000001.JPEG"], "flat"),
    ("train", ["train/n90000001_5_n90000002.JPEG"], None),
    ("train", ["train.tar"], "archives"),
    ("train", ["data/train-00000-of-00001.parquet"], "parquet"),
    ("val", ["data/train-00000-of-00001.parquet"], None),
    ("val", ["validation-00000-of-00001.parquet"], "parquet"),
    ("train", ["train_images_0.tar", "data/a.txt"], "flat-tars"),
    ("val", ["val_images.tar"], "flat-tars"),
    ("train", ["imagenet1k-train-0000.tar"], "webdataset"),
    ("train", ["imagenet1k-validation-00.tar"], None),
    ("val", ["imagenet1k-validation-00.tar"], "webdataset"),
    ("val", ["imagenet-val-000000.tar", "imagenet-train-000000.tar"], "webdataset"),
    ("val", [f"val/{VAL_NAME}"], "flat"),
    ("val", [VAL_NAME], "flat"),
    ("val", [f"val/{VAL_NAME}", "val/more/a.txt"], "flat"),
    ("val", [f"val/{VAL_NAME}.bak", f"val/x{VAL_NAME}"], None),
    ("val", [f"val/{VAL_NAME.lower()}"], "flat"),
    ("val", [f"{KAGGLE}/val/n1/{VAL_NAME}"], "kaggle"),
    ("val", [f"val/n1/{VAL_NAME}"], "folders"),
    ("val", ["ILSVRC2012_img_val.tar"], "archives"),
    ("val", [f"{KAGGLE}/val/{VAL_NAME}"], "kaggle"),
    ("val", [f"{KAGGLE}/val/{VAL_NAME}", f"val/{VAL_NAME}"], "kaggle"),
])
def test_a_layout_is_recognised_from_the_names_of_files(tmp_path, monkeypatch, split, files,
                                                        expected):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    chosen = []
    monkeypatch.setattr(layouts, "LAYOUTS", [
        replace(layout, scan=lambda *_, name=layout.name: chosen.append(name) or Scan([], []))
        for layout in layouts.LAYOUTS])
    with pytest.raises(RequestError, match=f"fits no layout of a {split} set"):
        list_source(tmp_path, split)
    assert chosen == ([expected] if expected else [])


@pytest.mark.parametrize("layout, words", [
    ("archives", "SOURCE/ILSVRC2012_img_SPLIT.tar"),
    ("kaggle", "SOURCE/ILSVRC/Data/CLS-LOC/SPLIT")])
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_layout_that_was_asked_for_and_is_missing_says_what_it_needs(tmp_path, split, layout,
                                                                       words):
    with pytest.raises(RequestError, match=f"--layout {layout}: the {split} set is not .*{words}"):
        list_source(tmp_path, split, layout=layout)


def own_images(folder, *places):
    for place in places:
        (folder / place).mkdir(parents=True)
        (folder / place / "a.jpg").write_bytes(b"x")


@pytest.mark.parametrize("places, split, words", [
    (["train/cat", "train/dog"], "val", "{own} has train/ but no val/: put some images of each "
     "class into {own}/val/CLASS/ (docs/own-data.md has the commands)"),
    (["train/cat", "train/dog", "val"], "val", "{own} has class folders in train/ but none in "
     "val/: put some images of each class into {own}/val/CLASS/ (docs/own-data.md has the "
     "commands)"),
    (["val/cat", "val/dog"], "train", "{own} has val/ but no train/: put the training images into "
     "{own}/train/CLASS/")])
def test_where_the_classes_are_ones_own_a_missing_split_is_all_that_the_error_names(
        tmp_path, places, split, words):
    own_images(tmp_path, *places)
    with pytest.raises(RequestError) as error:
        list_source(tmp_path, split, both_splits=True)
    assert str(error.value) == words.format(own=tmp_path)


@pytest.mark.parametrize("places", [
    ["train/n01440764", "train/n01443537"], ["train"], ["data/cat", "data/dog"]])
def test_a_missing_split_of_imagenet_may_lie_in_any_layout(tmp_path, places):
    """Or of images of which nothing tells the split."""
    own_images(tmp_path, *places)
    with pytest.raises(RequestError, match="fits no layout of a val set; known layouts: folders"):
        list_source(tmp_path, "val")


@pytest.mark.parametrize("folders, in_order", [
    (["0", "1", "2", "10", "11"], ["0", "1", "2", "10", "11"]),  # ImageNet-V2's
    (["0", "2", "10", "ant"], ["0", "10", "2", "ant"])])
def test_classes_that_are_all_numbers_are_in_their_order(tmp_path, folders, in_order):
    for name in folders:
        (tmp_path / "val" / name).mkdir(parents=True)
        (tmp_path / "val" / name / f"of-{name}.jpeg").write_bytes(b"x")
    listing = list_source(tmp_path, "val")
    assert listing.class_names == in_order
    assert {entry.file_name: in_order[entry.label] for entry in listing.entries} == {
        f"{name}/of-{name}.jpeg": name for name in folders}


def test_the_error_and_the_readmes_list_every_layout(tmp_path):
    with pytest.raises(RequestError) as error:
        list_source(tmp_path, "train")
    readmes = [path.read_text("utf-8") for path in Path(__file__).parents[3].glob("README*.md")]
    assert len(readmes) == 2
    for layout in layouts.LAYOUTS:
        assert f"{layout.name}: {layout.files}" in str(error.value)
        assert all(f"| `{layout.name}`" in readme for readme in readmes)


@pytest.mark.parametrize("change, words", [
    (lambda text: text.replace("ILSVRC2012_val_00000003,n", "ILSVRC2012_val_00000003,x"),
     r"csv, line \d+: 'x\d+' is not one of the 4 class names"),
    (lambda text: text.replace("\n", "\n\n", 1).replace("_00000003,", "_3,"),
     r"csv, line \d+: 'ILSVRC2012_val_3,n.*' is not the name of a validation image"),
    (lambda text: text + text.splitlines()[-1] + "\n", "csv, line 14: .* is already on line 13"),
    (lambda text: "\n".join(text.splitlines()[:-1]), "has no label"),
])
def test_a_wrong_kaggle_solution_is_refused(copy_of, change, words):
    source = copy_of("kaggle")
    path = source / "LOC_val_solution.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(RequestError, match=words):
        list_source(source, "val")


@pytest.mark.parametrize("line", ['"', "a class", '"n01440764 tench"'])
def test_a_line_of_kaggles_classes_that_is_no_class_shifts_no_label(copy_of, line):
    source = copy_of("kaggle")
    path = source / "LOC_synset_mapping.txt"
    path.write_text(path.read_text() + line)
    with pytest.raises(RequestError, match=r"mapping.txt, line 5: '.*' is not a wnid like"):
        list_source(source, "val")


def test_order_and_blank_lines_of_kaggles_classes_do_not_matter(arranged, copy_of):
    source = copy_of("kaggle")
    path = source / "LOC_synset_mapping.txt"
    rows = (source / "LOC_val_solution.csv").read_text().splitlines()[1:]
    assert rows != sorted(rows)
    path.write_text("\n\n".join(reversed(path.read_text().splitlines())) + "\n\n")
    assert list_source(source, "val").sha256() == list_source(arranged["flat"], "val").sha256()


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("name", ["{split}.tar", "{split}.tar.gz"])
def test_two_archives_of_a_split_are_refused(copy_of, split, name):
    source = copy_of("archives")
    official = source / f"ILSVRC2012_img_{split}.tar"
    shutil.copy(official, source / name.format(split=split))
    with pytest.raises(RequestError, match=f"the {split} set twice: {official.name} and "
                                           f"{name.format(split=split)}; move"):
        list_source(source, split)


def test_a_source_in_two_layouts_asks_which(sample, copy_of):
    source = copy_of("archives")
    shutil.copytree(sample / "train", source / "train")
    with pytest.raises(RequestError, match="several layouts .folders, archives.; .*--layout"):
        list_source(source, "train")
    assert list_source(source, "train", layout="archives").layout == "archives"
