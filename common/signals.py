"""Ctrl-C, SIGTERM and a closed terminal: how they end a command.

Each raises ``Interrupted`` in the main thread, which ``common.cli.run_command`` turns into one line
and the exit code 130, 143 or 129. A command that runs MindSpore's graphs calls
``take_signals_from_mindspore`` before it imports MindSpore.
"""

import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import Iterator, NoReturn, Optional

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS_TO_END = 60  # for the main thread to save its work and leave a call into a library


class Interrupted(KeyboardInterrupt):
    """The process got the ending signal ``number``."""

    def __init__(self, number: int = signal.SIGINT):
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        return 128 + self.number


class _State:
    """What the main thread and the thread that waits for signals tell each other."""

    kept = "completed work is kept"
    at_once = False
    received = 0


def note_kept_work(text: str) -> None:
    """Set what the line of an interrupted command says: what is kept, and how to resume."""
    _State.kept = text


def interruption_line() -> str:
    return f"interrupted: {_State.kept}"


def raise_on_ending_signals() -> None:
    """Make the ending signals raise ``Interrupted``; call it in the main thread."""
    for number in _heard_signals():
        signal.signal(number, _raise_interrupted)


def _heard_signals() -> set[int]:
    """Return the ending signals, without a SIGHUP that nohup has set to be ignored."""
    return {number for number in ENDING_SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN}


def _raise_interrupted(number: int, _: Optional[FrameType]) -> NoReturn:
    raise Interrupted(_State.received or number)


def take_signals_from_mindspore() -> None:
    """Make the ending signals raise ``Interrupted`` whatever handlers MindSpore installs.

    With each run of a graph MindSpore puts its own handler of SIGINT in place of Python's; it kills
    the process. While a graph is compiled, Ctrl-C is lost or becomes an error of the compiler. So
    the signals are blocked in every thread, no handler is ever called, and a thread of ours waits
    for them. MindSpore's threads inherit the mask: call this before MindSpore is imported.
    """
    heard = _heard_signals()
    signal.signal(signal.SIGUSR1, _raise_interrupted)
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, heard))
    threading.Thread(target=_wait_for_signals, args=(heard,), daemon=True).start()


def _wait_for_signals(heard: set[int]) -> None:
    number = _State.received = signal.sigwait(heard)
    main_thread = threading.main_thread().ident
    if not _State.at_once and main_thread is not None:
        signal.pthread_kill(main_thread, signal.SIGUSR1)  # also ends its sleep or its waiting
        signal.sigtimedwait(heard, SECONDS_TO_END)  # a second Ctrl-C ends the process now
    print(interruption_line(), file=sys.stderr, flush=True)
    os._exit(128 + number)


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process at the signal itself while the body runs: for calls into MindSpore that
    return to Python minutes later, such as compiling, while there is nothing to save."""
    _State.at_once = True
    try:
        yield
    finally:
        _State.at_once = False
