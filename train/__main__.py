"""Command line: ``python -m train --records DIR [--val-records DIR] --run DIR``."""

import sys

from common.signals import note_kept_work, take_signals_from_mindspore

if __name__ == "__main__":
    take_signals_from_mindspore()

from common.cli import run_command
from train.options import parse


def main() -> None:
    request, recipe = parse()
    # Only now, since it loads MindSpore, which takes seconds.
    from train.command import dry_run, train
    from train.run_folder import describe_saved_epochs
    if request.dry_run is not None:
        dry_run(request, recipe)
    else:
        note_kept_work(lambda: describe_saved_epochs(request.run, request.run))
        train(request, recipe)


if __name__ == "__main__":
    sys.exit(run_command(main))
