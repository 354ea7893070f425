"""The same images give the same records, digest for digest, however they lie on the disk."""

import io
import os
import shutil
import tarfile

import pytest

from common.cli import RequestError
from convert.conversion import convert
from convert.records.reader import open_records
from convert.request import Request
from convert.sample.arrange import SAMPLE_LAYOUTS, arrange_sample
from convert.sources.archives import scan_val_archive
from convert.sources.layouts import list_source
from convert.sources.listing import read_entry


@pytest.fixture(scope="module")
def arranged(sample, tmp_path_factory):
    """The sample in every layout: layout -> folder."""
    top = tmp_path_factory.mktemp("layouts")
    folders = {layout: shutil.copytree(sample, top / layout) for layout in SAMPLE_LAYOUTS}
    for layout, folder in folders.items():
        arrange_sample(folder, layout)
    return folders


@pytest.mark.parametrize("split", ["train", "val"])
def test_every_layout_gives_the_same_record_set(arranged, split, tmp_path):
    digests, layouts = set(), []
    for layout, source in arranged.items():
        manifest = convert(Request(source, split, tmp_path / layout, shards=2))
        digests.add((open_records(tmp_path / layout).sha256, manifest.rows_sha256,
                     manifest.source_sha256))
        layouts.append(manifest.layout)
    assert len(digests) == 1
    assert layouts == ["folders" if split == "train" and name == "flat" else name
                       for name in SAMPLE_LAYOUTS]


def tar_with(path, members):
    with tarfile.open(path, "w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def link(name, kind):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member


@pytest.mark.parametrize("member, words", [
    (tarfile.TarInfo("/ILSVRC2012_val_00000001.JPEG"), "points outside"),
    (tarfile.TarInfo("a/../../ILSVRC2012_val_00000001.JPEG"), "points outside"),
    (link("ILSVRC2012_val_00000001.JPEG", tarfile.SYMTYPE), "not a regular file"),
    (link("ILSVRC2012_val_00000001.JPEG", tarfile.LNKTYPE), "not a regular file"),
    (link("ILSVRC2012_val_00000001.JPEG", tarfile.FIFOTYPE), "not a regular file"),
])
def test_unsafe_archive_members_are_refused_by_name(tmp_path, member, words):
    tar_with(tmp_path / "ILSVRC2012_img_val.tar", [(member, b"")])
    with pytest.raises(RequestError, match=words) as error:
        list_source(tmp_path, "val")
    assert member.name.lstrip("/") in str(error.value)


def inner_tar(name, *images):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for image in images:
            tar.addfile(tarfile.TarInfo(image))
    return tarfile.TarInfo(name), data.getvalue()


@pytest.mark.parametrize("members, words", [
    ([inner_tar("n01440764.JPEG")], "'n01440764.JPEG' in .* is not a class tar"),
    ([inner_tar("n01440764.tar", "a.JPEG")] * 2, "'n01440764.tar' appears twice"),
    ([inner_tar("n01440764.tar", "a.txt")], "'n01440764.tar' in .* contains no images"),
])
def test_a_tar_that_is_not_the_training_archive_is_refused(tmp_path, members, words):
    tar_with(tmp_path / "ILSVRC2012_img_train.tar", members)
    with pytest.raises(RequestError, match=words):
        list_source(tmp_path, "train")


@pytest.mark.parametrize("name, split", [("ILSVRC2012_img_train.tar", "train"),
                                         ("ILSVRC2012_img_val.tar", "val")])
def test_a_truncated_archive_is_refused(arranged, tmp_path, name, split):
    source = shutil.copytree(arranged["archives"], tmp_path / "source")
    data = (source / name).read_bytes()
    (source / name).write_bytes(data[:int(len(data) * 0.6)])
    with pytest.raises(RequestError, match=f"{name} is not a whole tar archive"):
        list_source(source, split)


def test_a_damaged_devkit_is_refused(arranged, tmp_path):
    source = shutil.copytree(arranged["archives"], tmp_path / "source")
    devkit = source / "ILSVRC2012_devkit_t12.tar.gz"
    devkit.write_bytes(devkit.read_bytes()[:300])
    with pytest.raises(RequestError, match="devkit_t12.tar.gz cannot be read"):
        list_source(source, "val")


def test_an_archive_that_shrinks_is_noticed(arranged, tmp_path):
    source = shutil.copytree(arranged["archives"], tmp_path / "source")
    listing = list_source(source, "val")
    archive = source / "ILSVRC2012_img_val.tar"
    archive.write_bytes(archive.read_bytes()[:listing.entries[-1].offset + 10])
    with pytest.raises(RequestError, match="changed while it was converted"):
        read_entry(source, listing.entries[-1])


@pytest.mark.parametrize("change, words", [
    (lambda text: text.replace("ILSVRC2012_val_00000003,n", "ILSVRC2012_val_00000003,x"),
     "ILSVRC2012_val_00000003, x.* is not a new validation image"),
    (lambda text: text + text.splitlines()[-1] + "\n", "line 14: .* is not a new validation"),
    (lambda text: "\n".join(text.splitlines()[:-1]), "has no label"),
])
def test_a_wrong_kaggle_solution_is_refused(arranged, tmp_path, change, words):
    source = shutil.copytree(arranged["kaggle"], tmp_path / "source")
    path = source / "LOC_val_solution.csv"
    path.write_text(change(path.read_text()))
    with pytest.raises(RequestError, match=words):
        list_source(source, "val")


def test_a_source_in_two_layouts_asks_which(sample, arranged, tmp_path):
    source = shutil.copytree(arranged["archives"], tmp_path / "source")
    shutil.copytree(sample / "train", source / "train")
    with pytest.raises(RequestError, match="several layouts .folders, archives.; .*--layout"):
        list_source(source, "train")
    assert list_source(source, "train", layout="archives").layout == "archives"


def test_an_image_that_the_archive_cuts_short_is_named(tmp_path):
    """The header is whole, the data is not: tarfile alone would not notice while listing."""
    with tarfile.open(tmp_path / "ILSVRC2012_img_val.tar", "w") as tar:
        member = tarfile.TarInfo("ILSVRC2012_val_00000001.JPEG")
        member.size = 5000
        tar.addfile(member, io.BytesIO(bytes(5000)))
    os.truncate(tmp_path / "ILSVRC2012_img_val.tar", 512 + 4999)
    with pytest.raises(RequestError, match="ILSVRC2012_val_00000001.JPEG' continues past the end"):
        scan_val_archive(tmp_path / "ILSVRC2012_img_val.tar")
