"""Every kind of damage to a record set is found and named."""

import json
import shutil

import pytest

from common.cli import CheckFailed, RequestError
from convert.conversion import convert
from convert.records.manifest import MANIFEST_NAME
from convert.records.reader import open_records
from convert.request import Request
from convert.verify import verify


@pytest.fixture(scope="module")
def whole(sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("verify") / "records"
    convert(Request(sample, "val", out, shards=2))
    return out


@pytest.fixture
def records(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "records")


def test_a_whole_record_set_passes(records):
    assert verify(records, deep=True, workers=1).images == 12


@pytest.mark.parametrize("name", ["val-00001-of-00002.mindrecord",
                                  "val-00001-of-00002.mindrecord.db"])
@pytest.mark.parametrize("where", [0.0, 0.5, 0.999])
def test_one_flipped_byte_is_found(records, name, where):
    data = bytearray((records / name).read_bytes())
    data[int(where * len(data))] ^= 1
    (records / name).write_bytes(data)
    with pytest.raises(CheckFailed, match=f"{name} has changed"):
        verify(records)


def test_missing_added_and_cut_files_are_found(records):
    (records / "val-00000-of-00002.mindrecord.db").unlink()
    with open(records / "val-00001-of-00002.mindrecord", "ab") as file:
        file.write(b"x")
    (records / "val-00002-of-00003.mindrecord").write_bytes(b"")
    with pytest.raises(CheckFailed) as failure:
        verify(records)
    assert "val-00000-of-00002.mindrecord.db is missing" in str(failure.value)
    assert "val-00001-of-00002.mindrecord has " in str(failure.value)
    assert "val-00002-of-00003.mindrecord is not in the manifest" in str(failure.value)


def change_manifest(records, change):
    path = records / MANIFEST_NAME
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def move_image(items):
    """From the second to the first: their sum, which is looked at first, stays right."""
    items[0]["images"] += 1
    items[1]["images"] -= 1


@pytest.mark.parametrize("change, words", [
    (lambda f: move_image(f["classes"]), "has 3 images instead of 4"),
    (lambda f: move_image(f["shards"]), "00000-of-00002.mindrecord holds 6 rows instead of 7"),
    (lambda f: f.update(rows_sha256="0"), "ids, labels or blacklist flags differ"),
])
def test_a_manifest_that_says_otherwise_is_found(records, change, words):
    change_manifest(records, change)
    with pytest.raises(CheckFailed, match=words):
        verify(records)


def test_opening_looks_at_names_and_sizes(records):
    (records / "val-00000-of-00002.mindrecord").unlink()
    with pytest.raises(RequestError, match="val-00000-of-00002.mindrecord is missing"):
        open_records(records)


@pytest.mark.parametrize("text, words", [
    ("{", "is damaged"), ("[]", "does not hold a JSON object"),
    ('{"format_version": 99}', "version 99"),
    ('{"format_version": 1}', "is damaged"),
])
def test_a_bad_manifest_is_refused(records, text, words):
    (records / MANIFEST_NAME).write_text(text)
    with pytest.raises(RequestError, match=words):
        open_records(records)


def test_a_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(RequestError, match="not a record set"):
        open_records(tmp_path)
