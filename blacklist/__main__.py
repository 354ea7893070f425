"""Command line: ``python -m blacklist check FILE``."""

import sys
from pathlib import Path

from blacklist.ids import ILSVRC_VALIDATION_IMAGES, load_blacklist
from common.cli import ArgumentParser, run_command


def main() -> None:
    parser = ArgumentParser(prog="python -m blacklist", description="Check a validation blacklist.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=ArgumentParser)
    about = "print count and digest of a list, and whether it is ILSVRC's"
    check = commands.add_parser("check", help=about, description=about)
    check.add_argument("file", type=Path, help="one image id or file name per line")
    check.add_argument("--images", type=int, default=ILSVRC_VALIDATION_IMAGES,
                       help="number of validation images; ids run from 1 to this")
    arguments = parser.parse_args()
    print(f"{arguments.file}: {load_blacklist(arguments.file, arguments.images).describe()}")


if __name__ == "__main__":
    sys.exit(run_command(main))
