"""A full disk, a read-only one, and one that fills up while a shard is written."""

import errno
import fcntl
import os
import resource
import signal
import subprocess

import pytest
from reading import command, digests

from convert.conversion import convert
from convert.request import Request
from convert.workspace import BUILDING

MAY_MOUNT = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"],
                           capture_output=True).returncode == 0
needs_mounts = pytest.mark.skipif(not MAY_MOUNT, reason="this kernel lets no user mount a tmpfs")


def check_refused(done, *words):
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and all(word in last for word in words)


def no_file_larger_than_a_header():
    """Writing behind that fails, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, resource.RLIM_INFINITY))


def test_a_shard_that_cannot_be_written_loses_nothing(sample, train, tmp_path):
    done = subprocess.run(command(sample, tmp_path / "b", "--workers", 2), capture_output=True,
                          text=True, preexec_fn=no_file_larger_than_a_header)
    check_refused(done, "-of-00003.mindrecord", "check the room")
    assert os.listdir(tmp_path / "b") == [BUILDING]
    convert(Request(sample, "train", tmp_path / "b", shards=3))
    assert digests(tmp_path / "b") == digests(train)


@needs_mounts
@pytest.mark.parametrize("size", [
    "16k",  # nothing but what stands before the shards
    "80k",  # the first shard's images but not its index
    "160k"])  # one of the three shards
def test_a_full_disk_loses_nothing(sample, train, tmp_path, size):
    """Once on a disk of that size, then again after it was enlarged."""
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    run = " ".join(command(sample, disk / "b", "--workers", 1))
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs -o size={size} none {disk}; {run};"
         f"echo first $?; ls {disk}/b; mount -o remount,size=100m {disk}; {run} || exit 1;"
         f"cp -r {disk}/b {copy}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "first 2" and "mindrecord" not in lines[1]
    error, = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert str(disk) in error
    assert digests(copy) == digests(train)


def test_every_command_can_do_without_locks_where_the_disk_has_none(sample, train, tmp_path, say,
                                                                    fail, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    monkeypatch.setattr(fcntl, "flock", refuse)
    whole, ranges = ([word, "--source", sample, "--split", "train", "--out", tmp_path / name,
                      "--shards", 3] for word, name in (("run", "whole"), ("run", "ranges")))
    finish = ["finish", *ranges[1:]]
    damaged = tmp_path / "whole" / "train-00001-of-00003.mindrecord"
    repair = ["verify", tmp_path / "whole", "--repair", sample]
    for words in (whole, [*ranges, "--shard-range", "0-2"], finish, repair):
        if words == repair:
            damaged.unlink()
        errors = fail(2, *words)
        assert "has no locks" in errors and "--no-lock while nothing else writes" in errors
        say(*words, "--no-lock")
    assert digests(tmp_path / "whole") == digests(tmp_path / "ranges") == digests(train)


@needs_mounts
def test_a_read_only_disk_is_named(sample, tmp_path):
    (tmp_path / "disk").mkdir()
    run = " ".join(command(sample, tmp_path / "disk" / "b", "--workers", 1))
    check_refused(subprocess.run(["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o ro none "
                                  f"{tmp_path / 'disk'}; {run}"], capture_output=True, text=True),
                  "Read-only file system", str(tmp_path / "disk"))
