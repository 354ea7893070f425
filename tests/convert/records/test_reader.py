"""Reading a record set: its rows, and damage, which is one error that names the folder."""

import json
import re
import shutil

import pytest

from common.cli import RequestError
from convert.records.manifest import MANIFEST_NAME, read_manifest
from convert.records.reader import open_records


def test_rows_are_those_that_were_stored(val):
    records = open_records(val)
    assert records.stored_rows() == records.images == 12
    assert [int(row["image_id"]) for row in records.rows(["image_id"])] == list(range(1, 13))


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
