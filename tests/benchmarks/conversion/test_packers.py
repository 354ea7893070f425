"""What the peers pack is what was there."""

import tarfile

import pytest

from benchmarks.conversion.packers import PEERS


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
    monkeypatch.setattr("benchmarks.conversion.packers.SHARD_BYTES", 3)
    (tmp_path / "out").mkdir()
    PEERS["TFRecord"][1](train, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 2
