"""Command line: ``python -m blacklist check FILE``."""

import sys
from dataclasses import dataclass
from pathlib import Path

from common.signals import end_on_signals

if __name__ == "__main__":
    end_on_signals()

from blacklist.ids import ILSVRC_VALIDATION_IMAGES, load_blacklist
from common.cli import CheckFailed, module_command, print_next, run_command
from common.options import CheckedOptions, Subcommand, option, run_subcommand


@dataclass(frozen=True)
class CheckRequest(CheckedOptions):
    """The arguments of ``python -m blacklist check``."""

    file: Path = option(help="one image id or file name per line", positional=True)
    images: int = option(ILSVRC_VALIDATION_IMAGES,
                         "number of validation images; ids run from 1 to this", low=1)
    expect_ilsvrc: bool = option(False, "exit with 1 unless it is ILSVRC's list")


def main() -> None:
    run_subcommand("python -m blacklist", "Check a validation blacklist.", [Subcommand(
        "check", CheckRequest, _check, "print count and digest of a list, and whether it is "
                                       "ILSVRC's")])


def _check(request: CheckRequest) -> None:
    blacklist = load_blacklist(request.file, request.images)
    if request.expect_ilsvrc and not blacklist.is_ilsvrc:
        raise CheckFailed(f"{request.file}: {blacklist.describe()}; fetch the devkit's again")
    print(f"{request.file}: {blacklist.describe()}")
    print_next(module_command("convert", "run", "--source", "IMAGENET", "--split", "val", "--out",
                              "records/val", "--blacklist", request.file))


if __name__ == "__main__":
    sys.exit(run_command(main))
