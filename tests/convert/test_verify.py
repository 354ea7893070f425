"""Every kind of damage to a record set is found, named and repaired from the right images only."""

import errno
import json

import pytest
from mindspore import mindrecord
from PIL import Image
from reading import blacklist_of, digests, fail_to_read

from common.cli import CheckFailed, RequestError
from convert import verify as verify_module
from convert.conversion import convert
from convert.records.manifest import MANIFEST_NAME
from convert.records.reader import open_records
from convert.request import Request
from convert.sample.arrange import arrange_sample, make_sample
from convert.verify import repair, verify
from convert.workspace import BUILDING

FIRST, SECOND, THIRD = (f"val-0000{k}-of-00003.mindrecord" for k in range(3))


def flip_a_byte(path, where=0.5):
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name, where", [
    (FIRST, 0.0), (SECOND, 0.5), (THIRD, 0.999), (f"{FIRST}.db", 0.0), (f"{THIRD}.db", 0.999)])
def test_one_flipped_byte_is_found(records, name, where):
    flip_a_byte(records / name, where)
    with pytest.raises(CheckFailed, match=f"{name} has changed"):
        verify(records)


def test_missing_added_and_cut_files_are_found(records):
    (records / f"{FIRST}.db").unlink()
    with open(records / SECOND, "ab") as file:
        file.write(b"x")
    (records / "val-00002-of-00004.mindrecord").write_bytes(b"")
    with pytest.raises(CheckFailed) as failure:
        verify(records)
    assert f"{FIRST}.db is missing" in str(failure.value)
    assert f"{SECOND} has " in str(failure.value)
    assert "val-00002-of-00004.mindrecord is not in the manifest" in str(failure.value)


def test_a_python_user_may_give_strings(sample, tmp_path):
    make_sample(str(tmp_path / "small"), classes=2, train=1, val=1)
    convert(Request(str(tmp_path / "small"), "train", str(tmp_path / "out")))
    assert open_records(str(tmp_path / "out")).images == verify(str(tmp_path / "out")).images == 2


def move_image(items):
    """From the second to the first: their sum, which is compared first, stays right."""
    items[0]["images"] += 1
    items[1]["images"] -= 1


@pytest.mark.parametrize("change, words", [
    (lambda f: move_image(f["classes"]), "has 3 images instead of 4"),
    (lambda f: move_image(f["shards"]), f"{FIRST} holds 4 rows instead of 5"),
    (lambda f: f.update(rows_sha256="0"), "ids, labels or blacklist flags differ"),
    (lambda f: f["blacklist"].update(images=9), "1 image marked as blacklisted"),
])
def test_a_manifest_that_says_otherwise_is_found(records, change, words):
    fields = json.loads((records / MANIFEST_NAME).read_text())
    change(fields)
    (records / MANIFEST_NAME).write_text(json.dumps(fields))
    with pytest.raises(CheckFailed, match=f"{words}.*the manifest was changed: restore it"):
        verify(records)


@pytest.mark.parametrize("text, words", [
    ("{", "is damaged"), ("[]", "does not hold a JSON object"),
    ('{"format_version": 99}', "version 99"),
    ('{"format_version": 1}', "is damaged"),
])
def test_a_bad_manifest_is_refused(tmp_path, text, words):
    with pytest.raises(RequestError, match="not a record set"):
        open_records(tmp_path)
    (tmp_path / MANIFEST_NAME).write_text(text)
    with pytest.raises(RequestError, match=words):
        open_records(tmp_path)


@pytest.mark.parametrize("name", [MANIFEST_NAME, SECOND, f"{THIRD}.db"])
def test_a_disk_that_fails_is_named(records, fail, monkeypatch, name):
    fail_to_read(monkeypatch, records / name, errno.EIO)
    assert f"{records / name} could not be read (Input/output error)" in fail(2, "verify", records)


@pytest.mark.parametrize("deep", [False, True])
def test_images_are_read_only_where_they_are_decoded(val, monkeypatch, deep):
    asked, real = [], mindrecord.FileReader
    monkeypatch.setattr(mindrecord, "FileReader", lambda file, **how: (
        asked.append((file, *how["columns"])), real(file, **how))[1])
    monkeypatch.setattr(verify_module, "results_of_workers", lambda tasks, **_: (
        call(*given) for call, given, _ in tasks))
    verify(val, deep=deep)
    files = [str(val / name) for name in (FIRST, SECOND, THIRD)]
    assert asked == [*((file, "image_id", "label", "blacklisted") for file in files),
                     *((file, "image", "file_name") for file in files if deep)]


@pytest.mark.parametrize("name", [FIRST, f"{SECOND}.db"])
def test_readers_of_records_name_the_file_whose_disk_fails(records, monkeypatch, name):
    fail_to_read(monkeypatch, records / name, errno.EIO)
    with pytest.raises(RequestError, match=f"{name} could not be read"):
        list(open_records(records).rows(["label"]))


def test_a_repair_that_cannot_help_is_not_advised(records, sample, fail):
    stranger = records / "val-00002-of-00004.mindrecord"
    stranger.write_bytes(b"")
    assert "--repair" not in fail(1, "verify", records)
    stranger.unlink()
    (records / FIRST).unlink()
    gone = fail(2, "verify", records, "--repair", sample / "gone", "--blacklist",
                blacklist_of(sample))
    assert "gone is not a folder" in gone and f"fetch {FIRST} from a copy" in gone
    assert "--source" not in gone


def again(sample, records, **changes):
    return Request(**{"source": sample, "split": "val", "out": records,
                      "blacklist": blacklist_of(sample), **changes})


def test_nothing_is_done_to_whole_records(sample, val):
    before = {path: path.stat().st_mtime_ns for path in val.iterdir()}
    assert repair(again(sample, val)) == []
    assert {path: path.stat().st_mtime_ns for path in val.iterdir()} == before


def test_damaged_shards_alone_are_built_again(sample, val, records, fail, say):
    kept = records / SECOND
    before = kept.stat().st_ino
    flip_a_byte(records / FIRST)
    (records / f"{THIRD}.db").unlink()
    errors = fail(1, "verify", records)
    assert f"{FIRST} has changed" in errors and "--repair SOURCE" in errors
    printed = say("verify", records, "--repair", sample, "--blacklist", blacklist_of(sample)).out
    assert f"built again: {FIRST}, {THIRD}\n" in printed
    assert digests(records) == digests(val)
    assert kept.stat().st_ino == before


def test_a_repair_takes_the_options_of_the_conversion(sample, tmp_path):
    out = tmp_path / "records"
    manifest = convert(Request(sample, "train", out, shards=2, seed=7, check="header",
                               short_side=100, quality=80))
    before = digests(out)
    (out / manifest.shards[1].file).unlink()
    assert repair(Request(sample, "train", out)) == [manifest.shards[1].file]
    assert digests(out) == before


def test_another_layout_of_the_same_images_will_do(source, val, records):
    arrange_sample(source, "archives")
    (records / FIRST).unlink()
    repair(again(source, records))
    assert digests(records) == digests(val)


def test_another_source_or_none_of_the_blacklist_is_refused(source, records):
    victim = sorted((source / "val").iterdir())[0]
    victim.write_bytes(victim.read_bytes() + b"\0")
    flip_a_byte(records / FIRST)
    before = digests(records)
    with pytest.raises(RequestError, match="with a blacklist; give it with --blacklist FILE"):
        repair(again(source, records, blacklist=None))
    with pytest.raises(RequestError, match="is not what .* was made of.*source_sha256: was"):
        repair(again(source, records))
    assert digests(records) == before


def test_an_image_that_changed_without_its_size_replaces_nothing(source, records):
    victim = sorted((source / "val").iterdir())[0]
    data = bytearray(victim.read_bytes())
    quantiser = data.index(b"\xff\xdb") + 10  # a byte of a table: other colours, same length
    data[quantiser] ^= 1
    whole = victim.read_bytes()
    victim.write_bytes(data)
    Image.open(victim).load()
    flip_a_byte(records / FIRST)
    before = digests(records)
    with pytest.raises(CheckFailed, match=f"{FIRST}: built again with other"):
        repair(again(source, records))
    assert {name: digest for name, digest in digests(records).items()
            if not name.startswith(BUILDING)} == before
    victim.write_bytes(whole)
    assert repair(again(source, records)) == [FIRST], "what was built of the other image is gone"
