"""Files that matter are replaced whole or not at all."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os

import pytest

from common import files
from common.cli import RequestError
from common.files import (claim_folder, describe_difference, existing_folder, fsync_folder,
                          locked_file, make_folder, read_bytes, read_json, read_json_lines,
                          read_lines, replaced_file, sha256_of_file, write_json)


def test_a_file_appears_only_when_complete_and_a_failed_write_keeps_the_old_one(tmp_path):
    path = tmp_path / "x"
    with replaced_file(path) as file:
        file.write(b"whole")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError):
        with replaced_file(path) as file:
            file.write(b"half")
            raise ZeroDivisionError
    with pytest.raises(ValueError):
        write_json(path, float("nan"))
    assert path.read_bytes() == b"whole" and os.listdir(tmp_path) == ["x"]


def test_digest_is_of_all_bytes(tmp_path):
    data = os.urandom((1 << 20) + 17)
    (tmp_path / "x").write_bytes(data)
    assert sha256_of_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_a_written_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (
            calls.append(name), real(*args)))
    write_json(tmp_path / "x.json", {})
    assert calls == ["fsync", "replace", "fsync"]  # the file, then the folder


@pytest.mark.parametrize("text, message", [
    ("{", "is damaged"), ("[1]", "does not hold a JSON"),
    (100_000 * "[", "is damaged .lists and objects are nested more than 100 deep"),
    ('{"a": ' + 100 * "[" + 100 * "]" + "}", "is damaged .lists and objects are nested more"),
])
def test_what_is_no_json_object_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(RequestError, match=f"a.json {message}.*; fetch it again"):
        read_json(tmp_path / "a.json", "fetch it again")


def test_nesting_that_can_be_compared_and_shown_is_read(tmp_path):
    text = '{"a": ' + 99 * "[" + 99 * "]" + "}"
    (tmp_path / "a.json").write_text(text)
    assert json.dumps(read_json(tmp_path / "a.json", "")) == text


@pytest.mark.parametrize("read", [read_bytes, sha256_of_file, lambda path: read_lines(path, "id"),
                                  lambda path: read_json(path, ""), read_json_lines])
def test_what_might_never_end_is_refused_unopened(tmp_path, read):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("fifo", "link"):
        with pytest.raises(RequestError, match=f"{tmp_path / name} is a FIFO, a socket or a dev"):
            read(tmp_path / name)


def test_a_last_line_that_a_kill_cut_short_is_left_out(tmp_path):
    path = tmp_path / "lines"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": ')
    assert read_json_lines(path) == [{"a": 1}, {"a": 2}]
    for line in ('{"a"', 100_000 * "["):
        path.write_text(f'{{"a": 1}}\n{line}\n{{"a": 3}}\n')
        with pytest.raises(RequestError, match="line 2, is damaged"):
            read_json_lines(path)


def test_what_differs_is_spelled_out():
    assert describe_difference({"b": 1, "a": 0, "c": 2}, {"a": 7, "c": 2}) == (
        "a: was 0, now 7, b: was 1, now None")
    assert describe_difference({"a": 1}, {"a": 1, "d": 3}) == "d: was None, now 3"
    assert describe_difference({"a": 1}, {"a": 1}) == ""
    assert describe_difference({"a_sha256": "0123456789abcdef"}, {"a_sha256": None}) == (
        "a_sha256: was 0123456789ab, now None")


def refusing(number):
    def call(*args, **kwargs):
        raise OSError(number, os.strerror(number))
    return call


@pytest.mark.parametrize("links", [True, False])
def test_a_folder_belongs_to_its_first_request(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    for request in ({"seed": 0}, {"seed": 0}):
        claim_folder(tmp_path / "request.json", request, "whose", "remedy")
    with pytest.raises(RequestError, match=r"whose \(seed: was 0, now 7\); remedy"):
        claim_folder(tmp_path / "request.json", {"seed": 7}, "whose", "remedy")
    assert {*os.listdir(tmp_path)} - {"request.json.claimed"} == {"request.json"}
    assert read_json(tmp_path / "request.json", "") == {"seed": 0}


def test_who_comes_second_without_hard_links_waits_for_the_first(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", refusing(errno.EOPNOTSUPP))
    path = tmp_path / "request.json"
    (tmp_path / "request.json.claimed").touch()
    monkeypatch.setattr("time.sleep", lambda seconds: write_json(path, {"seed": 0}))
    with pytest.raises(RequestError, match="seed: was 0, now 7"):
        claim_folder(path, {"seed": 7}, "whose", "remedy")


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fcntl, "flock", refusing(errno.ENOSYS))
    with pytest.raises(RequestError, match="the file system .+ at /.* has no locks .*: --no-lock"):
        with locked_file(tmp_path / "lock", "refusal", without_locks="--no-lock"):
            pass
    with locked_file(tmp_path / "lock", "refusal"):
        pass
    assert "nothing stops another process" in capsys.readouterr().err


def test_the_file_system_is_the_one_that_lies_deepest(tmp_path, monkeypatch):
    mounts = "a / ext4 rw\nb /mnt nfs rw\nc /mnt/my\\040data lustre rw\nd /mnt/my exfat rw\n"
    monkeypatch.setattr(files.Path, "read_text", lambda *_, **__: mounts)
    for path, kind in (("/mnt/my data/x", "lustre at /mnt/my data"), ("/mnt/mine", "nfs at /mnt"),
                       ("/mnt/my", "exfat at /mnt/my"), ("/other", "ext4 at /")):
        assert files._file_system(path) == f"the file system {kind}"


def test_a_lock_is_shared_with_those_that_share_it(tmp_path):
    path = tmp_path / "lock"
    with locked_file(path, "refused", shared=True), locked_file(path, "refused", shared=True):
        with pytest.raises(RequestError, match="refused"), locked_file(path, "refused"):
            pass
    with locked_file(path, "refused"):
        for shared in (True, False):
            with pytest.raises(RequestError, match="refused"), locked_file(path, "refused", shared):
                pass


@pytest.mark.parametrize("number, named", [(errno.ENOSPC, True), (errno.EDQUOT, True),
                                           (errno.EIO, False)])
def test_a_full_disk_is_told_with_the_file(tmp_path, number, named):
    with pytest.raises(OSError) as error, replaced_file(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert error.value.filename == (str(tmp_path / "x") if named else None)
    with pytest.raises(OSError) as error, replaced_file(tmp_path / "x"):
        raise OSError(number, os.strerror(number), "inner")
    assert error.value.filename == "inner" and not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [0, errno.EINVAL, errno.EIO])
def test_a_folder_is_closed_however_its_sync_ends(tmp_path, monkeypatch, number):
    if number:
        monkeypatch.setattr(os, "fsync", refusing(number))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) if number == errno.EIO else contextlib.nullcontext():
        fsync_folder(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(RequestError, match=f"{tmp_path} is a folder; give a file"):
        read_bytes(tmp_path)
    with pytest.raises(RequestError, match="a.json is damaged"):
        (tmp_path / "a.json").write_bytes(b"\xff")
        read_json(tmp_path / "a.json", "")


def test_a_folder_that_cannot_be_written_is_named_with_its_flag(tmp_path):
    make_folder(tmp_path / "a" / "b", "--out")
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", "/proc/none"):
        with pytest.raises(RequestError, match=f"--out {place}: no folder"):
            make_folder(place, "--out")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_lines_of_a_text_file_are_read_without_its_mark_and_the_spaces_at_their_ends(tmp_path):
    path = tmp_path / "names.txt"
    for content, message in ((None, "does not exist; give a text file with one name per line"),
                             (b"\xff\xfe", "is not a text file; put one name on each line")):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(RequestError, match=f"{path} {message}"):
            read_lines(path, "name")
    path.write_bytes("\ufeffone \r\n\n  zwölf".encode())
    assert read_lines(path, "name") == ["one", "", "zwölf"]


def test_the_disk_of_a_folder_that_does_not_exist_yet_is_that_of_the_one_above(tmp_path):
    assert existing_folder(tmp_path) == tmp_path == existing_folder(tmp_path / "a" / "b")
