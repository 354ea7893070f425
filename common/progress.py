"""Progress on the terminal as a bar; in a log file as a line now and then."""

import sys

from tqdm import tqdm

SECONDS_BETWEEN_LOG_LINES = 30


def progress_bar(total: int, description: str, unit: str) -> tqdm:
    """A tqdm bar of ``total`` steps on stderr, to be used as a context manager."""
    on_terminal = sys.stderr.isatty()
    return tqdm(total=total, desc=description, unit=f" {unit}", dynamic_ncols=on_terminal,
                mininterval=0.1 if on_terminal else SECONDS_BETWEEN_LOG_LINES)
