"""Files written past the page cache, and as any other where that is refused."""

import contextlib
import errno
import fcntl
import hashlib
import os
import random

import pytest
from reading import digests

from common.cli import RequestError
from convert.conversion import convert
from convert.mindrecord.writer import ALIGNMENT, PIECE_BYTES, WRITING, DirectFile
from convert.request import Request

BEGIN = 16 * ALIGNMENT
PARTS = [bytes(1), random.Random(1).randbytes(2 * PIECE_BYTES + 5), b"", b"tail"]


def check_writing(path):
    digest = hashlib.sha256()
    with contextlib.closing(DirectFile(path, BEGIN, digest, direct=True)) as file:
        for part in PARTS:
            file.write(part)
        file.skip_to(BEGIN + 4 * PIECE_BYTES)
        file.write(b"behind the gap")
        file.finish(b"head")
    written = b"".join(PARTS).ljust(4 * PIECE_BYTES, b"\0") + b"behind the gap"
    assert path.read_bytes() == b"head".ljust(BEGIN, b"\0") + written
    assert digest.hexdigest() == hashlib.sha256(written).hexdigest()


def test_where_a_file_cannot_be_made_direct(tmp_path, monkeypatch):
    call, refused = fcntl.fcntl, []

    def refusing(descriptor, command, *flags):
        if command == fcntl.F_SETFL:
            refused.append(flags)
            raise OSError(errno.EINVAL, "Invalid argument")
        return call(descriptor, command, *flags)
    monkeypatch.setattr(fcntl, "fcntl", refusing)
    check_writing(tmp_path / "a")
    assert refused == [(os.O_DIRECT,)]


def test_where_direct_writing_itself_is_refused(tmp_path, monkeypatch):
    pwrite, refused = os.pwrite, []

    def refusing(descriptor, *arguments):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            refused.append(arguments)
            raise OSError(errno.EINVAL, "Invalid argument")
        return pwrite(descriptor, *arguments)
    monkeypatch.setattr(os, "pwrite", refusing)
    check_writing(tmp_path / "a")
    assert len(refused) <= 1  # none where the file cannot be made direct


@pytest.mark.parametrize("size", [1, 3 * PIECE_BYTES])
def test_an_error_of_the_thread_reaches_the_caller(tmp_path, monkeypatch, size):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "pwrite", full)
    with contextlib.closing(DirectFile(tmp_path / "a", BEGIN, hashlib.sha256(), True)) as file:
        with pytest.raises(OSError, match="No space left"):
            file.write(bytes(size))
            assert size == 1, "an error amid writing stops it"
            file.finish(b"head")


@pytest.mark.parametrize("at_once", [50 * ALIGNMENT, PIECE_BYTES])
def test_parts_gap_and_head_are_where_they_belong(tmp_path, monkeypatch, at_once):
    """Also where the system writes less at once than it is given."""
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, place: pwrite(
        descriptor, data[:at_once], place))
    check_writing(tmp_path / "a")


def test_the_environment_chooses_the_page_cache(sample, tmp_path, monkeypatch):
    call, flags = fcntl.fcntl, []
    monkeypatch.setattr(fcntl, "fcntl", lambda descriptor, command, *flag: (
        flags.extend(flag), call(descriptor, command, *flag))[1])
    convert(Request(sample, "val", tmp_path / "direct", shards=1))
    assert flags[0] == os.O_DIRECT
    flags.clear()
    monkeypatch.setenv(WRITING, "page-cache")
    convert(Request(sample, "val", tmp_path / "cached", shards=1))
    assert not flags
    assert digests(tmp_path / "cached") == digests(tmp_path / "direct")
    monkeypatch.setenv(WRITING, "fast")
    with pytest.raises(RequestError, match="SHARD_WRITING=fast: set it to page-cache"):
        convert(Request(sample, "val", tmp_path / "b", shards=1))
