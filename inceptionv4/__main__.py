"""Command line: ``python -m inceptionv4 show --checkpoint X.ckpt``."""

import sys
from dataclasses import asdict

from common import ArgumentParser, run_command


def main() -> None:
    parser = ArgumentParser(prog="python -m inceptionv4", description="Look at checkpoints.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=ArgumentParser)
    show = commands.add_parser("show", help="check a checkpoint and say what it holds")
    show.add_argument("--checkpoint", required=True, help="a .ckpt file, its .meta beside it")
    _show(parser.parse_args().checkpoint)


def _show(checkpoint: str) -> None:
    from inceptionv4 import read_checkpoint  # not above: --help should not wait for MindSpore
    meta, parameters = read_checkpoint(checkpoint)
    for name, value in asdict(meta).items():
        print(f"{name}: {value}")
    print(f"parameters: {sum(value.size for value in parameters.values()):,} values in "
          f"{len(parameters)} arrays, moving averages and optimiser state included")


if __name__ == "__main__":
    sys.exit(run_command(main))
