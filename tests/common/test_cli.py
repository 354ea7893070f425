"""How commands parse, show progress and end."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.cli import (TYPED_COMMAND, UNDER_MAKE, ArgumentParser, CheckFailed, RequestError,
                        make_command, module_command, print_next, run_command, shown_command,
                        typed_command, version, without_flags)
from common import cli
from common.host import available_cores
from common.signals import Interrupted

ROOT = Path(__file__).parents[2]


def raising(error):
    def main():
        raise error
    return main


def test_success_and_defects_pass_through():
    assert run_command(lambda: None) == 0
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()))


@pytest.mark.parametrize("error, code, line", [
    (RequestError("seed 'x'\nis no number"), 2, "error: seed 'x' is no number\n"),
    (CheckFailed("shard 3"), 1, "failed: shard 3\n"),
    (KeyboardInterrupt(), 130, "interrupted: nothing was kept; start it again: "),
    (Interrupted(15), 143, "interrupted: nothing was kept; start it again: "),
    (OSError("odd"), 2, "error: odd: (check"),
    (PermissionError(13, "Permission denied", "/root/x"), 2, "error: Permission denied: '/root/x'"),
    (OSError(28, "No space left on device"), 2, "error: No space left on device: (check"),
    (OSError(28, "No space", "o/.building/00003.host.12.tmp/x"), 2, "error: No space: 'o' (check"),
    (OSError(28, "No space", "o/.result.json.12.tmp"), 2, "error: No space: 'o/result.json' ("),
    (BrokenPipeError(32, "Broken pipe"), 2, "error: Broken pipe: (check"),
])
def test_failures_end_as_one_line_and_exit_code(error, code, line, capsys):
    assert run_command(raising(error)) == code
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(line) and printed.err.count("\n") == 1


@pytest.mark.parametrize("words, said", [
    (["foo"], "'foo' is no sub-command; choose from run, show (see: test --help)"),
    ([], "the following arguments are required: SUB-COMMAND (see: test --help)")])
def test_an_unknown_word_is_called_a_subcommand(words, said):
    parser = ArgumentParser(prog="test")
    commands = parser.add_subcommands()
    for name in ("run", "show"):
        commands.add_parser(name)
    with pytest.raises(RequestError, match=re.escape(said)):
        parser.parse_args(words)
    assert parser.parse_args(["show"]).command == "show"


PRINTING = ("import sys; from common.cli import run_command, RequestError\n"
            "def main():\n"
            "    print('猫')\n"
            "    if sys.argv[1:]: raise RequestError('猫')\n"
            "sys.exit(run_command(main))")


@pytest.mark.parametrize("arguments, code", [("", 0), ("fail", 2)])
@pytest.mark.parametrize("redirection, encoding, lines", [
    ("", "ascii", ["\\u732b", "error: \\u732b"]), ("", "utf-8", ["猫", "error: 猫"]),
    (">&-", "utf-8", ["error: 猫"]), ("2>&-", "utf-8", ["猫"])])
def test_output_reaches_what_can_show_it_and_its_lack_ends_nothing(
        arguments, code, redirection, encoding, lines):
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {arguments} {redirection}', sys.executable, PRINTING],
        cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True,
        check=False)
    assert done.returncode == code
    printed = (done.stdout + done.stderr).decode().splitlines()
    assert printed == [line for line in lines if code or not line.startswith("error")]


def test_a_reader_that_ends_ends_the_command_in_silence():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", PRINTING], cwd=ROOT, stdout=writer,
                          stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_wrong_argument_is_a_request_error_and_help_shows_the_defaults_that_say_something():
    parser = ArgumentParser(prog="python -m convert")
    parser.add_argument("--seed", type=int, default=0, help="a number")
    parser.add_argument("--out", required=True, help="a folder")
    parser.add_argument("--list", action="store_true", help="a switch")
    with pytest.raises(RequestError, match=r"--seed: invalid int value: 'x' .*convert --help"):
        parser.parse_args(["--seed", "x"])
    parser.add_argument("--sizes", nargs="+", default=(2, 5), help="sizes")
    parser.add_argument("--none", nargs="+", default=(), help="nothing")
    shown = parser.format_help()
    assert "a number (default: 0)" in shown and "sizes (default: 2 5)" in shown
    assert shown.count("default") == 2
    with pytest.raises(RequestError, match="unrecognized arguments: --see 3"):
        parser.parse_args(["--out", "o", "--see", "3"])  # no abbreviations


def test_a_position_that_is_given_as_a_flag_is_explained_where_no_such_flag_is():
    parser = ArgumentParser(prog="test")
    parser.add_argument("records")
    for words in (["--records", "a"], ["--records=a"]):
        with pytest.raises(RequestError, match="--records is no flag here: give its value without"):
            parser.parse_args(words)
    parser.add_argument("--records", dest="other")
    assert vars(parser.parse_args(["--records", "a", "b"])) == {"records": "b", "other": "a"}
    passing = ArgumentParser(prog="test")
    passing.add_argument("words", nargs=argparse.REMAINDER)
    assert passing.parse_args(["train", "--words", "1"]).words == ["train", "--words", "1"]


BEFORE_MINDSPORE = """
import ctypes, os, signal, sys, warnings
from common.cli import run_command
def main():
    for module in ("joblib.parallel", "other"):
        warnings.warn_explicit(f"of {module}", UserWarning, "file", 1, module=module)
    print(os.environ["GLOG_v"], hasattr(ctypes.CDLL(None), "jpeg_CreateDecompress"), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()
sys.exit(run_command(main))
"""


@pytest.mark.parametrize("chosen, level", [({}, "3"), ({"GLOG_v": "1"}, "1")])
def test_a_command_sets_what_must_be_set_before_mindspore_is_imported(chosen, level):
    environment = {name: value for name, value in os.environ.items() if name != "GLOG_v"}
    done = subprocess.run([sys.executable, "-c", BEFORE_MINDSPORE], cwd=ROOT, text=True,
                          env={**environment, **chosen}, capture_output=True)
    assert (done.returncode, done.stdout) == (143, f"{level} True\n")
    assert "of other" in done.stderr and "of joblib" not in done.stderr
    assert "\ninterrupted: nothing was kept; start it again: " in done.stderr


def test_the_version_of_what_is_installed_counts_where_no_source_tree_is(monkeypatch, tmp_path):
    monkeypatch.setattr(cli.importlib.metadata, "version", "that of {}".format)
    here = version()
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "common" / "cli.py"))
    assert version() == "that of imagenet-mindrecord" != here
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = other\nversion = 9")
    assert version() == "that of imagenet-mindrecord"


def test_the_next_command_follows_what_was_printed_before_it():
    code = "from common.cli import print_next; print('result'); print_next('a')"
    environment = {name: value for name, value in os.environ.items() if name != UNDER_MAKE}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.stdout == "result\nnext: a\n"


def test_the_command_is_known_as_it_was_typed(monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python3.11", "-m", "train", "--run", "a b"])
    assert typed_command() == ["python", "-m", "train", "--run", "a b"]
    monkeypatch.setenv(TYPED_COMMAND, '["python", "-m", "inceptionv4.launch", "train"]')
    assert typed_command() == ["python", "-m", "inceptionv4.launch", "train"]


def test_the_command_that_is_shown_finds_the_interpreter(monkeypatch, tmp_path):
    """Whoever used make alone has no ``python`` with MindSpore in the PATH."""
    monkeypatch.setattr(sys, "orig_argv", ["python3.11", "-m", "train"])
    monkeypatch.setenv(UNDER_MAKE, "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/.venv/bin/python")
    for found, shown in ((sys.executable, "python"), ("/usr/bin/python", ".venv/bin/python"),
                         (None, ".venv/bin/python")):
        monkeypatch.setattr("shutil.which", lambda name, found=found: found)
        assert shown_command("--resume", "-m") == f"{shown} -m train --resume"
    monkeypatch.setattr(sys, "executable", "/opt/python")
    assert shown_command() == "/opt/python -m train"


def test_the_next_commands_are_printed_unless_make_does(monkeypatch, capsys):
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-m", "train"])
    monkeypatch.setattr("shutil.which", lambda name: sys.executable)
    monkeypatch.delenv(UNDER_MAKE, raising=False)
    print_next(module_command("convert", "verify", Path("my records")), "b")
    assert capsys.readouterr().err == "next: python -m convert verify 'my records'\nthen: b\n"
    monkeypatch.setenv(UNDER_MAKE, "make train-1p RUN='a b' PRESET=smoke")
    print_next("a")
    assert capsys.readouterr().err == ""
    print_next("a", under_make=make_command("eval-1", "RUN", "DEVICE", CKPT="a b/x.ckpt", ARGS=""))
    assert capsys.readouterr().err == "next: make eval-1 CKPT='a b/x.ckpt' RUN='a b'\n"
    monkeypatch.setenv(UNDER_MAKE, "")  # a target that says itself what is next
    print_next("a", under_make="b")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("typed, shown", [
    ("make train-1p", "make train-1p ARGS=--resume"),
    ("make train-8p RUN='it'\\''s' ARGS='--epochs 3'",
     "make train-8p RUN='it'\"'\"'s' ARGS='--epochs 3 --resume'"),
    ("make train-1p ARGS='--resume' RUN=a", "make train-1p ARGS=--resume RUN=a")])
def test_what_resumes_a_command_of_make_is_one_of_make(monkeypatch, typed, shown):
    monkeypatch.setenv(UNDER_MAKE, typed)
    assert shown_command("--resume") == shown


@pytest.mark.parametrize("words, left", [
    ("--a 1 --dry-run --b 2", "--a 1 --b 2"), ("--dry-run 8 --b 2 3", "--b 2 3"),
    ("x --b 2 --dry-run=8", "x --b 2"), ("--dry-runs 8", "--dry-runs 8")])
def test_flags_are_left_out_with_their_values(words, left):
    assert without_flags(words.split(), ["--dry-run"]) == left.split()


@pytest.mark.parametrize("words", [
    "blacklist", "blacklist check", "convert", "convert run", "inceptionv4", "inceptionv4 export",
    "inceptionv4.launch", "evaluate", "evaluate report", "train", "benchmarks",
    "benchmarks doctor"])
def test_every_command_says_its_version_which_is_that_of_setup_cfg(words):
    module, *rest = words.split()
    done = subprocess.run([sys.executable, "-m", module, *rest, "--version"], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"imagenet-mindrecord {version()} (MindSpore 2.")
    assert f"\nversion = {version()}\n" in (ROOT / "setup.cfg").read_text()
    assert f"\n## [{version()}]" in (ROOT / "CHANGELOG.md").read_text()


def test_cores_follow_affinity_and_the_limit_of_joblib(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    assert available_cores() in (2, 3)  # a container's quota may be lower
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    assert available_cores() == 2
