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
from evaluate import parts
from evaluate.__main__ import main


class MortalWriter(parts.PartWriter):
    left = int(os.environ.get("GROUPS_TO_LIVE", "-1"))

    def add(self, group):
        super().add(group)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    parts.SECONDS_PER_PART = 0
    evaluate.command.PartWriter = MortalWriter
    evaluate.command.InceptionV4 = evaluate.predict.InceptionV4 = conftest.SmallNetwork
    sys.exit(run_command(main))
