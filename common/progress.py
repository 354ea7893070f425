"""Progress on the terminal as a bar; in a log file as a line now and then."""

import sys

from tqdm import tqdm

SECONDS_BETWEEN_LOG_LINES = 30


class _LogLines:
    """stderr for tqdm where it is no terminal: each state of the bar is a line of its own, where
    tqdm would write over the last one."""

    def write(self, text: str) -> None:
        state = text.strip()
        if state:
            sys.stderr.write(f"{state}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress_bar(total: int, description: str, unit: str) -> tqdm:
    """A tqdm bar of ``total`` steps on stderr, to be used as a context manager."""
    if sys.stderr.isatty():
        return tqdm(total=total, desc=description, unit=f" {unit}", dynamic_ncols=True)
    return tqdm(total=total, desc=description, unit=f" {unit}", file=_LogLines(),
                mininterval=SECONDS_BETWEEN_LOG_LINES)
