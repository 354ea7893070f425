"""A check never raises, and a process of checks that crashes or hangs becomes a row."""

import math
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.doctor import checks
from benchmarks.doctor.checks import Check, check, checks_of_process, fail, ok, warn
from common.cli import RequestError
from inceptionv4.launch import SECONDS_FOR_RANKS


@pytest.mark.parametrize("verdict, expected", [
    (ok("as it should be"), Check("cores", "ok", "as it should be")),
    (warn("few", "take more"), Check("cores", "warn", "few", "take more")),
    (fail("none", "take some"), Check("cores", "fail", "none", "take some"))])
def test_a_check_says_its_verdict_under_its_name(verdict, expected):
    assert check("cores")(lambda: verdict)() == expected


def test_an_exception_is_a_fail_with_its_reason_on_one_line():
    def refuse():
        raise RequestError("x is missing;\n give x")

    def crash():
        raise ValueError("bad\n----------\n value")
    assert check("x")(refuse)() == Check("x", "fail", "x is missing; give x")
    crashed = check("x")(crash)()
    assert (crashed.state, crashed.finding) == ("fail", "ValueError: bad value")
    assert "doctor.json" in crashed.advice

    def say_much(kind):
        raise kind("x" * 1000)
    assert [len(check("x")(say_much)(kind).finding) for kind in (RequestError, ValueError)] == [
        300, 300 + len("ValueError: ")]


def checks_of(code: str, tmp_path, seconds: float = math.inf) -> list[Check]:
    results = tmp_path / "found.jsonl"
    program = ("import os, sys, time; from pathlib import Path\n"
               "from benchmarks.doctor.checks import Check, add_result\n"
               "def add(*values): add_result(Path(sys.argv[1]), Check(*values))\n" + code)
    return list(checks_of_process("device", [sys.executable, "-c", program, results], results,
                                  tmp_path / "log", seconds))


HASH = Check("hash", "ok", "equal")


def test_checks_of_a_process_that_ends_well(tmp_path):
    assert checks_of("add('hash', 'ok', 'equal')\nadd('loss', 'warn', 'a', 'b')", tmp_path) == [
        HASH, Check("loss", "warn", "a", "b")]
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_process_that_dies_is_a_row(tmp_path):
    found, died = checks_of("add('hash', 'ok', 'equal')\nprint('oh no', flush=True)\nos.abort()",
                            tmp_path)
    assert found == HASH and (died.name, died.state) == ("device", "fail")
    assert died.finding == "the process ended with -6 after the check 'hash': oh no"
    assert str(tmp_path / "log") in died.advice


@pytest.mark.parametrize("ending, reason", [
    ("sys.exit(3)", "it printed nothing"), ("print('\\n first \\n last \\n'); sys.exit(3)", "last"),
    ("os.write(2, b'\\xff' + 400 * b'x'); os._exit(3)", "\ufffd" + 299 * "x")])
def test_the_last_line_is_the_reason_without_checks_before(ending, reason, tmp_path):
    died, = checks_of(ending, tmp_path)
    assert died.finding == f"the process ended with 3: {reason}"


def test_a_process_that_fails_after_warnings_and_ends_is_a_row(tmp_path):
    """One that ends well after a fail has no row more than its checks."""
    assert checks_of("add('hash', 'ok', 'equal')\nadd('loss', 'fail', 'a', 'b')", tmp_path) == [
        HASH, Check("loss", "fail", "a", "b")]
    assert [each.name for each in checks_of("add('hash', 'warn', 'a', 'b')\nsys.exit(1)",
                                            tmp_path)] == ["hash", "device"]


def test_a_launcher_has_time_to_end_its_ranks_and_what_ignores_that_is_killed(monkeypatch):
    done = []

    class Process:
        def __init__(self, stubborn):
            self.stubborn = stubborn

        def poll(self):
            return None

        def terminate(self):
            done.append("terminate")

        def wait(self, seconds=None):
            done.append(seconds)
            if seconds is not None and self.stubborn:
                raise checks.subprocess.TimeoutExpired("x", seconds)

        def kill(self):
            done.append("kill")
    checks._end(Process(stubborn=False))
    assert done == ["terminate", SECONDS_FOR_RANKS + 10]
    done.clear()
    checks._end(Process(stubborn=True))
    assert done == ["terminate", SECONDS_FOR_RANKS + 10, "kill", None]
    checks._end(SimpleNamespace(poll=lambda: 0))  # ended already


def test_the_error_of_another_rank_is_the_reason_whatever_follows_it(tmp_path):
    _, died = checks_of("add('hash', 'ok', 'equal')\nprint('rank 1 ended with exit code 1:\\n  "
                        "failed: all-reduce on rank 1: 3 sums are wrong\\n  [WARNING] x', "
                        "flush=True)\nsys.exit(1)", tmp_path)
    assert died.finding == ("the process ended with 1 after the check 'hash': failed: all-reduce "
                            "on rank 1: 3 sums are wrong")


def test_a_fail_that_ends_the_process_is_the_only_row(tmp_path):
    only, = checks_of("add('hash', 'fail', 'differs')\nsys.exit(1)", tmp_path)
    assert only.finding == "differs"


def test_a_process_that_hangs_is_ended(tmp_path, monkeypatch):
    """Its time is over when it has written its number."""
    code = "add('hash', 'ok', 'equal')\nPath(sys.argv[1] + '.pid').write_text(str(os.getpid()))\n" \
        "time.sleep(30)"
    number = tmp_path / "found.jsonl.pid"
    monkeypatch.setattr(checks, "time", SimpleNamespace(
        sleep=time.sleep, monotonic=lambda: 3 if number.exists() and number.read_text() else 0))
    equal, hung = checks_of(code, tmp_path, seconds=2)
    assert equal == HASH and "did not end within 2 s" in hung.finding
    assert not Path(f"/proc/{number.read_text()}").exists()
