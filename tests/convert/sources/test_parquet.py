"""Hugging Face's Parquet files, and the Snappy streams in them."""

import os

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from common.cli import RequestError
from convert.sources import parquet as parquet_source
from convert.sources import snappy
from convert.sources.layouts import reader_of
from convert.sources.split_listing import list_source

WNIDS = ("n90000001", "n90000002")


def image_rows(count=40):
    """Rows of ``image`` and ``label``: bytes that cannot be compressed, and some that can."""
    rng = np.random.default_rng(0)
    data = [rng.bytes(int(size)) + b"abc" * 400 for size in rng.integers(1, 90_000, count)]
    if count > 5:
        data[5] = data[2]  # an image that recurs, after another one of its size
        data[3] = data[2][::-1]
    return [{"bytes": item, "path": f"{WNIDS[k % 2]}_{k}_{WNIDS[k % 2]}.JPEG"}
            for k, item in enumerate(data)]


def write(path, rows, labels=None, text=pyarrow.string(), **options):
    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": text})
    labels = [k % 2 for k in range(len(rows))] if labels is None else labels
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pyarrow.table({"image": pyarrow.array(rows, kind), "label": labels}), path,
                        **options)


def replace(path, old, new):
    path.write_bytes(path.read_bytes().replace(old, new))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data" / "train-00000-of-00001.parquet"


@pytest.mark.parametrize("options", [
    {}, {"row_group_size": 7}, {"use_dictionary": False}, {"data_page_version": "2.0"},
    {"compression": "none"}, {"data_page_size": 1000, "write_batch_size": 3},
    {"use_dictionary": False, "data_page_version": "2.0", "write_page_checksum": True},
])
def test_each_image_is_read_alone_wherever_it_is_stored(file, tmp_path, options):
    rows = image_rows()
    write(file, rows, **options)
    listing = list_source(tmp_path, "train")
    expected = {f"{WNIDS[k % 2]}/{WNIDS[k % 2]}_{k}.JPEG": row["bytes"]
                for k, row in enumerate(rows)}
    read = reader_of("parquet")
    assert {entry.file_name: read(listing.root, entry) for entry in listing.entries} == expected


@pytest.mark.parametrize("change, words", [
    (lambda path: write(path, image_rows(), compression="gzip"), "GZIP; only SNAPPY and UNCOMPR"),
    (lambda path: write(path, [{"bytes": b"a", "path": "a.JPEG"}]), "row 0: path 'a.JPEG' is not"),
    (lambda path: write(path, [{"bytes": None, "path": "a.JPEG"}]), "a row without image"),
    (lambda path: write(path, image_rows(2), [0, 5]), "has label 5, but is number 1 of the 2"),
    (lambda path: write(path, image_rows(4), [0, 1, 0, 0]), "has label 0, but 1 in .*row 1"),
    (lambda path: write(path, 2 * image_rows(2)), "'n90000001/n90000001_0.JPEG' is in"),
    (lambda path: parquet.write_table(pyarrow.table({"a": [1]}), path), "has the columns a; exp"),
    (lambda path: write(path, [{"bytes": b"a", "path": b"a.JPEG"}], text=pyarrow.binary()),
     "is not a whole Parquet file .its paths are not text"),
    (lambda path: os.truncate(path, 5000), "is not a whole Parquet file"),
    (lambda path: path.write_bytes(b""), "is not a whole Parquet file"),
    (lambda path: replace(path, b"PAR1\x15", b"PAR1\x35"), "a page header without its field 1"),
    (lambda path: replace(path, b"PAR1\x15\x04\x15\x8a", b"PAR1\x15\x04\x15\x8c"), "by its header"),
    (lambda path: write(path, image_rows(), write_page_checksum=True, compression="none") or
     replace(path, b"n90000001_6_", b"n90000001_9_"), "CRC checksum verification failed"),
    (lambda path: path.rename(path.with_name("train-00000-of-00002.parquet")), "001-of.*missing"),
])
def test_other_or_damaged_parquet_files_are_refused(file, tmp_path, change, words):
    write(file, image_rows())
    change(file)
    with pytest.raises(RequestError, match=words) as error:
        list_source(tmp_path, "train")
    assert str(file.parent) in str(error.value) and "\n" not in str(error.value)


def test_a_parquet_file_that_changes_and_a_missing_package_are_named(file, tmp_path, monkeypatch):
    write(file, image_rows())
    listing = list_source(tmp_path, "train")
    file.write_bytes(b"\xff" * 100_000)
    with pytest.raises(RequestError, match="changed while it was converted"):
        for entry in listing.entries:
            reader_of("parquet")(listing.root, entry)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install '.\[parquet\]'"):
        list_source(tmp_path, "train")


@pytest.mark.parametrize("options", [{}, {"compression": "none"}, {"use_dictionary": False}])
def test_listing_reads_little_of_the_images(file, tmp_path, options, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [{**row, "bytes": rng.bytes(100_000)} for row in image_rows()]
    write(file, rows, **options)
    asked, real = [], os.pread
    monkeypatch.setattr(os, "pread", lambda descriptor, size, place: (
        asked.append(size), real(descriptor, size, place))[1])
    monkeypatch.setattr("convert.sources.parquet._compare", lambda *_: None)
    assert len(list_source(tmp_path, "train").entries) == 40
    assert sum(asked) < file.stat().st_size / 8


def test_a_listing_is_kept_for_a_file_as_it_is(tmp_path, monkeypatch):
    first, second = (tmp_path / "data" / f"train-0000{part}-of-00002.parquet" for part in (0, 1))
    rows = image_rows()
    write(first, rows[:20])
    write(second, rows[20:])
    keep, plain = tmp_path / "out" / "keep", list_source(tmp_path, "train")
    monkeypatch.setattr(parquet_source, "BYTES_PER_WORKER", 1)
    assert list_source(tmp_path, "train", keep=keep, workers=2) == plain
    listed, real = [], parquet_source._rows
    monkeypatch.setattr(parquet_source, "_rows", lambda path, compare: (
        listed.append(path), real(path, compare))[1])
    assert list_source(tmp_path, "train", keep=keep) == plain and not listed
    write(second, rows[21:], [k % 2 for k in range(21, 40)])
    os.truncate(keep / f"{first.name}.json", 100)
    assert len(list_source(tmp_path, "train", keep=keep).entries) == 39
    assert listed == [first, second]


def test_snappy_copies_may_overlap_what_they_write_but_not_begin_before_it():
    data = bytes(70_000) + b"abcd" * 30_000 + np.random.default_rng(1).bytes(100)
    stored = bytes(pyarrow.compress(data, "snappy", asbytes=True))
    stream = snappy.Stream(lambda at, size: stored[at:at + size], len(stored))
    assert (len(stream.blocks), stream.length) == (3, len(data))
    for block, begin in enumerate(stream.blocks):
        part = data[block * snappy.BLOCK:]
        assert bytes(snappy.decode(stored[begin:], len(part))) == part
        assert bytes(snappy.decode(stored[begin:], 9)) == part[:9]
    for place in (0, 65_534, 70_001, 131_070, len(data) - 4):  # also across blocks, of a copy
        assert bytes(stream.bytes_at(place, 4)) == data[place:place + 4]
    random = np.random.default_rng(2).bytes(140_000)
    stored = bytes(pyarrow.compress(random, "snappy", asbytes=True))
    stream = snappy.Stream(lambda at, size: stored[at:at + max(size, 0)], len(stored))
    for place, size in ((65_000, 1_000), (65_000, 70_000), (0, 140_000)):
        assert bytes(stream.bytes_at(place, size)) == random[place:place + size]
    with pytest.raises(ValueError, match="before the block"):
        snappy.decode(b"\x01\x05", 4)
