"""What a check is, and how checks run in a process of their own.

What needs MindSpore runs in such a process: a crash of MindSpore or a rank that hangs becomes a row
of the table, and the card is free again for the next process.
"""

import functools
import json
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, ParamSpec, Sequence

from common.cli import CheckFailed, RequestError
from common.host_forms import Check
from common.text import one_line
from inceptionv4.launch import SECONDS_FOR_RANKS

OK, WARN, FAIL = "ok", "warn", "fail"
DEVICES = "devices"  # the check whose finding begins with the device and a colon, if one was found
POLL_SECONDS = 0.2
SECONDS_FOR_LAUNCHER = SECONDS_FOR_RANKS + 10  # killed earlier, it would leave its ranks running
LONGEST_REASON = 300  # characters of an exception

Arguments = ParamSpec("Arguments")


class Verdict(NamedTuple):
    """What a check says; its name is the decorator's."""

    state: str
    finding: str
    advice: str = ""


def ok(finding: str) -> Verdict:
    return Verdict(OK, finding)


def warn(finding: str, advice: str) -> Verdict:
    return Verdict(WARN, finding, advice)


def fail(finding: str, advice: str) -> Verdict:
    return Verdict(FAIL, finding, advice)


def check(name: str) -> Callable[[Callable[Arguments, Verdict]], Callable[Arguments, Check]]:
    """Make a function that returns a verdict one that returns the ``Check`` of this name, and
    fails with the reason instead of raising an exception."""
    def decorate(function: Callable[Arguments, Verdict]) -> Callable[Arguments, Check]:
        @functools.wraps(function)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Check:
            try:
                return Check(name, *function(*args, **kwargs))
            except (RequestError, CheckFailed) as error:  # the message says what to do
                return Check(name, FAIL, one_line(error, LONGEST_REASON))
            except Exception as error:
                reason = f"{type(error).__name__}: {one_line(error, LONGEST_REASON)}"
                return Check(name, FAIL, reason,
                             "report this with doctor.json and the logs next to it")
        return checked
    return decorate


def add_result(results: Path, found: Check) -> None:
    """Append the check to the file from which ``checks_of_process`` reads it."""
    with open(results, "a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(found)) + "\n")


def checks_of_process(name: str, command: Sequence[object], results: Path, log: Path,
                      seconds: float) -> Iterator[Check]:
    """Run the command, which adds its checks to ``results``; yield each when it is there, and one
    more, a fail, if the command did not end well without one.

    Args:
        name: of that one more check.
        log: file for what the process prints.
        seconds: after which it is ended.
    """
    results.write_bytes(b"")
    found: list[Check] = []
    end = time.monotonic() + seconds
    with open(log, "wb") as output:
        process = subprocess.Popen([str(word) for word in command], stdout=output,
                                   stderr=subprocess.STDOUT)
    try:
        running = True
        while running:
            # Before reading: nothing that was written until then is missed.
            running = process.poll() is None and time.monotonic() < end
            for line in results.read_bytes().split(b"\n")[len(found):-1]:
                found.append(Check(**json.loads(line)))
                yield found[-1]
            if running:
                time.sleep(POLL_SECONDS)
        code = process.poll()
    finally:
        _end(process)
        results.unlink()
    if code != 0 and not any(each.state == FAIL for each in found):
        ending = f"did not end within {seconds:g} s" if code is None else f"ended with {code}"
        after = f" after the check '{found[-1].name}'" if found else ""
        yield Check(name, FAIL, f"the process {ending}{after}: {_reason(log)}",
                    f"see {log}; later checks of this process did not run")


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.terminate()  # a launcher ends its ranks
        try:
            process.wait(SECONDS_FOR_LAUNCHER)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _reason(log: Path) -> str:
    """Return the last line that names an error, such as that of a rank in what its launcher prints,
    or else the last line."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
             if line.strip()]
    named = [line for line in lines if line.startswith(("error: ", "failed: "))]
    return (named or lines or ["it printed nothing"])[-1][:LONGEST_REASON]
