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
from convert.mindrecord.direct_file import ALIGNMENT, PIECE_BYTES, DirectFile
from convert.mindrecord.writer import WRITING
from convert.request import Request

BEGIN = 16 * ALIGNMENT
PARTS = [bytes(1), random.Random(1).randbytes(2 * PIECE_BYTES + 5), b"", b"tail"]


def write(path):
    digest = hashlib.sha256()
    with contextlib.closing(DirectFile(path, BEGIN, digest)) as file:
        for part in PARTS:
            file.write(part)
        file.skip_to(BEGIN + 4 * PIECE_BYTES)
        file.write(b"behind the gap")
        file.finish(b"head")
    return digest.hexdigest()


def check_written(path):
    whole = path.read_bytes()
    written = b"".join(PARTS).ljust(4 * PIECE_BYTES, b"\0") + b"behind the gap"
    assert whole == b"head".ljust(BEGIN, b"\0") + written
    return hashlib.sha256(written).hexdigest()


def test_parts_gap_and_head_are_where_they_belong(tmp_path):
    assert write(tmp_path / "a") == check_written(tmp_path / "a")


def refuse_direct(monkeypatch, name, is_direct, make_first=False):
    """Answer direct calls of ``os.<name>`` as file systems do that know none."""
    call, refused = getattr(os, name), []

    def refusing(*arguments):
        if is_direct(*arguments):
            refused.append(arguments)
            if make_first:
                os.close(call(*arguments))
            raise OSError(errno.EINVAL, "Invalid argument")
        return call(*arguments)
    monkeypatch.setattr(os, name, refusing)
    return refused


@pytest.mark.parametrize("make_first", [False, True])
def test_where_opening_for_direct_writing_is_refused(tmp_path, monkeypatch, make_first):
    refused = refuse_direct(monkeypatch, "open", lambda _, flags, *mode: flags & os.O_DIRECT,
                            make_first)
    assert write(tmp_path / "a") == check_written(tmp_path / "a")
    assert len(refused) == 1


def test_where_direct_writing_itself_is_refused(tmp_path, monkeypatch):
    refused = refuse_direct(
        monkeypatch, "pwrite",
        lambda descriptor, *_: fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)
    assert write(tmp_path / "a") == check_written(tmp_path / "a")
    assert len(refused) <= 1  # none where opening is refused already


def test_an_error_of_the_thread_reaches_the_caller(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "pwrite", full)
    with contextlib.closing(DirectFile(tmp_path / "a", BEGIN, hashlib.sha256())) as file:
        file.write(b"a")
        with pytest.raises(OSError, match="No space left"):
            file.finish(b"head")


def test_an_error_amid_writing_stops_it(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "pwrite", full)
    with contextlib.closing(DirectFile(tmp_path / "a", BEGIN, hashlib.sha256())) as file:
        with pytest.raises(OSError, match="No space left"):
            file.write(bytes(3 * PIECE_BYTES))


def test_a_place_that_no_disk_takes_directly_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a multiple"):
        DirectFile(tmp_path / "a", 100, hashlib.sha256())
    assert not (tmp_path / "a").exists()


def test_writing_in_parts_goes_on_where_it_stopped(tmp_path, monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, place: pwrite(
        descriptor, data[:5 * ALIGNMENT], place))
    assert write(tmp_path / "a") == check_written(tmp_path / "a")


def test_the_environment_chooses_the_page_cache(sample, tmp_path, monkeypatch):
    opened, open_file = [], os.open

    def recording(path, flags, *mode, **keywords):
        if str(path).endswith(".mindrecord"):
            opened.append(bool(flags & os.O_DIRECT))
        return open_file(path, flags, *mode, **keywords)
    monkeypatch.setattr(os, "open", recording)
    convert(Request(sample, "val", tmp_path / "direct", shards=1))
    assert opened[0]
    opened.clear()
    monkeypatch.setenv(WRITING, "page-cache")
    convert(Request(sample, "val", tmp_path / "cached", shards=1))
    assert opened == [False]
    assert digests(tmp_path / "cached") == digests(tmp_path / "direct")
    monkeypatch.setenv(WRITING, "fast")
    with pytest.raises(RequestError, match="SHARD_WRITING=fast: set it to page-cache"):
        convert(Request(sample, "val", tmp_path / "b", shards=1))
