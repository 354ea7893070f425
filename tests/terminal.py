"""A command on a terminal of its own, for tests that interrupt it as a user does."""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
CTRL_C = "\x03"


class Ended(NamedTuple):
    """How an interrupted command ended; ``lines`` are those that it printed after the signal."""

    code: int
    lines: list[str]


def interrupted(words: list, ready: str, how: object, cwd: Path, delay: float = 0) -> Ended:
    """Start ``python`` with the words, and interrupt it ``delay`` seconds after it printed
    ``ready``.

    Args:
        how: CTRL_C, which the terminal sends to each of its processes, or a signal for this one.
    """
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(cwd)
        os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 24, 120, 0, 0))  # bars need a width
        os.execv(sys.executable, [sys.executable, *map(str, words)])
    shown = _read_until(terminal, ready)
    assert ready in shown, shown
    time.sleep(delay)
    if how == CTRL_C:
        os.write(terminal, CTRL_C.encode())
    else:
        os.kill(process, signal.Signals(how))
    # The echo has no line of its own where a bar was interrupted before its first line ended.
    shown = _read_until(terminal).replace("\r", "\n").replace("^C", "^C\n")
    lines = [line for line in shown.split("\n") if line]
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    return Ended(os.waitstatus_to_exitcode(status), lines)


def _read_until(terminal: int, text: str = "never printed") -> str:
    """Return what the terminal shows until it shows the text, or until the last process that could
    write to it has ended."""
    shown = b""
    while text.encode() not in shown:
        try:
            shown += os.read(terminal, 1 << 16)
        except OSError:  # no process has it open any more
            break
    return shown.decode(errors="replace")
