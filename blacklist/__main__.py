"""Command line: ``python -m blacklist check FILE``."""

import sys
from dataclasses import dataclass
from pathlib import Path

from common.signals import end_on_signals

if __name__ == "__main__":
    end_on_signals()

from blacklist.ids import ILSVRC_VALIDATION_IMAGES, load_blacklist
from common.cli import run_command
from common.options import CheckedOptions, Subcommand, option, run_subcommand


@dataclass(frozen=True)
class CheckRequest(CheckedOptions):
    """The arguments of ``python -m blacklist check``."""

    file: Path = option(help="one image id or file name per line", positional=True)
    images: int = option(ILSVRC_VALIDATION_IMAGES,
                         "number of validation images; ids run from 1 to this", low=1)


def main() -> None:
    run_subcommand("python -m blacklist", "Check a validation blacklist.", [Subcommand(
        "check", CheckRequest, _check, "print count and digest of a list, and whether it is "
                                       "ILSVRC's")])


def _check(request: CheckRequest) -> None:
    print(f"{request.file}: {load_blacklist(request.file, request.images).describe()}")


if __name__ == "__main__":
    sys.exit(run_command(main))
