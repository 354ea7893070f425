"""Command line: ``python -m benchmarks convert|feed|crops|steps|scale|doctor …``."""

import sys
from pathlib import Path
from typing import Any, Callable

from common.signals import end_on_signals, note_kept_work, take_signals_from_mindspore

if __name__ == "__main__":  # crops alone runs graphs in this process
    (take_signals_from_mindspore if sys.argv[1:2] == ["crops"] else end_on_signals)()

from benchmarks.conversion.conversion_table import ConversionRequest, benchmark_conversion
from benchmarks.crops import CropsRequest, benchmark_crops
from benchmarks.doctor.doctor import DoctorRequest, examine
from benchmarks.feed.feed_table import FeedRequest, benchmark_feeds
from benchmarks.scale.rehearsal import ScaleRequest, rehearse, render_scale
from benchmarks.steps.request import StepsRequest
from benchmarks.steps.step_table import benchmark_steps
from benchmarks.table import write_table
from common.cli import make_command, module_command, print_next, run_command, shown_command
from common.forms import SpeedTable
from common.options import Subcommand, run_subcommand


def main() -> None:
    run_subcommand("python -m benchmarks", "Time this project and peers.", (
        Subcommand("convert", ConversionRequest, _writing(benchmark_conversion),
                   "time the conversion against cp -r, ImageNetToMR and other packers"),
        Subcommand("feed", FeedRequest, _writing(benchmark_feeds),
                   "time the training feed against the original (ADSL) report's and other "
                   "libraries' feeds"),
        Subcommand("crops", CropsRequest, _writing(benchmark_crops),
                   "time 144 crops: cutting them against decoding once per crop, a whole "
                   "evaluation against its network alone"),
        Subcommand("steps", StepsRequest, _writing(benchmark_steps),
                   "time training steps: the original (ADSL) report's speed table, on a simulated "
                   "card where there is none, or the trainer against a bare loop"),
        Subcommand("scale", ScaleRequest, lambda request: print(render_scale(rehearse(request))),
                   "rehearse ImageNet's full count with tiny images, from the archives to "
                   "evaluation and plan: seconds, memory and open files of each stage"),
        Subcommand("doctor", DoctorRequest, examine,
                   "check this host before a run: versions, cores, files, reading and decoding, "
                   "what the device computes, ranks, compiling and steps",
                   "Check this host before a run, in about two minutes (longer where compiling "
                   "takes minutes). Exits with 1 if a check fails.")))


def _writing(benchmark: Callable[[Any], SpeedTable]) -> Callable[[Any], None]:
    """Return the benchmark with its table written into the request's ``out`` and printed."""
    def write(request: Any) -> None:
        note_kept_work(f"nothing is kept; remove {request.out / 'work'} if it is left, and start "
                       f"again: {shown_command()}")
        print(f"timing; the table goes into {request.out / 'speed.md'} and speed.json",
              file=sys.stderr, flush=True)
        print(write_table(benchmark(request), request.out))
        command = module_command("evaluate", "report", "--results", request.out, "--out",
                                 "report.html")
        # make report looks into results/ alone
        is_found = request.out.parent == Path("results")
        print_next(command, under_make=make_command("report", "RUN") if is_found else command)
    return write


if __name__ == "__main__":
    sys.exit(run_command(main))
