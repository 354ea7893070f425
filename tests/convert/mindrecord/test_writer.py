"""Record files are, byte for byte, those of MindSpore's FileWriter."""

import contextlib
import errno
import hashlib
import os
import random
import sqlite3

import msgpack
import pytest
from mindspore.mindrecord import FileWriter

from common.cli import RequestError
from convert.mindrecord import record_layout, writer as writer_module
from convert.mindrecord.record_layout import LENGTH_BYTES, RecordLayout
from convert.mindrecord.writer import ALIGNMENT, RecordWriter

SMALL_PAGE = max(1 << 15, ALIGNMENT)  # FileWriter allows none smaller


def make_rows(count, largest, long_names=0):
    """Random rows, whose numbers and names need each of msgpack's forms."""
    drawn = random.Random(count)
    return [{"image": drawn.randbytes(drawn.randint(1, largest)),
             "label": drawn.choice([0, 127, 128, 255, 256, 65535, 65536]),
             "file_name": "n01440764/" + "ü" * drawn.randint(0, long_names) + f"_{position}.JPEG",
             "image_id": position * 37, "blacklisted": position % 2} for position in range(count)]


def write(path, rows, page_bytes=SMALL_PAGE, expected_rows=None):
    expected = RecordLayout(path.name, page_bytes)
    for row in rows if expected_rows is None else expected_rows:
        expected.add(len(row["image"]), row)
    with contextlib.closing(RecordWriter(path, page_bytes, expected.header())) as writer:
        for row in rows:
            writer.append(row)
        return writer.finish()


def written_by_mindspore(path, rows, page_bytes):
    """The bytes of the file that FileWriter writes under that name, and its index as SQL."""
    path = path.with_name("theirs") / path.name
    path.parent.mkdir()
    writer = FileWriter(str(path), shard_num=1)
    writer.set_header_size(1 << 20)
    writer.set_page_size(page_bytes)
    writer.add_schema({"image": {"type": "bytes"}, "label": {"type": "int32"},
                       "file_name": {"type": "string"}, "image_id": {"type": "int32"},
                       "blacklisted": {"type": "int32"}}, "ImageNet pictures")
    writer.add_index(["label", "image_id"])
    writer.write_raw_data(rows)
    writer.commit()
    return path.read_bytes(), index_of(path)


def index_of(data_file):
    with contextlib.closing(sqlite3.connect(f"{data_file}.db")) as index:
        return list(index.iterdump())


@pytest.mark.parametrize("count, largest, long_names, page_bytes", [
    (1, 10, 0, 4 << 20),
    (300, 115_000, 100, 4 << 20),  # blob pages fill first
    (2000, 40, 150, SMALL_PAGE),  # raw pages fill first
    (3000, 3000, 150, SMALL_PAGE),  # many row groups in each of several raw pages
    (8, 9 << 20, 0, 16 << 20),  # pages and images larger than what is written at once
])
def test_the_files_are_those_of_filewriter(tmp_path, count, largest, long_names, page_bytes):
    rows, path = make_rows(count, largest, long_names), tmp_path / "a.mindrecord"
    written = write(path, rows, page_bytes)
    data, index = written_by_mindspore(path, rows, page_bytes)
    assert path.read_bytes() == data
    assert index_of(path) == index
    assert written == (count, hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("expected", [0, 299])
def test_rows_that_come_otherwise_than_planned_have_the_right_digest(tmp_path, expected):
    rows = make_rows(300, 3000)
    written = write(tmp_path / "a.mindrecord", rows, expected_rows=rows[:expected])
    data = (tmp_path / "a.mindrecord").read_bytes()
    assert written == (300, hashlib.sha256(data).hexdigest())


def raw_bytes(row):
    return LENGTH_BYTES + len(msgpack.packb({k: row[k] for k in row if k != "image"}))


def test_pages_that_rows_fill_to_the_last_byte(tmp_path):
    rows = make_rows(40, 1)
    for row in rows[:4]:  # two groups with a blob page each
        row["image"] = bytes(SMALL_PAGE // 2 - LENGTH_BYTES)
    for row in rows:  # their raw rows and those of the rest fill one raw page
        row["file_name"] = "n" * 300
    rest = SMALL_PAGE - sum(map(raw_bytes, rows))
    rows += [{**rows[-1], "file_name": "n" * 300} for _ in range(rest // raw_bytes(rows[-1]) - 1)]
    rows.append({**rows[-1], "file_name": ""})
    rows[-1]["file_name"] = "n" * (SMALL_PAGE - sum(map(raw_bytes, rows)) - 2)  # 2: a longer length
    layout = RecordLayout("a.mindrecord", SMALL_PAGE)
    for row in rows:
        layout.add(len(row["image"]), row)
    assert [len(page.content) for page in layout.raw_pages()] == [SMALL_PAGE]
    path = tmp_path / "a.mindrecord"
    write(path, rows)
    assert path.read_bytes() == written_by_mindspore(path, rows, SMALL_PAGE)[0]


def test_the_index_is_the_same_however_sqlite_was_compiled(tmp_path, monkeypatch):
    connect, indexes = sqlite3.connect, set()
    for secure in ("ON", "OFF"):
        def compiled_otherwise(*arguments, **keywords):
            connection = connect(*arguments, **keywords)
            connection.execute(f"PRAGMA secure_delete = {secure}")
            return connection
        monkeypatch.setattr(sqlite3, "connect", compiled_otherwise)
        folder = tmp_path / secure
        folder.mkdir()
        write(folder / "a.mindrecord", make_rows(2000, 10))
        indexes.add((folder / "a.mindrecord.db").read_bytes())
    index, = indexes
    assert index[92:100] == bytes(8), "no version of SQLite"


def test_an_error_at_closing_names_the_file(tmp_path, monkeypatch):
    writer = RecordWriter(tmp_path / "a.mindrecord", SMALL_PAGE, b"")
    writer.append(make_rows(1, 10)[0])
    close = os.close

    def full(descriptor):
        close(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "close", full)
    with pytest.raises(RequestError, match="a.mindrecord could not be written .No space left"):
        writer.close()


def test_a_row_larger_than_a_page_is_named(tmp_path):
    rows = make_rows(2, 10)
    rows[1]["image"] = bytes(SMALL_PAGE)
    with pytest.raises(RequestError, match=f"{rows[1]['file_name']}.*remove or shrink"):
        write(tmp_path / "a.mindrecord", rows, expected_rows=rows[:1])


@pytest.mark.parametrize("planned", [30, 1])
def test_more_pages_than_the_header_can_list_are_refused(tmp_path, monkeypatch, planned):
    for module in (record_layout, writer_module):
        monkeypatch.setattr(module, "HEADER_BYTES", 4096)
    rows = make_rows(30, 1)
    for row in rows:
        row["image"] = bytes(SMALL_PAGE // 2)  # one a page
    with pytest.raises(RequestError, match="too many pages .* more --shards"):
        write(tmp_path / "a.mindrecord", rows, expected_rows=rows[:planned])


def test_an_existing_file_is_not_overwritten(tmp_path):
    (tmp_path / "a.mindrecord").write_text("precious")
    with pytest.raises(RequestError, match="File exists"):
        write(tmp_path / "a.mindrecord", make_rows(2, 10))
    assert (tmp_path / "a.mindrecord").read_text() == "precious"
    assert os.listdir(tmp_path) == ["a.mindrecord"]
