"""``python -m evaluate`` with a small network in the place of InceptionV4, as a process.

It writes a part after every group; where the environment has GROUPS_TO_LIVE it kills itself
after so many, as an out-of-memory killer would.
"""

import os
import signal
import sys

import conftest

import evaluate.command
import evaluate.predict
from common.cli import run_command
from evaluate import predictions
from evaluate.__main__ import main

GROUPS_TO_LIVE = int(os.environ.get("GROUPS_TO_LIVE", "-1"))


def write_and_die(folder, groups, write=predictions._write_part):
    write(folder, groups)
    if len(predictions.saved_rows(folder)) == GROUPS_TO_LIVE:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    predictions.SECONDS_PER_PART = 0
    predictions._write_part = write_and_die
    evaluate.command.InceptionV4 = evaluate.predict.InceptionV4 = conftest.SmallNetwork
    sys.exit(run_command(main))
