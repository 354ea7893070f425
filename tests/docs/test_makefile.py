"""Make passes on what it is given, and leaves alone what it did not make."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make(tmp_path):
    """Run make with a stand-in of its Python that writes its words, one list per command, to
    ``calls``, and ends with the numbers in ``codes``, one after the other."""
    (tmp_path / "stamp").touch()
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport json, pathlib, sys\n"
                      f"calls, codes = (pathlib.Path({str(tmp_path)!r}) / name for name in "
                      "('calls', 'codes'))\n"
                      "with calls.open('a') as file: print(json.dumps(sys.argv[1:]), file=file)\n"
                      "done = len(calls.read_text().splitlines())\n"
                      "sys.exit(int(codes.read_text().split()[done - 1]) if codes.exists() else 0)"
                      "\n")
    python.chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

    def run(*words: str) -> tuple[int, list[list[str]]]:
        done = subprocess.run(["make", "-C", ROOT, "--no-print-directory", f"PY={python}",
                               f"DONE={tmp_path}/stamp", *words], env=clean, check=False,
                              stdout=subprocess.DEVNULL)
        return done.returncode, [json.loads(line) for line in
                                 (tmp_path / "calls").read_text().splitlines()]
    return run


ODD = "/My Drive/it's $HOME $(x \"q\" #1"


def test_values_reach_the_commands_as_they_were_given(make):
    names = ("IMAGENET", "RECORDS", "RUN", "CKPT", "BLACKLIST", "DEVICE", "MASTER")
    values = [f"{name}={name}{ODD}" for name in names]
    code, calls = make("convert", "verify", "doctor", "train-1p", "train-8p", "eval-1", "bench",
                       "report", "CARDS=2", *values, "ARGS=--a 'b c'")
    assert code == 0 and len(calls) == 11
    given = {name: {word.split(ODD)[0] + ODD + word.split(ODD)[1] for call in calls
                    for word in call if word.startswith(name)} for name in names}
    assert given["RECORDS"] == {f"RECORDS{ODD}/train", f"RECORDS{ODD}/val"}
    assert given["RUN"] == {f"RUN{ODD}", f"RUN{ODD}-log"}
    for name in set(names) - {"RECORDS", "RUN"}:
        assert given[name] == {f"{name}{ODD}"}
    assert all("b c" in call for call in calls)


def test_both_splits_are_converted_with_the_same_options(make):
    _, calls = make("convert", "IMAGENET=a", "ARGS=--ground-truth b")
    assert [call[call.index("--split") + 1] for call in calls] == ["val", "train"]
    assert all({"--both-splits", "--ground-truth", "b"} <= set(call) for call in calls)


def test_a_home_folder_is_still_found(make):
    _, calls = make("bench", "DEVICE=~/a b~/c")
    assert calls[0][calls[0].index("--device") + 1] == os.path.expanduser("~/a b~/c")


def test_both_sets_are_verified_and_one_that_is_damaged_fails(make, tmp_path):
    for number, codes in enumerate(("1 0", "0 1", "0 0"), start=1):
        (tmp_path / "codes").write_text("0 " * 2 * (number - 1) + codes)
        code, calls = make("verify")
        assert (code != 0) == ("1" in codes)
        assert [call[-1] for call in calls[-2:]] == ["records/train", "records/val"]
        assert len(calls) == 2 * number


@pytest.mark.parametrize("link", [False, True])
def test_an_environment_that_make_did_not_build_is_refused_and_kept(tmp_path, link):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "package").write_text("")
    venv = theirs
    if link:
        (theirs / ".installed").write_text("")
        os.utime(theirs / ".installed", (0, 0))
        venv = tmp_path / "venv"
        venv.symlink_to(theirs)
    done = subprocess.run(["make", "-C", ROOT, "setup", f"VENV={venv}",
                           f"PYTHON={sys.executable}"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"error: {venv} is a link or was not made by make" in done.stderr
    assert (theirs / "package").exists()
