"""Archives in gzip give the records of the same tars, and are unpacked once, for a conversion."""

import gzip
import io
import os
import re
import shutil
import tarfile
from dataclasses import replace

import pytest
from reading import blacklist_of

from common.cli import RequestError
from convert.conversion import convert, convert_range, finish
from convert.records.reader import open_records
from convert.request import Request
from convert.sample.arrange import arrange_sample
from convert.sources import packed
from convert.sources.listing import read_entry
from convert.sources.split_listing import list_source
from convert.verify import repair, verify
from convert.workspace import BUILDING


@pytest.fixture
def packed_sample(source):
    """Layout -> the sample in it with every tar in gzip."""
    def arrange(layout):
        arrange_sample(source, layout)
        for tar in source.glob("*.tar"):
            pack(tar)
        return source
    return arrange


def pack(tar):
    path = tar.with_name(f"{tar.name}.gz")
    path.write_bytes(gzip.compress(tar.read_bytes(), 1))
    tar.unlink()
    return path


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout, split", [
    ("flat-tars", "train"), ("flat-tars", "val"), ("archives", "train"), ("archives", "val"),
    ("webdataset", "train")])
def test_archives_in_gzip_give_the_record_set_of_tars(packed_sample, train, val, tmp_path, capsys,
                                                      layout, split):
    source = packed_sample(layout)
    before, listed = files_in(source), list_source(source, split)
    convert(Request(source, split, tmp_path / "out", shards=3))
    expected = open_records(train if split == "train" else val)
    made = open_records(tmp_path / "out")
    if split == "train":
        assert made.sha256 == expected.sha256
    assert made.manifest.source_sha256 == expected.manifest.source_sha256 == listed.sha256()
    assert made.manifest.layout == layout
    assert files_in(source) == before and not (tmp_path / "out" / BUILDING).exists()
    assert re.search(f"unpacked to {tmp_path / 'out' / BUILDING / 'source'}, about [0-9]+ kB until",
                     capsys.readouterr().err)


def test_listing_writes_nothing_and_keeps_little_in_memory(packed_sample, monkeypatch):
    source = packed_sample("archives")
    (source / "ILSVRC2012_img_val.tar.gz").unlink()
    before, plain = files_in(source), list_source(source, "train")
    monkeypatch.setattr(packed, "BLOCK_BYTES", 700)
    monkeypatch.setattr(packed, "WINDOW_BYTES", packed.WINDOW_BYTES // 3)
    assert list_source(source, "train") == plain
    assert files_in(source) == before


@pytest.mark.parametrize("damage", [
    lambda data: data[:-8], lambda data: data[:-1], lambda data: data[:len(data) // 2],
    lambda data: data[:-8] + b"\0\0\0\0" + data[-4:], lambda data: data + b"more",
    lambda data: data[:len(data) // 2] + b"\xff" * 99 + data[len(data) // 2 + 99:]])
@pytest.mark.parametrize("keep", [True, False])
def test_what_is_no_whole_gzip_file_is_refused(packed_sample, tmp_path, damage, keep):
    archive = packed_sample("flat-tars") / "train_images_3.tar.gz"
    archive.write_bytes(damage(archive.read_bytes()))
    keep = tmp_path / "keep" if keep else None
    with pytest.raises(RequestError, match=f"^{archive} is not a whole (gzip file|tar archive) .*"
                                           "fetch it again"):
        list_source(archive.parent, "train", keep=keep)
    if keep:
        assert files_in(keep) == {"lock", *(f"train_images_{part}.tar" for part in range(3))}


def test_a_conversion_that_resumes_uses_what_it_unpacked(packed_sample, tmp_path, monkeypatch):
    source, keep = packed_sample("flat-tars"), tmp_path / "keep"
    listing = list_source(source, "train", keep=keep)
    (keep / ".train_images_1.tar.123.tmp").write_bytes(b"left by a kill")
    unpacked = []
    real = packed._unpack
    monkeypatch.setattr(packed, "_unpack", lambda archive, *rest: (
        unpacked.append(archive.name), real(archive, *rest)))
    assert list_source(source, "train", keep=keep) == listing
    assert not unpacked and not list(keep.glob(".*"))
    archive = source / "train_images_2.tar.gz"
    os.utime(archive, (1, 1))  # another one
    assert list_source(source, "train", keep=keep) == listing
    assert unpacked == ["train_images_2.tar.gz"]


def test_a_disk_without_room_is_refused_before_anything_is_unpacked(packed_sample, tmp_path,
                                                                    monkeypatch):
    source = packed_sample("flat-tars")
    sizes = sum(len(gzip.decompress(path.read_bytes())) for path in source.glob("train_*"))
    usage = shutil.disk_usage(tmp_path)
    for free, enough in ((2 * sizes - 1, False), (2 * sizes, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
        if enough:
            list_source(source, "train", keep=tmp_path / "keep")
        else:
            with pytest.raises(RequestError, match="keep: 5 archives .*_0.tar.gz "
                                                   ".* has [0-9]+ kB free"):
                list_source(source, "train", keep=tmp_path / "keep")
            assert not (tmp_path / "keep").exists()


@pytest.mark.parametrize("packed_bytes, last, expected", [
    (1000, 1200, 1200), (1_000_000, 7, 1_000_000),
    (5_000_000_000, 800_000_000, 2**32 + 800_000_000),
    (9_000_000_000, 4_000_000_000, 2**32 + 4_000_000_000 + 2**32)])
def test_the_room_needed_is_told_from_the_trailer(tmp_path, packed_bytes, last, expected):
    with open(tmp_path / "a.tar.gz", "wb") as file:
        file.seek(packed_bytes - 4)  # a sparse file
        file.write(last.to_bytes(4, "little"))
    assert packed._unpacked_bytes(tmp_path / "a.tar.gz") == expected


def test_what_is_unpacked_already_is_used(packed_sample, tmp_path):
    source = packed_sample("flat-tars")
    listing = list_source(source, "train", keep=tmp_path / "keep")
    plain = tmp_path / "keep" / "train_images_2.tar"
    shutil.copy(plain, source / "train_images_2.tar.gz")  # a browser unpacked it
    shutil.copy(tmp_path / "keep" / "train_images_3.tar", source)  # next to that in gzip
    (source / "train_images_3.tar.gz").write_bytes(b"")
    again = list_source(source, "train", keep=tmp_path / "other")
    assert again.ignored == ["train_images_3.tar.gz"]
    assert again.sha256() == listing.sha256()
    assert files_in(tmp_path / "other") == {"lock", *(f"train_images_{part}.tar"
                                                      for part in (0, 1, 4))}


def test_an_archive_in_gzip_with_another_name_is_refused_with_the_right_one(packed_sample):
    source = packed_sample("archives")
    tar = source / "ILSVRC2012_img_val.tar"
    (source / "ILSVRC2012_img_val.tar.gz").rename(tar)
    with pytest.raises(RequestError, match=f"{tar} is in gzip.*; rename it to {tar.name}.gz"):
        list_source(source, "val")


@pytest.mark.parametrize("layout, split", [
    ("archives", "train"), ("archives", "val"), ("webdataset", "train")])
def test_a_file_in_gzip_next_to_its_tar_is_listed_as_ignored(source, layout, split):
    arrange_sample(source, layout)
    tar = min(source.glob(f"*{split}*.tar"))
    tar.with_name(f"{tar.name}.gz").write_bytes(b"\x1f\x8b other")
    assert list_source(source, split).ignored == [f"{tar.name}.gz"]


def test_records_of_archives_in_gzip_can_be_repaired(packed_sample, tmp_path):
    source = packed_sample("flat-tars")
    request = Request(source, "train", tmp_path / "out", shards=3)
    convert(request)
    shard = tmp_path / "out" / "train-00001-of-00003.mindrecord"
    shard.write_bytes(b"x")
    assert repair(replace(request, shards=None)) == [shard.name]
    verify(tmp_path / "out", True, 1)
    assert not (tmp_path / "out" / BUILDING).exists()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_finished_conversion_is_known_without_reading_its_archives(packed_sample, tmp_path,
                                                                     monkeypatch, capsys, split):
    source = packed_sample("flat-tars")
    listed = blacklist_of(source) if split == "val" else None
    request = Request(source, split, tmp_path / "out", blacklist=listed)
    manifest, read, real = convert(request), [], packed._blocks
    monkeypatch.setattr(packed, "_blocks", lambda archive: (read.append(archive), real(archive))[1])
    capsys.readouterr()
    assert convert(request) == finish(request) == manifest
    assert capsys.readouterr().err == 2 * f"{request.out} is finished already\n"
    (tmp_path / "list").write_text("2\n")
    for change in ({"seed": 7}, {"shards": 2}, {"short_side": 9}, {"blacklist": None},
                   {"blacklist": tmp_path / "list"})[:5 if listed else 3]:
        with pytest.raises(RequestError, match=f"another record set .*{[*change][0]}[_a-z0-9]*: "):
            convert(replace(request, **change))
    with pytest.raises(RequestError, match="holds a finished record set already"):
        convert_range(replace(request, shards=1), 0, 0)
    assert not read
    archive = min(source.glob(f"{split}_*"))
    os.utime(archive, (1, 1))  # another one: it has to be read
    assert convert(request) == manifest and archive in read


def test_a_file_in_gzip_next_to_class_folders_does_not_stand_for_the_images(source, tmp_path):
    (source / "notes.gz").write_bytes(gzip.compress(b"no archive"))
    request = Request(source, "train", tmp_path / "out")
    assert convert(request).source_files == ""
    min(source.glob("train/*/*")).unlink()
    with pytest.raises(RequestError, match="of other images .images: was 20, now 19"):
        convert(request)


def test_labels_that_are_not_in_the_archives_are_read_again(packed_sample, tmp_path):
    source = packed_sample("archives")
    request = Request(source, "val", tmp_path / "out")
    convert(request)
    with tarfile.open(source / "ILSVRC2012_img_val.tar.gz") as tar:
        names = sorted(tar.getnames())
    (source / "list.txt").write_text("".join(f"{name} {k % 4}\n" for k, name in enumerate(names)))
    (source / "names.txt").write_text("\n".join(f"n9{k:07d}" for k in range(4)))
    with pytest.raises(RequestError, match="of other images .source_sha256: was"):
        convert(replace(request, ground_truth=source / "list.txt",
                        class_names=source / "names.txt"))


def test_a_header_longer_than_what_is_kept_of_an_archive_is_refused(packed_sample, monkeypatch):
    source = packed_sample("flat-tars")
    archive = source / "train_images_3.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo("n90000001_1_n90000001.JPEG")
        member.pax_headers = {"comment": 30_000 * "x"}
        tar.addfile(member)
    pack(archive)
    monkeypatch.setattr(packed, "BLOCK_BYTES", 700)
    monkeypatch.setattr(packed, "WINDOW_BYTES", 20_000)
    monkeypatch.setattr("convert.sources.archives.MAX_RECORD_BYTES", 10_240)
    with pytest.raises(RequestError, match="3.tar.gz is not a whole tar archive .a header is long"):
        list_source(source, "train")


def test_lost_blocks_are_named_by_the_source_not_by_what_was_unpacked(packed_sample, tmp_path):
    source = packed_sample("flat-tars")
    archive = source / "val_images.tar"
    with tarfile.open(archive, "w") as tar:
        for number, size in ((1, 1500), (2, 500), (3, 500)):
            member = tarfile.TarInfo(f"ILSVRC2012_val_0000000{number}_n9000000{number}.JPEG")
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(size)))
    data = archive.read_bytes()
    archive.write_bytes(data[:1024] + data[2048:])  # the first continues over the second
    pack(archive)
    listing = list_source(source, "val", keep=tmp_path / "keep")
    with pytest.raises(RequestError, match=f"^{archive}: '.*_00000001.JPEG' continues over the"):
        read_entry(listing.root, listing.entries[0])


def test_another_folder_is_refused_before_anything_is_unpacked(packed_sample, tmp_path):
    source, out = packed_sample("flat-tars"), tmp_path / "out"
    out.mkdir()
    (out / "theirs").touch()
    with pytest.raises(RequestError, match="out is not an empty folder and not a conversion"):
        convert(Request(source, "train", out))
    assert files_in(out) == {"theirs"}


def test_a_webdataset_of_keys_without_classes_has_the_names_of_its_tars(tmp_path):
    for number in range(2):
        with tarfile.open(tmp_path / f"imagenet-train-{number:06d}.tar.gz", "w:gz") as tar:
            for name, data in (("0.jpg", b"x"), ("0.cls", b"%d" % number)):
                (tmp_path / "member").write_bytes(data)
                tar.add(tmp_path / "member", name)
    (tmp_path / "names.txt").write_text("ant\nbee\n")
    listing = list_source(tmp_path, "train", class_names=tmp_path / "names.txt")
    assert [entry.file_name for entry in listing.entries] == [
        "ant/imagenet-train-000000-0.jpg", "bee/imagenet-train-000001-0.jpg"]
