"""Reading blacklists: every way of writing one, every way of getting one wrong."""

import hashlib
import subprocess
import sys

import pytest

from blacklist.ids import (ILSVRC_SHA256, Blacklist, load_blacklist)
from common.cli import RequestError


def write(tmp_path, text):
    path = tmp_path / "blacklist.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_ids_names_comments_and_blank_lines_give_the_same_list(tmp_path):
    plain = load_blacklist(write(tmp_path, "36\n50\n49981\n"))
    mixed = load_blacklist(write(
        tmp_path, "\ufeff# poor boxes\n\nILSVRC2012_val_00049981.JPEG\r\n50  # twice as poor\n"
                  "val/ILSVRC2012_val_00000036\n"))
    assert plain == mixed
    assert plain.ids == {36, 50, 49981}


def test_digest_is_of_ascending_decimal_lines(tmp_path):
    assert load_blacklist(write(tmp_path, "50\n36\n")).sha256 == hashlib.sha256(
        b"36\n50\n").hexdigest()


def test_only_the_ilsvrc_digest_counts_as_ilsvrc(tmp_path):
    assert Blacklist(frozenset({1}), ILSVRC_SHA256).is_ilsvrc
    assert not load_blacklist(write(tmp_path, "36\n")).is_ilsvrc


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
def test_a_bad_list_is_refused_with_file_and_line(tmp_path, text, images, words):
    path = write(tmp_path, text)
    with pytest.raises(RequestError) as error:
        load_blacklist(path, images)
    assert words in str(error.value) and str(path) in str(error.value)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(RequestError, match="does not exist"):
        load_blacklist(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(RequestError, match="not a text file"):
        load_blacklist(tmp_path / "binary")


def run_check(*arguments):
    return subprocess.run([sys.executable, "-m", "blacklist", "check", *map(str, arguments)],
                          capture_output=True, text=True)


def test_check_says_count_digest_and_verdict(tmp_path):
    done = run_check(write(tmp_path, "36\n50\n"))
    assert done.returncode == 0
    assert "2 ids" in done.stdout and hashlib.sha256(b"36\n50\n").hexdigest() in done.stdout
    assert "not the ILSVRC list of 1,762 ids" in done.stdout


def test_a_bad_file_ends_with_one_error_line_and_exit_code_2(tmp_path):
    done = run_check(write(tmp_path, "0\n"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
