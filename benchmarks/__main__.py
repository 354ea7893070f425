"""Command line: ``python -m benchmarks convert|feed|crops|steps --out DIR``."""

import sys
from typing import Any, Callable

from benchmarks.conversion.converters import ConversionRequest, benchmark_conversion
from benchmarks.feed.measure import FeedRequest, benchmark_feeds
from benchmarks.request import CropsRequest
from benchmarks.steps.devices import find_device
from benchmarks.steps.request import StepsRequest, plan_steps
from benchmarks.steps.step_table import benchmark_steps
from benchmarks.table import write_table
from common.cli import ArgumentParser, run_command
from common.options import add_options, from_arguments


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks", description="Time this project and peers.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=ArgumentParser)
    for name, request, run, about in COMMANDS:
        command = commands.add_parser(name, help=about, description=about)
        add_options(command, request)
        command.set_defaults(request=request, run=run)
    arguments = parser.parse_args()
    arguments.run(from_arguments(arguments.request, arguments))


def _convert(request: ConversionRequest) -> None:
    print(write_table(benchmark_conversion(request), request.out))


def _feed(request: FeedRequest) -> None:
    print(write_table(benchmark_feeds(request), request.out))


def _crops(request: CropsRequest) -> None:
    from benchmarks.crops import benchmark_crops  # not above: --help needs no MindSpore
    benchmark_crops(request)


def _steps(request: StepsRequest) -> None:
    plan = plan_steps(request, find_device(request.device))
    print(write_table(benchmark_steps(plan, request.rows), request.out))


# Name, request, function, help.
COMMANDS: tuple[tuple[str, type, Callable[[Any], None], str], ...] = (
    ("convert", ConversionRequest, _convert,
     "time the conversion against cp -r, ImageNetToMR and other packers"),
    ("feed", FeedRequest, _feed,
     "time the training feed against the original one and other libraries' feeds"),
    ("crops", CropsRequest, _crops,
     "time 144 crops: cutting them against decoding once per crop, a whole evaluation against its "
     "network alone"),
    ("steps", StepsRequest, _steps,
     "time training steps: the original report's speed table, or the trainer against a bare loop"),
)


if __name__ == "__main__":
    sys.exit(run_command(main))
