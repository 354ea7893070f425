"""What the peers pack is what was there; without their packages the table says so."""

import tarfile

import pytest

from benchmarks import conversion
from benchmarks.peers import PEERS, pack_webdataset


def test_webdataset_stores_every_picture_with_its_label(tmp_path):
    pytest.importorskip("webdataset", reason="the bench extra is not installed")
    for name, data in (("a", b"one"), ("b", b"two")):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / f"{name}_1.JPEG").write_bytes(data)
    (tmp_path / "out").mkdir()
    assert pack_webdataset(tmp_path / "train", tmp_path / "out") == 2
    with tarfile.open(tmp_path / "out" / "train-00000.tar") as tar:
        stored = {member.name: tar.extractfile(member).read() for member in tar}
    assert stored == {"a_1.jpg": b"one", "a_1.cls": b"0", "b_1.jpg": b"two", "b_1.cls": b"1"}


def test_a_peer_that_is_not_installed_has_a_row_that_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(conversion, "PEERS", {"other": ("no_such_package", PEERS["webdataset"][1])})
    row, = conversion._missing_peers()
    assert (row.name, row.seconds) == ("other", []) and "[bench]" in row.note
    assert "other" not in conversion._rows(tmp_path, tmp_path / "out", 1)
