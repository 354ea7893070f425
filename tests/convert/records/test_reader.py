"""Reading a record set: damaged files are one error that names the folder."""

import shutil

import pytest

from common.cli import RequestError
from convert.conversion import convert
from convert.records.reader import open_records
from convert.request import Request


@pytest.fixture
def damaged(sample, tmp_path):
    """A record set whose first half is zeros, sizes unchanged, so that opening does not notice."""
    convert(Request(sample, "val", tmp_path / "val", shards=1))
    records = open_records(tmp_path / "val")
    path = records.folder / records.manifest.shards[0].file
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(0)
        file.write(bytes(size // 2))
    return open_records(tmp_path / "val")


def test_damaged_files_are_named(damaged):
    with pytest.raises(RequestError, match="val cannot be read .*convert verify"):
        list(damaged.rows(["image_id"]))
    with pytest.raises(RequestError, match="val cannot be read .*convert verify"):
        damaged.stored_rows()


def test_a_file_that_vanished_is_named(sample, tmp_path):
    convert(Request(sample, "val", tmp_path / "val", shards=1))
    records = open_records(tmp_path / "val")
    shutil.rmtree(tmp_path / "val")
    with pytest.raises(RequestError, match="val cannot be read"):
        list(records.rows(["image_id"]))


def test_rows_are_those_that_were_stored(sample, tmp_path):
    convert(Request(sample, "val", tmp_path / "val", shards=2))
    records = open_records(tmp_path / "val")
    assert records.stored_rows() == records.images
    assert [int(row["image_id"]) for row in records.rows(["image_id"])] == list(range(1, 13))
