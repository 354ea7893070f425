"""The conversion benchmark really runs each row and cleans up after itself; what the peers pack is
what was there."""

import os
import tarfile
from pathlib import Path

import pytest

from benchmarks import converters
from benchmarks.converters import (DECODE, DECODERS, HEADER, OURS, PAGE_CACHE, PEERS,
                                   ConversionRequest, benchmark_conversion)
from common.forms import SpeedRow


def test_every_row_is_timed_and_nothing_is_left(tmp_path):
    table = benchmark_conversion(ConversionRequest(tmp_path, images=12, repeats=1, workers=1))
    assert [row.name for row in table.rows][:6] == [
        "cp -r", "plain append", "ImageNetToMR", "convert --check header", PAGE_CACHE,
        "convert --check decode"]
    assert {row.name for row in table.rows[6:]} == set(PEERS) | set(DECODERS)
    assert [row.name for row in table.rows if "of the decoder's own rate" in row.note] == [
        "convert --check decode"]
    assert all(len(row.seconds) == 1 and row.seconds[0] > 0 for row in table.rows
               if "not installed" not in row.note)
    assert os.listdir(tmp_path) == []


def test_direct_writing_is_timed_next_to_writing_through_the_page_cache(tmp_path, monkeypatch):
    commands, seconds = [], iter(range(1, 1000))

    def record(*command, environment={}):
        command = [str(word) for word in command]
        commands.append((command[2:4], command[command.index("--check") + 1]
                         if "--check" in command else None, environment))
        Path(tmp_path / "work" / "out").mkdir(exist_ok=True)
        return ""
    monkeypatch.setattr(converters, "run_process", record)
    monkeypatch.setattr(converters, "PEERS", {"other": ("no_such_package", None)})
    monkeypatch.setattr(converters, "timed", lambda action: (action(), next(seconds))[1])
    request = ConversionRequest(tmp_path, images=3, repeats=2, workers=1)
    rows = {row.name: row for row in benchmark_conversion(request).rows}
    convert = [found for found in commands if found[0] == ["convert", "run"]]
    assert convert == 2 * [(["convert", "run"], "header", {}),
                           (["convert", "run"], "header", {"SHARD_WRITING": "page-cache"}),
                           (["convert", "run"], "decode", {})]
    # Nine rows of two times each (action, sync): 1 + 2, 3 + 4, … in the order of the rows.
    assert [rows[name].seconds for name in (HEADER, PAGE_CACHE, DECODE, OURS)] == [
        [4 * k - 1, 4 * k + 35] for k in (4, 5, 6, 7)]
    assert rows["other"] == SpeedRow("other", [], "not installed: pip install '.[bench]'")
    assert rows[DECODE].note == "110% of the decoder's own rate"  # medians 45 and 41 s


@pytest.fixture
def train(tmp_path):
    for name, data in (("a", b"one"), ("b", b"three")):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / f"{name}_1.JPEG").write_bytes(data)
    return tmp_path / "train"


def read_webdataset(folder):
    with tarfile.open(folder / "train-00000.tar") as tar:
        stored = {member.name: tar.extractfile(member).read() for member in tar}
    return [(stored[f"{key}.jpg"], int(stored[f"{key}.cls"])) for key in ("a_1", "b_1")]


def read_tfrecord(folder):
    from tfrecord.reader import tfrecord_loader
    rows = tfrecord_loader(str(folder / "train-00000.tfrecord"), None)
    return [(bytes(row["image"]), int(row["label"][0])) for row in rows]


def read_streaming(folder):
    from streaming import StreamingDataset
    rows = StreamingDataset(local=str(folder), shuffle=False, batch_size=1)
    return [(rows[k]["image"], rows[k]["label"]) for k in range(rows.size)]


def read_array_record(folder):
    from array_record.python.array_record_module import ArrayRecordReader
    records = ArrayRecordReader(str(folder / "train-00000.array_record")).read_all()
    return [(data[4:], int.from_bytes(data[:4], "little")) for data in records]


@pytest.mark.parametrize("name, read", [
    ("webdataset", read_webdataset), ("TFRecord", read_tfrecord),
    ("MosaicML streaming", read_streaming), ("ArrayRecord", read_array_record)])
def test_a_peer_stores_every_image_with_its_label(train, tmp_path, name, read):
    package, pack = PEERS[name]
    pytest.importorskip(package, reason="the bench extra is not installed")
    (tmp_path / "out").mkdir()
    pack(train, tmp_path / "out")
    assert read(tmp_path / "out") == [(b"one", 0), (b"three", 1)]


def test_a_peer_starts_a_new_file_when_one_is_full(train, tmp_path, monkeypatch):
    pytest.importorskip("tfrecord", reason="the bench extra is not installed")
    monkeypatch.setattr("benchmarks.converters.SHARD_BYTES", 3)
    (tmp_path / "out").mkdir()
    PEERS["TFRecord"][1](train, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 2
