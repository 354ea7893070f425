"""Rows that are timed in a process of their own."""

import os
import subprocess
from typing import Mapping

from common import CheckFailed


def run_process(*command: object, environment: Mapping[str, str] = {}) -> str:
    """Run the command to its end and return what it printed.

    Args:
        environment: put over this process's own.

    Raises:
        CheckFailed: it ended with an error; the message holds the end of what it said.
    """
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          env={**os.environ, **environment})
    if done.returncode != 0:
        raise CheckFailed(f"{command[0]} ended with {done.returncode}: {done.stderr[-300:]}")
    return done.stdout
