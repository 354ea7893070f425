"""Command line: ``python -m benchmarks convert|feed|crops|steps --out DIR``."""

import sys
from typing import Any, Callable

from benchmarks.converters import ConversionRequest, benchmark_conversion
from benchmarks.crops import CropsRequest, benchmark_crops
from benchmarks.feed.measure import FeedRequest, benchmark_feeds
from benchmarks.steps.step_table import StepsRequest, benchmark_steps
from benchmarks.table import write_table
from common.cli import run_command
from common.forms import SpeedTable
from common.options import Subcommand, run_subcommand


def main() -> None:
    run_subcommand("python -m benchmarks", "Time this project and peers.", (
        Subcommand("convert", ConversionRequest, _writing(benchmark_conversion),
                   "time the conversion against cp -r, ImageNetToMR and other packers"),
        Subcommand("feed", FeedRequest, _writing(benchmark_feeds),
                   "time the training feed against the ADSL report's and other libraries' feeds"),
        Subcommand("crops", CropsRequest, _writing(benchmark_crops),
                   "time 144 crops: cutting them against decoding once per crop, a whole "
                   "evaluation against its network alone"),
        Subcommand("steps", StepsRequest, _writing(benchmark_steps),
                   "time training steps: the ADSL report's speed table, or the trainer "
                   "against a bare loop")))


def _writing(benchmark: Callable[[Any], SpeedTable]) -> Callable[[Any], None]:
    """Return the benchmark with its table written into the request's ``out`` and printed."""
    return lambda request: print(write_table(benchmark(request), request.out))


if __name__ == "__main__":
    sys.exit(run_command(main))
