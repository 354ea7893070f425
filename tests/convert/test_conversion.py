"""Whole conversions: what is stored, that it is reproducible, and that nothing half-done stands."""

import contextlib
import errno
import os
import shutil
import signal
import threading
import time

import pytest
from PIL import Image
from reading import blacklist_of, digests, fail_to_read, read_rows

from common.cli import RequestError
from convert import shards as shards_module
from convert.conversion import convert, convert_range, finish
from convert.conversion_plan import plan_conversion
from convert.mindrecord.writer import RecordWriter
from convert.records.reader import open_records
from convert.request import Request
from convert.sample.arrange import arrange_sample
from convert.shards import build_shard
from convert.verify import verify
from convert.workspace import BUILDING, Workspace


def readers_can_take_as_it_is(path):
    with Image.open(path) as image:
        return image.format == "JPEG" and image.mode in ("RGB", "L")


def test_records_hold_the_source_files_byte_for_byte(sample, train):
    rows = read_rows(train)
    stored = {row["file_name"]: row["image"] for row in rows}
    paths = {f"{p.parent.name}/{p.name}": p for p in sample.glob("train/*/*")}
    assert len(rows) == len(paths) and stored.keys() == paths.keys()
    repaired = {note.file_name for note in open_records(train).manifest.repaired}
    assert repaired == {n for n, p in paths.items() if not readers_can_take_as_it_is(p)} != set()
    for name in paths.keys() - repaired:
        assert stored[name] == paths[name].read_bytes()
    names = open_records(train).class_names
    assert names == sorted(names)
    assert all(names[row["label"]] == row["file_name"].split("/")[0] for row in rows)


def test_training_is_shuffled_by_its_seed_and_validation_is_not(sample, train, val, tmp_path):
    convert(Request(sample, "train", tmp_path / "b", shards=3, seed=1))
    order, other = ([int(row["image_id"]) for row in read_rows(folder)]
                    for folder in (train, tmp_path / "b"))
    assert sorted(order) == sorted(other) == list(range(1, 21))
    assert order != sorted(order) and other not in (order, sorted(order))
    assert [int(row["image_id"]) for row in read_rows(val)] == list(range(1, 13))


def test_blacklisted_images_are_marked(sample, val):
    listed = {int(line) for line in blacklist_of(sample).read_text().split()}
    marked = {int(row["image_id"]) for row in read_rows(val) if row["blacklisted"]}
    assert marked == listed != set()
    assert open_records(val).manifest.blacklist.images == len(listed)


def test_a_dead_worker_ends_it_with_an_error_and_loses_nothing(sample, train, tmp_path):
    def kill_the_first_to_build():
        while not (unfinished := list((tmp_path / "b").glob(f"{BUILDING}/0*.tmp"))):
            time.sleep(0.001)
        os.kill(int(unfinished[0].name.split(".")[-2]), signal.SIGKILL)
    killer = threading.Thread(target=kill_the_first_to_build, daemon=True)
    killer.start()
    with pytest.raises(RequestError, match="a worker that wrote to .*/b was killed"):
        convert(Request(sample, "train", tmp_path / "b", shards=3, workers=2))
    killer.join()
    convert(Request(sample, "train", tmp_path / "b", shards=3, workers=2))
    assert digests(tmp_path / "b") == digests(train), "two workers give the bytes that one gives"


def test_asked_again_it_does_nothing_unless_a_file_was_lost(sample, train, tmp_path):
    moved = shutil.copytree(train, tmp_path / "b")
    request = Request(sample, "train", moved, shards=3)
    before = {path: path.stat().st_mtime_ns for path in moved.iterdir()}
    convert(request)
    finish(request)
    assert {path: path.stat().st_mtime_ns for path in moved.iterdir()} == before
    assert len(read_rows(moved)) == open_records(moved).images
    (moved / "train-00001-of-00003.mindrecord").unlink()
    with pytest.raises(RequestError, match="00001-of-00003.mindrecord is missing.*--repair SOURCE"):
        convert(request)


def test_it_goes_on_from_the_finished_shards(sample, train, tmp_path, monkeypatch):
    built = []
    build = shards_module.build_shard

    def fail_at_the_last(plan, workspace, keep_bad):
        built.append(plan.index)
        if built == [0, 1, 2]:
            raise KeyboardInterrupt
        return build(plan, workspace, keep_bad)
    monkeypatch.setattr(shards_module, "build_shard", fail_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        convert(Request(sample, "train", tmp_path / "b", shards=3))
    assert os.listdir(tmp_path / "b") == [BUILDING]
    convert(Request(sample, "train", tmp_path / "b", shards=3))
    assert built == [0, 1, 2, 2]
    assert digests(tmp_path / "b") == digests(train)


@pytest.mark.parametrize("name, spoil", [
    ("train-00001-of-00003.mindrecord", lambda data: data[:-1]),
    ("train-00001-of-00003.mindrecord.db", lambda data: data[:-1]),
    ("report.json", lambda data: data.replace(b"image_bytes", b"picture_bytes")),
    ("report.json", lambda data: b""),
])
def test_a_spoilt_finished_shard_is_built_again(sample, train, tmp_path, name, spoil):
    request = Request(sample, "train", tmp_path / "b", shards=3)
    convert_range(request, 0, 1)
    path = tmp_path / "b" / BUILDING / "00001" / name
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(RequestError, match=r"2 of 3 shards not finished \(1, 2\)"):
        finish(request)
    convert(request)
    assert digests(tmp_path / "b") == digests(train)


def test_an_output_that_holds_something_else_is_refused(sample, val, tmp_path):
    before = digests(val)
    with pytest.raises(RequestError, match="another record set, .*split: was val, now train"):
        convert(Request(sample, "train", val, shards=3))
    assert digests(val) == before
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(RequestError, match="not an empty folder"):
        convert(Request(sample, "train", tmp_path))


def test_a_training_image_in_the_folder_of_another_class_is_pointed_out(source, tmp_path, capfd):
    convert(Request(source, "train", tmp_path / "right", shards=1))
    assert "warning" not in capfd.readouterr().err
    first, second, *_ = sorted((source / "train").iterdir())
    image = min(first.iterdir())
    image.rename(second / image.name)
    convert(Request(source, "train", tmp_path / "wrong", shards=1))
    assert (f"warning: {source / 'train'} has 1 image with the label of another class than the "
            f"name has ({second.name}/{image.name})") in capfd.readouterr().err


def test_bad_images_stop_it_with_nothing_under_a_final_name(source, tmp_path, capfd):
    request = Request(source, "train", tmp_path / "b", shards=3)
    name = plan_conversion(request).shards[1].entries[0].file_name
    victim = source / "train" / name
    victim.write_bytes(victim.read_bytes()[:500])
    for start in (convert, lambda request: convert_range(request, 0, 2)):
        with pytest.raises(RequestError, match=f"1 bad image found so far .*{name}.*--on-bad sk"):
            start(request)
        assert f"bad: {name}: undecodable" in capfd.readouterr().err
    assert os.listdir(tmp_path / "b") == [BUILDING]
    assert [path.name for path in (tmp_path / "b" / BUILDING).glob("0*")] == ["00000"]

    manifest = convert(Request(source, "train", tmp_path / "b", shards=3, on_bad="skip"))
    assert [note.file_name for note in manifest.rejected] == [name]
    assert manifest.images == 19 == len(read_rows(tmp_path / "b"))
    assert {item.name: item.images for item in manifest.classes}[victim.parent.name] == 4


@pytest.mark.parametrize("on_bad", ["fail", "skip"])
@pytest.mark.parametrize("repaired", [lambda whole: whole, lambda whole: whole + bytes(9)])
def test_only_shards_with_bad_images_are_built_again_when_those_are_repaired(
        source, tmp_path, capfd, on_bad, repaired):
    """With the size that the damaged image had, as a download that was filled with zeros, or with
    another one."""
    request = Request(source, "train", tmp_path / "b", shards=3, on_bad=on_bad)
    victim = source / "train" / plan_conversion(request).shards[1].entries[0].file_name
    whole = victim.read_bytes()
    victim.write_bytes(whole[:300] + bytes(len(whole) - 300))
    with contextlib.suppress(RequestError):
        convert_range(request, 0, 1)
    with contextlib.suppress(RequestError):
        convert_range(request, 2, 2)
    finished = tmp_path / "b" / BUILDING
    before = {path.name: path.stat().st_mtime_ns for path in finished.glob("0*")}
    assert before.keys() == {"00000", "00002"} | ({"00001"} if on_bad == "skip" else set())

    victim.write_bytes(repaired(whole))
    convert_range(request, 0, 2)
    again = f"1 of {len(before)} finished shards are built again"
    assert (again in capfd.readouterr().err) == (on_bad == "skip")
    kept = {path.name for path in finished.glob("0*")
            if before.get(path.name) == path.stat().st_mtime_ns}
    assert kept == {"00000", "00002"}
    assert finish(request).rejected == []
    convert(Request(source, "train", tmp_path / "whole", shards=3))
    assert digests(tmp_path / "b") == digests(tmp_path / "whole")


def test_where_a_bad_image_is_removed_shards_of_other_ids_are_built_again(source, tmp_path):
    request = Request(source, "train", tmp_path / "b", shards=3)
    victim = source / "train" / plan_conversion(request).shards[1].entries[0].file_name
    convert_range(request, 0, 2)
    victim.unlink()
    with pytest.raises(RequestError, match=r"3 of 3 shards not finished"):
        finish(request)
    convert(request)
    convert(Request(source, "train", tmp_path / "whole", shards=3))
    assert digests(tmp_path / "b") == digests(tmp_path / "whole")
    another = Request(source, "train", tmp_path / "c", shards=3)
    convert_range(another, 0, 0)
    victim.parent.rename(victim.parent.with_name("n00000001"))
    with pytest.raises(RequestError, match="conversion of another request .classes_sha256"):
        convert(another)


def test_a_class_without_a_good_image_is_named(source, tmp_path, say):
    emptied = sorted((source / "train").iterdir())[1]
    for image in emptied.iterdir():
        image.write_bytes(b"")
    printed = say("run", "--source", source, "--split", "train", "--out", tmp_path / "b",
                  "--on-bad", "skip").out
    assert f"left without images, since all of theirs were rejected: 1 of 4 classes: " \
        f"{emptied.name}\n" in printed


@pytest.mark.parametrize("cause", [errno.EIO, errno.ESTALE, errno.ENXIO])
@pytest.mark.parametrize("layout", ["folders", "archives"])
def test_a_disk_that_fails_is_named_and_no_bad_image(source, tmp_path, fail, monkeypatch, cause,
                                                     layout):
    arrange_sample(source, layout)
    victim = sorted(source.glob("ILSVRC2012_img_train.tar" if layout == "archives"
                                else "train/*/*"))[-1]
    fail_to_read(monkeypatch, victim, cause)
    errors = fail(2, "run", "--source", source, "--split", "train", "--out", tmp_path / "b",
                  "--on-bad", "skip")
    assert f"{victim} could not be read ({os.strerror(cause)})" in errors


def test_a_row_that_the_writer_drops_is_noticed(sample, tmp_path, monkeypatch):
    append = RecordWriter.append
    monkeypatch.setattr(RecordWriter, "append",
                        lambda self, row: row["label"] and append(self, row))
    with pytest.raises(RuntimeError, match="rows; of [67] images 0 were to be left out"):
        convert(Request(sample, "train", tmp_path / "b", shards=3))


def test_one_large_image_makes_no_shard_unlike_the_others(source, tmp_path):
    """MindSpore opens no files together whose pages differ in size."""
    large = sorted(source.glob("train/*/*"))[-1]
    large.write_bytes(large.read_bytes() + bytes(5 << 20) + b"\xff\xd9")
    convert(Request(source, "train", tmp_path / "b", shards=2))
    records = open_records(tmp_path / "b")
    assert records.stored_rows() == 20 == len(list(records.rows(["label"])))


def test_a_shard_without_a_good_image_is_read_with_the_others(source, tmp_path):
    for image in sorted(source.glob("train/*/*"))[1:]:
        image.write_bytes(image.read_bytes()[:300])
    manifest = convert(Request(source, "train", tmp_path / "b", shards=4, on_bad="skip"))
    assert [shard.images for shard in manifest.shards].count(0) == 3
    records = open_records(tmp_path / "b")
    assert records.stored_rows() == 1 == len(list(records.rows(["label"])))
    assert verify(tmp_path / "b").images == 1


@pytest.mark.parametrize("umask", [0o002, 0o077])
def test_files_are_of_the_mode_that_umask_says(sample, tmp_path, umask):
    before = os.umask(umask)
    try:
        convert(Request(sample, "train", tmp_path / "b", shards=1))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "b").iterdir()} == {0o666 & ~umask}


def test_an_error_at_making_durable_names_the_file(sample, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / BUILDING).mkdir()
    plan = plan_conversion(Request(sample, "train", tmp_path / "b", shards=2))
    with pytest.raises(RequestError, match="train-00000-of-00002.mindrecord could not be written"):
        build_shard(plan.shards[0], Workspace(tmp_path), keep_bad=False)


@pytest.mark.parametrize("options, words", [
    ({"blacklist": "list.txt"}, "belongs to the validation set"),
    ({"split": "val", "blacklist": "list.txt"}, "line 1: image id 13 is outside 1 to 12"),
    ({"shards": 21}, "--shards 21: 20 images can be cut into 1 to 20"),
    ({"shards": 0}, "--shards 0: give a value from 1"),
    ({"short_side": 0}, "--short-side 0: give at least 1"),
    ({"quality": 80}, "--quality 80 is of the images that --short-side shrinks"),
    ({"short_side": 100, "quality": 96}, "--quality 96: give a value from 1 to 95"),
])
def test_wrong_options_are_refused(sample, tmp_path, options, words):
    if "blacklist" in options:
        options["blacklist"] = tmp_path / options["blacklist"]
        options["blacklist"].write_text("13\n")
    with pytest.raises(RequestError, match=words):
        convert(Request(**{"source": sample, "split": "train", "out": tmp_path / "b", **options}))
    assert not (tmp_path / "b").exists()


def test_shrinking_says_how_many_and_how_many_bytes(sample, train, tmp_path):
    manifest = convert(Request(sample, "train", tmp_path / "b", shards=3, short_side=100))
    before = {row["file_name"]: row["image"] for row in read_rows(train)}
    after = {row["file_name"]: row["image"] for row in read_rows(tmp_path / "b")}
    changed = [name for name in before if before[name] != after[name]]
    assert manifest.shrunk == len(changed) > 0
    assert manifest.bytes_saved == sum(
        (sample / "train" / name).stat().st_size - len(after[name]) for name in changed)
    coarse = convert(Request(sample, "train", tmp_path / "c", short_side=100, quality=30))
    assert coarse.image_bytes < manifest.image_bytes
    with pytest.raises(RequestError, match="another record set .quality: was 30, now 40"):
        convert(Request(sample, "train", tmp_path / "c", short_side=100, quality=40))
    assert manifest.image_bytes == sum(len(image) for image in after.values())
