"""Command line: ``python -m benchmarks convert|feed|crops|steps --out DIR``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from benchmarks.conversion.converters import ConversionRequest, benchmark_conversion
from benchmarks.feed.measure import FeedRequest, benchmark_feeds
from benchmarks.steps.devices import find_device
from benchmarks.steps.request import StepsRequest, plan_steps
from benchmarks.steps.step_table import benchmark_steps
from benchmarks.table import write_table
from common.cli import ArgumentParser, run_command
from common.options import add_options, check_values, from_arguments, option
from inceptionv4.options import device_option


@dataclass(frozen=True)
class CropsRequest:
    """The arguments of ``python -m benchmarks crops``; here, since the benchmark loads MindSpore.
    """

    out: Path = option(help="folder for two result folders, crops-host and crops-run")
    images: int = option(40, "number of images that the host cuts", low=1)
    run_images: int = option(6, "number of images that the end-to-end run evaluates", low=1)
    repeats: int = option(3, "times each row is run, in turns", low=1)
    image_size: int = option(75, "side in pixels of the end-to-end run's crops", low=1)
    device: str = device_option()

    def __post_init__(self) -> None:
        check_values(self)


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
    from benchmarks.crops import benchmark_host, benchmark_run, project
    work = request.out / "work"
    host = benchmark_host(work, request.images, request.repeats).with_figures()
    print(write_table(host, request.out / "crops-host"))
    print(write_table(benchmark_run(work, request.run_images, request.repeats, request.image_size,
                                    request.device), request.out / "crops-run"))
    rate = host.rows[1].items_per_second
    assert rate is not None, "the row of this project always runs"
    for cards in (1, 8):
        print(project(rate, cards))


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
     "time 144 crops: cutting them against cutting each from the file, and an evaluation end to "
     "end against its network alone"),
    ("steps", StepsRequest, _steps,
     "time training steps: the original report's speed table, or the trainer against a bare loop"),
)


if __name__ == "__main__":
    sys.exit(run_command(main))
