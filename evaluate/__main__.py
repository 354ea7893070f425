"""Command line: ``python -m evaluate --records DIR --checkpoint X.ckpt --crops 144 --out DIR``;
``report``, ``rescore``, ``compare`` and ``predict`` as the first word are commands of their own."""

import argparse
import inspect
import sys
from pathlib import Path
from typing import Any, Callable, Optional

from common.signals import take_signals_from_mindspore

if __name__ == "__main__":
    take_signals_from_mindspore()

from common.cli import (ArgumentParser, HelpFormatter, add_version, make_command, module_command,
                        print_next, run_command)
from common.options import add_options, from_arguments
from evaluate.request import (CompareRequest, PredictRequest, ReportRequest, Request,
                              RescoreRequest)
from evaluate.results import CLASSES_NAME, JSON_NAME, PAGE_NAME, PREDICTIONS_NAME, ROWS_NAME


class _Help(HelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keep the line breaks of the list of commands."""


def main() -> None:
    first, *words = sys.argv[1:] or [""]
    if first in COMMANDS:
        run, request_type = COMMANDS[first]
        parser = ArgumentParser(prog=f"python -m evaluate {first}", description=run.__doc__)
    else:
        run, request_type, words = _evaluate, Request, sys.argv[1:]
        others = "\n".join(f"  {f'python -m evaluate {name} --help':<34}  {command.__doc__}"
                           for name, (command, _) in COMMANDS.items())
        parser = ArgumentParser(prog="python -m evaluate", formatter_class=_Help,
                                description=inspect.getdoc(_evaluate),
                                epilog=f"other commands:\n{others}")
    if first and first not in COMMANDS and not first.startswith("-"):
        parser.refuse_subcommand(first, COMMANDS, ", or evaluate a checkpoint with --records, "
                                                  "--checkpoint and --out")
    add_version(parser)
    add_options(parser, request_type)
    run(from_arguments(request_type, parser.parse_args(words)))


# What a command needs is imported when it runs, so that --help waits for no library.


def _evaluate(request: Request) -> None:
    """Measure the top-1 and top-5 error of a checkpoint on a record set: of the full set and, with
    a blacklist, of the filtered one. Started again with the same arguments it resumes."""
    from evaluate.command import evaluate_checkpoint, run_of
    if evaluate_checkpoint(request):
        print((request.out / PAGE_NAME).read_text(encoding="utf-8"))
        for name in (PREDICTIONS_NAME, CLASSES_NAME, ROWS_NAME, JSON_NAME, PAGE_NAME):
            if (request.out / name).exists():  # results of older versions have fewer files
                print(request.out / name)
        _print_report_command(request.out, run_of(request.checkpoint))


def _print_report_command(result: Path, run: Optional[Path]) -> None:
    print_next(module_command("evaluate", "report", *(["--run", run] if run else []),
                              "--results", result.parent, "--out", "report.html"),
               under_make=make_command("report", "RUN", RUN=run or ""))


def _report(request: ReportRequest) -> None:
    """Write one HTML page, and a Markdown copy of it, from a run and its results."""
    from evaluate.report.page import write_report
    table = write_report(request)
    if table:
        print(f"{table}\n")
    print(f"report: {request.out}   {request.markdown_copy}")
    if request.run is None:
        print("without a run folder the page leaves the training out; give it with --run FOLDER "
              "(make: RUN=FOLDER)", file=sys.stderr)
    elif (checkpoint := request.run / "last.ckpt").exists():
        command = module_command("evaluate", "predict", checkpoint, "IMAGE.jpg")
        print_next(command, under_make=command)


def _rescore(request: RescoreRequest) -> None:
    """Score a result's predictions against other labels or on some images, without the network."""
    from evaluate.rescore import rescore_result
    print(rescore_result(request))
    _print_report_command(request.result, run=None)


def _compare(request: CompareRequest) -> None:
    """Compare two results of the same images, with McNemar's paired test."""
    from evaluate.compare import compare_results
    print(compare_results(request))


def _predict(request: PredictRequest) -> None:
    """Print the five most probable classes of single images."""
    from evaluate.predict import predict_images
    print(predict_images(request))


COMMANDS: dict[str, tuple[Callable[[Any], None], type]] = {
    "report": (_report, ReportRequest), "rescore": (_rescore, RescoreRequest),
    "compare": (_compare, CompareRequest), "predict": (_predict, PredictRequest)}


if __name__ == "__main__":
    sys.exit(run_command(main))
