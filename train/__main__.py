"""Command line: ``python -m train --records DIR [--val-records DIR] --run DIR``."""

import sys

from common.cli import run_command
from train.options import checked_recipe, train_parser


def main() -> None:
    arguments = train_parser().parse_args()
    recipe = checked_recipe(arguments)
    from train.command import dry_run  # loads MindSpore, which takes seconds
    from train.command import train
    (train if arguments.dry_run is None else dry_run)(recipe, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
