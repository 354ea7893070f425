"""Command line: ``python -m train --records DIR [--val-records DIR] --run DIR``."""

import sys
from pathlib import Path

from common import ArgumentParser, RequestError, run_command
from train.options import add_recipe_options, recipe_from_arguments

DEVICES = ("auto", "CPU", "Ascend")


def main() -> None:
    parser = ArgumentParser(prog="python -m train", description="Train Inception-v4 on records.")
    parser.add_argument("--records", type=Path, required=True, help="training record set")
    parser.add_argument("--val-records", type=Path, help="scored with one crop after each epoch")
    parser.add_argument("--run", type=Path, required=True, help="new folder for the run")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="what to compute on")
    parser.add_argument("--keep", type=int, default=3, help="checkpoints that stay on the disk")
    parser.add_argument("--dry-run", type=int, nargs="?", const=0, metavar="RANKS",
                        help="check all, print the plan for so many ranks (by default the "
                             "preset's), stop")
    add_recipe_options(parser)
    arguments = parser.parse_args()
    if arguments.keep < 1:
        raise RequestError(f"--keep {arguments.keep}: give at least 1")
    recipe = recipe_from_arguments(arguments)
    if arguments.dry_run is not None and arguments.dry_run < 0:
        raise RequestError(f"--dry-run {arguments.dry_run}: give at least 1 rank")
    from train.command import dry_run, train  # loads MindSpore, which takes seconds
    (train if arguments.dry_run is None else dry_run)(recipe, arguments)


if __name__ == "__main__":
    sys.exit(run_command(main))
