"""Make passes on what it is given, and leaves alone what it did not make."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ODD = "/My Drive/it's $HOME $(x \"q\" #1"


def test_values_reach_the_commands_as_they_were_given(make):
    names = ("IMAGENET", "RECORDS", "RUN", "CKPT", "BLACKLIST", "PRESET", "DEVICE", "MASTER")
    values = [f"{name}={name}{ODD}" for name in names]
    code, calls = make("convert", "verify", "doctor", "train-1p", "train-8p", "eval-1", "bench",
                       "report", "CARDS=2", *values, "ARGS=--a 'b c'")
    assert code == 0 and len(calls) == 10
    given = {name: {word.split(ODD)[0] + ODD + word.split(ODD)[1] for call in calls
                    for word in call if word.startswith(name)} for name in names}
    assert given["RECORDS"] == {f"RECORDS{ODD}{part}" for part in ("", "/train", "/val")}
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


def test_a_recipe_can_be_chosen_and_each_target_has_its_own(make):
    _, calls = make("train-1p", "train-8p", "train-1p", "train-8p", "PRESET=smoke")
    assert {call[call.index("--preset") + 1] for call in calls} == {"smoke"}
    _, calls = make("train-1p", "train-8p")
    chosen = [call[call.index("--preset") + 1] for call in calls if call[:2] == ["-m", "train"]]
    assert chosen[-2:] == ["adsl-1p", "adsl-8p"]


def test_verify_and_report_get_the_folder_of_both_sets(make):
    _, calls = make("verify", "report")
    assert calls[0] == ["-m", "convert", "verify", "records"] and "--records" not in calls[1]
    _, calls = make("report", "RECORDS=there")
    assert calls[2][calls[2].index("--records") + 1] == "there"


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


@pytest.mark.parametrize("target, variables", [
    ("train-1p", [f"RUN=a{ODD}", "PRESET=smoke", "ARGS=--epochs '3'"]),
    ("convert", ["IMAGENET=a", "RECORDS=~/b"]), ("verify", [f"RECORDS=a{ODD}"]),
    ("doctor", ["CARDS=1"]), ("train-8p", []), ("eval-1", ["CKPT=a"]), ("eval-144", ["CKPT=a"]),
    ("bench", []), ("report", ["RUN=a"])])
def test_a_command_knows_what_was_typed_for_make(make, tmp_path, target, variables):
    """From it the command tells what comes next, and how to resume."""
    assert make(target, *variables)[0] == 0
    assert shlex.split((tmp_path / "typed").read_text()) == ["make", target, *variables]


def shown_demo(*words: str) -> list[str]:
    """The commands of the demo, only shown: it would replace the demo of whoever runs the tests."""
    return subprocess.run(["make", "-C", ROOT, "--dry-run", "--no-print-directory",
                           "DONE=/dev/null", "--assume-old=/dev/null", "demo", *words], text=True,
                          check=True, capture_output=True).stdout.replace("\\\n", "").splitlines()


def test_the_demo_ends_with_what_comes_next():
    assert shlex.split(shown_demo()[-1])[1].startswith("next: open demo/report.html; ")


def test_arguments_of_the_demo_go_to_its_training():
    """They change the run, not the sample nor how it is scored."""
    given = [line for line in shown_demo("ARGS=--seed 1") if "--seed" in line]
    assert len(given) == 1 and " -m train " in given[0] and given[0].endswith(" --seed 1")
