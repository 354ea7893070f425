"""How far long work has come: a bar on a terminal, in a log a plain line every half a minute."""

import sys
import time
from types import TracebackType
from typing import Optional, Union

from tqdm import tqdm

from common.text import describe_seconds

SECONDS_BETWEEN_LOG_LINES = 30
SECONDS_WORTH_A_LINE = 2


class LogLines:
    """What a log gets in place of a bar, with the part of tqdm's interface that is used here.

    No line says that nothing was done yet. Work that takes no longer than the time between two
    lines has the last one alone, what is done at once has none.

    Args: as of ``progress_bar``.
    """

    def __init__(self, total: int, description: str, unit: str, initial: int, keep: bool,
                 shown: bool):
        self.total, self.description, self.unit = total, description, unit
        self.keep, self.shown = keep, shown
        self.n = self.last_n = self.initial = initial
        self.note = ""
        self.started = self.last_time = time.monotonic()

    def __enter__(self) -> "LogLines":
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        seconds = time.monotonic() - self.started
        if self.keep and kind is None and seconds >= SECONDS_WORTH_A_LINE:
            number = self.n - self.initial
            unit = self.unit.removesuffix("s") if number == 1 else self.unit
            earlier = f", {self.initial:,} were done before" if self.initial else ""
            self._print(f"{number:,} {unit} in {describe_seconds(seconds)}{earlier}")

    def update(self, number: int = 1) -> None:
        """Note that so many more units are done."""
        self.n += number
        seconds = time.monotonic() - self.last_time
        if seconds < SECONDS_BETWEEN_LOG_LINES or self.n == self.total:
            return
        rate = (self.n - self.last_n) / seconds
        shown_rate = f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
        left = f", {describe_seconds((self.total - self.n) / rate)} left" if rate else ""
        share = 100 * self.n / max(self.total, 1)
        self._print(f"{self.n:,} of {self.total:,} {self.unit} ({share:.0f} %), "
                    f"{shown_rate} {self.unit}/s{left}{self.note}")
        self.last_time, self.last_n = time.monotonic(), self.n

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Set what ends the next lines."""
        self.note = f", {text}"

    def _print(self, state: str) -> None:
        if self.shown:
            print(f"{self.description}: {state}", file=sys.stderr, flush=True)


Progress = Union[tqdm, LogLines]


def print_above_bar(line: str) -> None:
    """Print a line to stdout while a bar is shown, which stays below it."""
    with tqdm.external_write_mode():
        print(line, flush=True)


def progress_bar(total: int, description: str, unit: str, initial: int = 0, keep: bool = True,
                 shown: bool = True) -> Progress:
    """Return the progress of ``total`` units on stderr, to be used as a context manager.

    Args:
        unit: a plural that ends in s, or one without plural: MB.
        initial: how many are done already, by an earlier process.
        keep: whether the end of it stays to be read: how much this process did, and how long it
            took.
        shown: whether it is shown at all.
    """
    if not sys.stderr.isatty():
        return LogLines(total, description, unit, initial, keep, shown)
    return tqdm(total=total, desc=description, unit=f" {unit}", initial=initial, leave=keep,
                disable=not shown, dynamic_ncols=True)
