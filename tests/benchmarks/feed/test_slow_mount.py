"""The simulated object store shows the folder as it is, and waits as long as requested."""

import os

import pytest
from reading import digests

from benchmarks.feed import slow_mount as module
from benchmarks.feed.slow_mount import READ_BYTES, NoMount, SlowFolder, slow_mount


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "a").mkdir(parents=True)
    for name, size in (("a/small", 1000), ("a/empty", 0), ("large", 3 * READ_BYTES + 7)):
        (tmp_path / "root" / name).write_bytes(os.urandom(size))
    return tmp_path / "root"


def test_an_open_and_each_begun_block_of_a_read_wait(root, monkeypatch):
    waits = []
    monkeypatch.setattr(module.time, "sleep", waits.append)
    folder = SlowFolder(root, open_seconds=20, read_seconds=1)
    assert folder.readdir("/a", None)[2:] and folder.getattr("/large")["st_size"] > READ_BYTES
    assert waits == []  # names and sizes come at once
    handle = folder.open("/large", os.O_RDONLY)
    read = folder.read("/large", READ_BYTES, 0, handle)
    read += folder.read("/large", READ_BYTES + 1, READ_BYTES, handle)
    read += folder.read("/large", 2 * READ_BYTES, len(read), handle)
    folder.release("/large", handle)
    assert waits == [20, 1, 2, 2] and read == (root / "large").read_bytes()


def test_the_mount_equals_its_source_and_is_read_only(root, tmp_path):
    try:
        with slow_mount(root, tmp_path / "slow", 1, 1):
            assert digests(tmp_path / "slow") == digests(root)
            with pytest.raises(OSError, match="Read-only"):
                (tmp_path / "slow" / "new").write_bytes(b"")
    except NoMount as reason:
        pytest.skip(str(reason))
    assert not (tmp_path / "slow").exists()


def test_without_fuse_the_reason_is_reported(root, tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "access", lambda path, mode: path != "/dev/fuse")
    with pytest.raises(NoMount, match="/dev/fuse"), slow_mount(root, tmp_path / "slow", 0, 0):
        pass
    monkeypatch.setattr(module.os, "access", lambda path, mode: True)
    monkeypatch.setitem(module.sys.modules, "mfusepy", None)  # as if not installed
    with pytest.raises(NoMount, match="bench"), slow_mount(root, tmp_path / "slow", 0, 0):
        pass
    assert not (tmp_path / "slow").exists()
