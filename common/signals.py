"""Ctrl-C, SIGTERM and a closed terminal: how they end a command.

Each raises ``Interrupted`` in the main thread, which ``common.cli.run_command`` turns into one line
and the exit code 130, 143 or 129. A command that runs MindSpore's graphs calls
``take_signals_from_mindspore`` before it imports MindSpore: then a signal ends the process at once,
even in the middle of compiling, and raises ``Interrupted`` only within ``saving_work``.
"""

import atexit
import contextlib
import math
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Callable, Iterator, Optional, Union

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = "interrupted: "  # how the last line of an interrupted command begins
POLL_SECONDS = 0.1
SECONDS_TO_END = 60  # for the main thread to save its work and leave a call into a library
SAME_SIGNAL_SECONDS = 3  # a terminal and a parent process may both send what the user meant once


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

    kept: Union[str, Callable[[], str]] = "nothing was kept"
    waiting = False
    saving = False
    received = 0
    holding = False
    held = 0  # the signal that came meanwhile
    raised_at = -math.inf


def note_kept_work(text: Union[str, Callable[[], str]]) -> None:
    """Set what the line of an interrupted command says: what is kept, and how to resume.

    A function that returns it is called when the signal has come, in a thread where
    ``take_signals_from_mindspore`` was called, and may wait for work that is being saved: the
    process ends without it after SECONDS_TO_END or at a second signal.
    """
    _State.kept = text


def interruption_line() -> str:
    return INTERRUPTED + (_State.kept if isinstance(_State.kept, str) else _State.kept())


def end_on_signals() -> None:
    """Make the ending signals end the process with its line at once: for a program's imports, in
    which an exception may be lost or abort the process. ``raise_on_ending_signals`` follows."""
    for number in _heard_signals():
        signal.signal(number, _end_process)
    # Python's last act resets the handlers; a second signal would then change the exit code.
    atexit.register(_ignore_signals)  # the first registered is called last


def _end_process(number: int, _: Optional[FrameType]) -> None:
    try:
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # the terminal may be closed
            print(interruption_line(), file=sys.stderr, flush=True)
    finally:
        os._exit(128 + number)


def _ignore_signals() -> None:
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def raise_on_ending_signals() -> None:
    """Make the ending signals raise ``Interrupted``; call it in the main thread.

    They are unblocked, since a process inherits what its parent has blocked, unless a thread here
    waits for them.
    """
    heard = _heard_signals()
    for number in heard:
        signal.signal(number, _raise_interrupted)
    if not _State.waiting:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)


def _heard_signals() -> set[int]:
    """Return the ending signals, without a SIGHUP that nohup has set to be ignored."""
    return {number for number in ENDING_SIGNALS
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN}


def _raise_interrupted(number: int, _: Optional[FrameType]) -> None:
    if _State.holding:
        _State.held = _State.held or number
        return
    now = time.monotonic()
    if now - _State.raised_at > SAME_SIGNAL_SECONDS:  # or what the first one started is undone
        _State.raised_at = now
        raise Interrupted(_State.received or number)


@contextlib.contextmanager
def holding_signals_back() -> Iterator[None]:
    """Raise ``Interrupted`` only after the body: for what an exception must not leave half-done,
    such as an import of MindSpore, which aborts the process then, or the start of processes."""
    _State.holding = True
    try:
        yield
    finally:
        _State.holding = False
        number, _State.held = _State.held, 0
        if number:
            _raise_interrupted(number, None)


def take_signals_from_mindspore() -> None:
    """Let an ending signal end the process whatever handlers MindSpore installs.

    With each run of a graph MindSpore puts its own handler of SIGINT in place of Python's; it kills
    the process. While a graph is compiled, Ctrl-C is lost or becomes an error of the compiler. So
    the signals are blocked in every thread, no handler is ever called, and a thread of ours waits
    for them. Threads inherit the mask: call this before MindSpore is imported, and NumPy, which
    starts some, too. Forked processes unblock the signals; programs started with ``subprocess``
    inherit the mask instead, and only SIGKILL ends them unless they unblock the signals.
    """
    end_on_signals()
    # Not above: most commands can do without.
    from multiprocessing import forkserver, resource_tracker
    resource_tracker.ensure_running()  # by itself and here, since it unblocks the signals
    # Ascend's compiler starts its processes through this server and ends them by SIGTERM, so they
    # must not inherit the whole mask; of Ctrl-C they print a traceback each.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    forkserver.ensure_running()
    heard = _heard_signals()
    signal.signal(signal.SIGUSR1, _raise_interrupted)
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, heard))
    _State.waiting = True
    threading.Thread(target=_wait_for_signals, args=(heard,), daemon=True).start()


def _wait_for_signals(heard: set[int]) -> None:
    number = _State.received = signal.sigwait(heard)
    deadline = time.monotonic() + SECONDS_TO_END
    main_thread = threading.main_thread().ident
    try:
        if _State.saving and main_thread is not None:
            signal.pthread_kill(main_thread, signal.SIGUSR1)  # also ends its sleep or its waiting
            if signal.sigtimedwait(heard, SECONDS_TO_END):  # a second Ctrl-C ends the process now
                deadline = 0
        line = _line_before(deadline, heard)
        with contextlib.suppress(OSError, ValueError):  # the terminal may be closed
            below_bar = "\n" if sys.stderr.isatty() else ""  # a progress bar's line has no end yet
            print(f"{below_bar}{line}", file=sys.stderr, flush=True)
    finally:
        os._exit(128 + number)


def _line_before(deadline: float, heard: set[int]) -> str:
    """Return the interruption's line, or another one where the deadline or a signal comes first."""
    lines: list[str] = []
    thread = threading.Thread(target=lambda: lines.append(interruption_line()), daemon=True)
    thread.start()
    thread.join(POLL_SECONDS)
    while thread.is_alive() and time.monotonic() < deadline and not signal.sigpending() & heard:
        thread.join(POLL_SECONDS)
    return lines[0] if lines else f"{INTERRUPTED}not all work was saved before the process ended"


@contextlib.contextmanager
def saving_work() -> Iterator[None]:
    """Raise ``Interrupted`` in the main thread at a signal while the body runs, since it has work
    to save. A call into MindSpore ends first, which may take as long as a step does."""
    _State.saving = True
    try:
        yield
    finally:
        _State.saving = False
