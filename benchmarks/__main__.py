"""Command line: ``python -m benchmarks convert|feed|crops|steps|scale --out DIR``."""

import sys

from benchmarks.conversion.converters import ConversionRequest, benchmark_conversion
from benchmarks.feed.measure import FeedRequest, benchmark_feeds
from benchmarks.request import CropsRequest
from benchmarks.scale.rehearsal import ScaleRequest, rehearse, render_scale
from benchmarks.steps.devices import find_device
from benchmarks.steps.request import StepsRequest, plan_steps
from benchmarks.steps.step_table import benchmark_steps
from benchmarks.table import write_table
from common.cli import run_command
from common.options import Subcommand, run_subcommand


def main() -> None:
    run_subcommand("python -m benchmarks", "Time this project and peers.", SUBCOMMANDS)


def _convert(request: ConversionRequest) -> None:
    print(write_table(benchmark_conversion(request), request.out))


def _feed(request: FeedRequest) -> None:
    print(write_table(benchmark_feeds(request), request.out))


def _crops(request: CropsRequest) -> None:
    from benchmarks.crops import benchmark_crops  # here, since it loads MindSpore
    benchmark_crops(request)


def _steps(request: StepsRequest) -> None:
    plan = plan_steps(request, find_device(request.device))
    print(write_table(benchmark_steps(plan, request.rows), request.out))


def _scale(request: ScaleRequest) -> None:
    print(render_scale(rehearse(request)))


SUBCOMMANDS = (
    Subcommand("convert", ConversionRequest, _convert,
               "time the conversion against cp -r, ImageNetToMR and other packers"),
    Subcommand("feed", FeedRequest, _feed,
               "time the training feed against the original one and other libraries' feeds"),
    Subcommand("crops", CropsRequest, _crops,
               "time 144 crops: cutting them against decoding once per crop, a whole evaluation "
               "against its network alone"),
    Subcommand("steps", StepsRequest, _steps,
               "time training steps: the original report's speed table, or the trainer against "
               "a bare loop"),
    Subcommand("scale", ScaleRequest, _scale,
               "rehearse ImageNet's full count with tiny images, from the archives to evaluation "
               "and plan: seconds, memory and open files of each stage"),
)


if __name__ == "__main__":
    sys.exit(run_command(main))
