"""How commands end."""

import pytest

from common.cli import ArgumentParser, CheckFailed, RequestError, positive_int, run_command


def raising(error):
    def main():
        raise error
    return main


@pytest.mark.parametrize("error, code, line", [
    (RequestError("seed 'x'\nis no number"), 2, "error: seed 'x' is no number\n"),
    (CheckFailed("shard 3"), 1, "failed: shard 3\n"),
    (KeyboardInterrupt(), 130, "interrupted: "),
    (PermissionError(13, "Permission denied", "/root/x"), 2, "error: Permission denied: '/root/x'"),
    (OSError(28, "No space left on device"), 2, "error: No space left on device: (check"),
])
def test_failures_end_as_one_line_and_exit_code(error, code, line, capsys):
    assert run_command(raising(error)) == code
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(line) and printed.err.count("\n") == 1


def test_defects_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()))


def test_success_is_zero():
    assert run_command(lambda: None) == 0


def test_a_wrong_argument_is_a_request_error():
    parser = ArgumentParser(prog="python -m convert")
    parser.add_argument("--seed", type=int)
    with pytest.raises(RequestError, match=r"--seed: invalid int value: 'x' .*convert --help"):
        parser.parse_args(["--seed", "x"])


@pytest.mark.parametrize("text", ["0", "-1", "2.5", "many", ""])
def test_a_count_is_at_least_one(text):
    parser = ArgumentParser(prog="python -m convert")
    parser.add_argument("--workers", type=positive_int)
    assert parser.parse_args(["--workers", "12"]).workers == 12
    with pytest.raises(RequestError, match=f"'{text}' is not a whole number of at least 1"):
        parser.parse_args([f"--workers={text}"])


def test_help_shows_the_defaults_that_say_something():
    parser = ArgumentParser(prog="python -m convert")
    parser.add_argument("--seed", type=int, default=0, help="a number")
    parser.add_argument("--out", required=True, help="a folder")
    parser.add_argument("--list", action="store_true", help="a switch")
    shown = parser.format_help()
    assert "a number (default: 0)" in shown and shown.count("default") == 1
