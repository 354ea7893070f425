"""Reading blacklists: every way of writing one, every way of getting one wrong."""

import hashlib
import sys

import pytest

from blacklist.__main__ import main
from blacklist.ids import ILSVRC_SHA256, Blacklist, load_blacklist
from common.cli import UNDER_MAKE, RequestError, run_command

ASCENDING = hashlib.sha256(b"36\n50\n").hexdigest()


@pytest.fixture
def write(tmp_path):
    def to_file(text):
        path = tmp_path / "blacklist.txt"
        path.write_text(text, encoding="utf-8")
        return path
    return to_file


def test_ids_names_comments_and_blank_lines_give_the_same_list(write):
    plain = load_blacklist(write("36\n50\n49981\n"))
    mixed = load_blacklist(write(
        "\ufeff# poor boxes\n\nILSVRC2012_val_00049981.JPEG\r\n50  # twice as poor\n"
        "val/ILSVRC2012_val_00000036\n"))
    assert plain == mixed
    assert plain.ids == {36, 50, 49981}


def test_only_the_ilsvrc_digest_counts_as_ilsvrc(write):
    assert Blacklist(frozenset({1}), ILSVRC_SHA256).is_ilsvrc
    assert not load_blacklist(write("36\n")).is_ilsvrc


@pytest.mark.parametrize("text, images, words", [
    ("36\n0\n", 50_000, "line 2: image id 0 is outside 1 to 50000"),
    ("101\n", 100, "line 1: image id 101 is outside 1 to 100"),
    ("36\n\n36\n", 50_000, "line 3: image id 36 is already on line 1"),
    ("-4\n", 50_000, "'-4' is neither"),
    ("n01440764\n", 50_000, "'n01440764' is neither"),
    ("3.5\n", 50_000, "'3.5' is neither"),
    ("# nothing\n", 50_000, "lists no image ids"),
    ("9" * 5000 + "\n", 50_000, "is neither"),
])
def test_a_bad_list_is_refused_with_file_and_line(write, text, images, words):
    path = write(text)
    with pytest.raises(RequestError) as error:
        load_blacklist(path, images)
    assert words in str(error.value) and str(path) in str(error.value)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(RequestError, match="does not exist"):
        load_blacklist(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(RequestError, match="not a text file"):
        load_blacklist(tmp_path / "binary")


def test_another_list_fails_where_ilsvrcs_is_expected(write, monkeypatch, capsys):
    path = write("50\n36\n")
    monkeypatch.setattr(sys, "argv", ["blacklist", "check", "--expect-ilsvrc", str(path)])
    assert run_command(main) == 1
    assert f"failed: {path}: 2 ids, sha256 {ASCENDING}: not the ILSVRC list" in (
        capsys.readouterr().err)


@pytest.mark.parametrize("images, code, words", [
    (50, 0, f"2 ids, sha256 {ASCENDING}: not the ILSVRC list of 1,762 ids\n"),
    (49, 2, "line 1: image id 50 is outside 1 to 49"),
    (0, 2, "error: --images 0: give at least 1\n")])
def test_check_says_count_digest_and_verdict(write, monkeypatch, capsys, images, code, words):
    path = write("50\n36\n")
    monkeypatch.setattr(sys, "argv", ["blacklist", "check", str(path), "--images", str(images)])
    monkeypatch.delenv(UNDER_MAKE, raising=False)
    assert run_command(main) == code
    printed = capsys.readouterr()
    assert words in (printed.err if code else printed.out)
    assert (printed.out + printed.err).count("\n") == (1 if code else 2)
    assert (f"--out records/val --blacklist {path}\n" in printed.err) == (code == 0)
