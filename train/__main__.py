"""Command line: ``python -m train --records DIR [--val-records DIR] --run DIR``."""

import sys

from common.signals import take_signals_from_mindspore

if __name__ == "__main__":
    take_signals_from_mindspore()

from common.cli import run_command
from train.options import parse


def main() -> None:
    request, recipe = parse()
    # Only now, since it loads MindSpore, which takes seconds.
    from train.command import dry_run, train
    (train if request.dry_run is None else dry_run)(request, recipe)


if __name__ == "__main__":
    sys.exit(run_command(main))
