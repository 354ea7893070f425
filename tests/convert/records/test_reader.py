"""Reading a record set: its rows, and damage, which is one error that names the folder."""

import json
import os
import re
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from common.cli import RequestError
from common.host import open_file_limit, open_files
from convert.records.manifest import MANIFEST_NAME, read_manifest, record_sets_in
from convert.records.reader import open_records
from convert.sources.ilsvrc import IlsvrcCheck, IlsvrcNumbers


def test_rows_are_those_that_were_stored(val):
    records = open_records(val)
    assert records.stored_rows() == records.images == 12
    assert [int(row["image_id"]) for row in records.rows(["image_id"])] == list(range(1, 13))
    assert {*next(iter(records.rows(["label", "image_id"])))} == {"label", "image_id"}
    files = sorted(val.glob("*.mindrecord"))
    assert records.files == [str(path) for path in files] and records.split == "val"
    assert records.bytes == sum(path.stat().st_size for path in files)
    assert records.image_bytes == sum(row["image"].nbytes for row in records.rows(["image"]))


@pytest.mark.parametrize("split, check, numbers, named", [
    ("val", True, True, True), ("val", True, False, True), ("val", False, True, True),
    ("val", False, False, False), ("train", True, True, False)])
def test_a_blacklist_is_for_images_with_ilsvrcs_names(val, split, check, numbers, named):
    manifest = replace(read_manifest(val), split=split,
                       ilsvrc=IlsvrcCheck(True, True, None) if check else None,
                       ilsvrc_numbers=IlsvrcNumbers(1, 2, {}) if numbers else None)
    assert manifest.has_ilsvrc_names == named


def zero_first_half(folder):
    path = folder / "val-00000-of-00003.mindrecord"
    with open(path, "r+b") as file:
        file.write(bytes(path.stat().st_size // 2))


@pytest.mark.parametrize("damage", [zero_first_half, shutil.rmtree])
def test_damage_that_opening_does_not_notice_is_named(records, damage):
    opened = open_records(records)
    damage(records)
    for read in (opened.stored_rows, lambda: list(opened.rows(["image_id"]))):
        with pytest.raises(RequestError, match=f"{records} cannot be read .*convert verify"):
            read()


@pytest.fixture
def set_limit():
    """Set how many files this process may open beyond those that it has open now."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda more: resource.setrlimit(resource.RLIMIT_NOFILE,
                                          (open_files() + more, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_readers_are_as_many_as_the_limit_on_open_files_allows(val, set_limit):
    """Three shards: a file each for the data set, and for each reader; 64 files are spare."""
    records = open_records(val)
    assert (records.readers(100), records.readers(3)) == (8, 3)
    set_limit(64 + 3 * 5)
    assert records.readers(100) == 4
    set_limit(64 + 3 * 2)
    assert records.readers(100) == 1
    assert len(list(records.rows(["image_id"]))) == records.stored_rows() == 12
    set_limit(64 + 3 * 2 - 1)
    with pytest.raises(RequestError, match=rf"reading {val} takes at least \d+ open files .*3 "
                                           rf"shards.* may have {open_file_limit()}: .*ulimit -n"):
        list(records.rows(["image_id"]))


@pytest.mark.parametrize("readers", [1, 2])
def test_mindspore_opens_as_many_files_as_are_counted(val, tmp_path, readers):
    import mindspore.dataset as ds
    copy = tmp_path / "records"  # of which no other test can have a file open
    shutil.copytree(val, copy)
    iterator = ds.MindDataset(open_records(copy).files, num_parallel_workers=readers
                              ).create_tuple_iterator(num_epochs=1000)  # not read to its end
    next(iterator)
    links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert sum(link.startswith(str(copy)) for link in links) == 3 * (readers + 1)


def test_a_limit_that_stops_a_reading_is_named_not_damage(val, set_limit):
    records = open_records(val)
    with pytest.raises(RequestError, match="open files.*ulimit -n"), records.naming_damage():
        set_limit(5)
        raise RuntimeError("[Internal ERROR] Error raised in GetHeadersOneTask function.")


def test_numbers_sorted_as_text_by_older_versions_are_read(records):
    path = records / MANIFEST_NAME
    fields = json.loads(path.read_text())
    names = sorted(map(str, range(9, 9 + len(fields["classes"]))))
    assert names[0] == "10"
    for item, name in zip(fields["classes"], names):
        item["name"] = name
    path.write_text(json.dumps(fields))
    assert [item.name for item in read_manifest(records).classes] == names


@pytest.mark.parametrize("change, words", [
    (lambda fields: fields.update(images=11), "11 images in all, 12 in its shards, 12 in its"),
    (lambda fields: fields["shards"].pop(), "12 images in all, 8 in its shards"),
    (lambda fields: fields["classes"].reverse(), "its classes are not sorted"),
])
def test_a_manifest_that_contradicts_itself_is_not_believed(records, change, words):
    path = records / MANIFEST_NAME
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))
    with pytest.raises(RequestError, match=f"contradicts itself .{re.escape(words)}.*remove .*"
                                           "convert again"):
        read_manifest(records)


@pytest.mark.parametrize("place, value", [
    (place, value)
    for place in (("seed",), ("images",), ("classes", 0, "name"), ("shards", 0, "bytes"),
                  ("repaired",), ("options",), ("split",))
    for value in (None, "x", [], {"a": 1})
    if (place[-1], value) not in (("name", "x"), ("repaired", []), ("options", {"a": 1}),
                                  ("split", "x"))])  # these are of their kind
def test_a_manifest_with_a_value_of_another_kind_is_one_error(val, tmp_path, place, value):
    fields = json.loads((val / MANIFEST_NAME).read_text())
    inner = fields
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(fields))
    with pytest.raises(RequestError, match=f"{tmp_path / MANIFEST_NAME} is damaged|contradicts"):
        read_manifest(tmp_path)


def test_a_parent_with_an_unfinished_set_names_it(val, tmp_path):
    shutil.copytree(val, tmp_path / "val")
    assert record_sets_in(tmp_path) == [tmp_path / "val"]
    (tmp_path / "train" / ".building").mkdir(parents=True)
    assert record_sets_in(tmp_path) == [tmp_path / "train", tmp_path / "val"]
    with pytest.raises(RequestError, match=f"{tmp_path / 'train'} is not a record set"):
        open_records(record_sets_in(tmp_path)[0])
