"""What the peers pack is what was there, in files of 1 GB, each of which is closed."""

import sys
import tarfile
from types import ModuleType

import pytest

from benchmarks.conversion import packers
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


@pytest.mark.parametrize("name", ["webdataset", "TFRecord"])
def test_a_peer_starts_a_new_file_when_one_is_full(train, tmp_path, monkeypatch, name, capfd):
    package, pack = PEERS[name]
    pytest.importorskip(package, reason="the bench extra is not installed")
    monkeypatch.setattr(packers, "SHARD_BYTES", 3)
    (tmp_path / "out").mkdir()
    pack(train, tmp_path / "out")
    assert [path.name[:12] for path in sorted((tmp_path / "out").iterdir())] == [
        "train-00000.", "train-00001."]
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def writers(monkeypatch) -> list:
    """Stand-ins of the peers' writers, of which each keeps what it was given and what was then
    done with it."""
    made = []

    class Writer:
        def __init__(self, *args, **options):
            self.args, self.options, self.written, self.closed = args, options, [], False
            made.append(self)

        def write(self, *record):
            self.written.append(record)

        def close(self):
            self.closed = True

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.close()
    for module, name in (("webdataset", "ShardWriter"), ("tfrecord.writer", "TFRecordWriter"),
                         ("streaming", "MDSWriter"),
                         ("array_record.python.array_record_module", "ArrayRecordWriter")):
        words = module.split(".")
        for end in range(1, len(words) + 1):
            monkeypatch.setitem(sys.modules, ".".join(words[:end]), ModuleType(words[end - 1]))
        setattr(sys.modules[module], name, Writer)
    monkeypatch.setattr(packers, "SHARD_BYTES", 8)
    return made


def test_each_peer_is_asked_for_files_of_that_size_and_closes_them(train, tmp_path, writers):
    (train / "a" / "a_2.JPEG").write_bytes(b"and two")  # ends after the eighth byte
    out = tmp_path / "out"
    for pack in ("webdataset", "MosaicML streaming", "TFRecord", "ArrayRecord"):
        PEERS[pack][1](train, out)
    assert [(writer.args, writer.options) for writer in writers] == [
        ((str(out / "train-%05d.tar"),), dict(maxcount=sys.maxsize, maxsize=8, verbose=0)),
        ((), dict(out=str(out), columns={"image": "bytes", "label": "int"}, size_limit=8)),
        *(((str(out / f"train-{number:05d}.tfrecord"),), {}) for number in (0, 1)),
        *(((str(out / f"train-{number:05d}.array_record"), "group_size:1"), {})
          for number in (0, 1))]
    assert all(writer.closed for writer in writers)
    images = [("a_1", b"one", 0), ("a_2", b"and two", 0), ("b_1", b"three", 1)]
    webdataset, streaming, *sharded = [[record for record, in writer.written]
                                       for writer in writers]
    assert webdataset == [{"__key__": name, "jpg": data, "cls": label}
                          for name, data, label in images]
    assert streaming == [{"image": data, "label": label} for _, data, label in images]
    examples = [{"image": (data, "byte"), "label": (label, "int")} for _, data, label in images]
    records = [label.to_bytes(4, "little") + data for _, data, label in images]
    assert sharded == [examples[:2], examples[2:], records[:2], records[2:]]
