"""The simulated object store shows the folder as it is, and waits as long as requested."""

import io
import os
import re
from types import SimpleNamespace

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
    assert sorted(folder.readdir("/a", None)) == [".", "..", "empty", "small"]
    about = os.stat(root / "large")
    assert folder.getattr("/large") == {
        "st_mode": about.st_mode, "st_nlink": 1, "st_uid": about.st_uid, "st_gid": about.st_gid,
        "st_size": 3 * READ_BYTES + 7, "st_atime": about.st_atime_ns,
        "st_mtime": about.st_mtime_ns, "st_ctime": about.st_ctime_ns}
    assert waits == []  # names and sizes come at once
    handle = folder.open("/large", os.O_RDONLY)
    read = folder.read("/large", READ_BYTES, 0, handle)
    read += folder.read("/large", READ_BYTES + 1, READ_BYTES, handle)
    read += folder.read("/large", 2 * READ_BYTES, len(read), handle)
    folder.release("/large", handle)
    with pytest.raises(OSError):
        os.fstat(handle)  # closed
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


def test_the_program_serves_the_folder_read_only_with_the_delays_in_seconds(root, monkeypatch):
    served = []
    monkeypatch.setitem(module.sys.modules, "mfusepy", SimpleNamespace(
        FUSE=lambda folder, point, **options: served.append((folder, point, options))))
    monkeypatch.setattr(module.sys, "argv", ["slow_mount", str(root), "point", "20", "3"])
    module.main()
    (folder, point, options), = served
    assert (folder.root, folder.open_seconds, folder.read_seconds) == (str(root), 0.02, 0.003)
    assert point == "point" and options == dict(foreground=True, ro=True) and folder.use_ns


class Server:
    """A stand-in of the process that mounts: it does, or ends with an error."""

    def __init__(self, point, error):
        self.point, self.error, self.ended = point, error, 0
        self.stderr = io.StringIO(error)

    def poll(self):
        return 1 if self.error else None

    def terminate(self):
        self.ended += 1

    def communicate(self):
        self.ended += 10


@pytest.mark.parametrize("error", ["", "x" * 400 + "no\n such   device"])
def test_a_server_is_started_awaited_and_ended(error, root, tmp_path, monkeypatch):
    point, started, looks = tmp_path / "slow", [], iter([False, True, True, False, False])

    def start(command, **options):
        assert options == dict(stderr=module.subprocess.PIPE, text=True)
        started.append((command, Server(point, error)))
        return started[0][1]
    monkeypatch.setattr(module, "_check_fuse", lambda: None)
    monkeypatch.setattr(module.subprocess, "Popen", start)
    monkeypatch.setattr(module.Path, "is_mount", lambda path: next(looks) if not error else False)
    try:
        with slow_mount(root / "a" / "..", point, 20, 3):
            assert not error and point.is_dir() and started[0][1].ended == 0
    except NoMount as reason:
        assert re.fullmatch("the mount failed: x{286}no such device", str(reason))
    (command, server), = started
    assert command[2:] == ["benchmarks.feed.slow_mount", str(root.resolve()), str(point), "20", "3"]
    assert server.ended == 11 and not point.exists()


def test_a_mount_that_never_comes_is_given_up_after_its_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "sleep", lambda seconds: now.append(now.pop() + 5))
    with pytest.raises(NoMount, match="more than 20 s"):
        module._wait(lambda: False)
    assert now == [125.0]  # 20 s are allowed


def test_without_fuse_the_reason_is_reported(root, tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "access", lambda path, mode: path != "/dev/fuse")
    with pytest.raises(NoMount, match="/dev/fuse"), slow_mount(root, tmp_path / "slow", 0, 0):
        pass
    monkeypatch.setattr(module.os, "access", lambda path, mode: True)
    monkeypatch.setitem(module.sys.modules, "mfusepy", None)  # as if not installed
    with pytest.raises(NoMount, match="bench"), slow_mount(root, tmp_path / "slow", 0, 0):
        pass

    def raise_error(name):
        raise OSError("no libfuse.so")
    monkeypatch.setattr(module, "importlib", SimpleNamespace(import_module=raise_error))
    with pytest.raises(NoMount, match="no libfuse.so.*apt-get install fuse3"):
        module._check_fuse()
    assert not (tmp_path / "slow").exists()
