"""Command line: ``python -m evaluate --records DIR --checkpoint X.ckpt --crops 144 --out DIR``;
``report``, ``compare`` and ``predict`` as the first word are commands of their own."""

import argparse
import inspect
import sys
from pathlib import Path

from common.cli import ArgumentParser, HelpFormatter, run_command
from common.options import add_options, from_arguments
from evaluate.report.texts import LANGUAGES
from evaluate.request import CompareRequest, PredictRequest, Request
from evaluate.results import JSON_NAME, PAGE_NAME, PREDICTIONS_NAME


class _Help(HelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keep the line breaks of the list of commands."""


def main() -> None:
    first, *others = sys.argv[1:] or [""]
    if first in COMMANDS:
        COMMANDS[first](others)
    else:
        _evaluate(sys.argv[1:])


def _evaluate(words: list[str]) -> None:
    """Measure the top-1 and top-5 error of a checkpoint on a record set: of the full set and, with
    a blacklist, of the filtered one. Started again with the same arguments it resumes."""
    parser = ArgumentParser(prog="python -m evaluate", formatter_class=_Help,
                            description=inspect.getdoc(_evaluate), epilog=_other_commands())
    add_options(parser, Request)
    request = from_arguments(Request, parser.parse_args(words))
    from evaluate.command import \
        evaluate_checkpoint  # not above: --help needs no MindSpore
    if evaluate_checkpoint(request):
        print((request.out / PAGE_NAME).read_text(encoding="utf-8"))
        for name in (PREDICTIONS_NAME, JSON_NAME, PAGE_NAME):
            print(request.out / name)


def _report(words: list[str]) -> None:
    """One HTML page, and a Markdown copy of it, from a run and its results."""
    parser = ArgumentParser(prog="python -m evaluate report", description=_report.__doc__)
    parser.add_argument("--run", type=Path, help="run folder, for the training")
    parser.add_argument("--results", type=Path, required=True,
                        help="folder of result folders and benchmarks' tables, at any depth")
    parser.add_argument("--out", type=Path, required=True, help="HTML file to write")
    parser.add_argument("--records", type=Path, nargs="+", default=(), help="record sets, for "
                        "class names and images, where they are not at their old places")
    parser.add_argument("--lang", choices=LANGUAGES, default="en", help="language of the page")
    arguments = parser.parse_args(words)
    from evaluate.report.page import \
        ReportRequest  # not above: --help is quick
    from evaluate.report.page import write_report
    request = ReportRequest(**vars(arguments))
    table = write_report(request)
    print(f"{table}\n" * bool(table), f"report: {request.out}   {request.markdown_copy}", sep="\n")


def _compare(words: list[str]) -> None:
    """Compare two results of the same images, with McNemar's paired test."""
    parser = ArgumentParser(prog="python -m evaluate compare", description=_compare.__doc__)
    add_options(parser, CompareRequest)
    request = from_arguments(CompareRequest, parser.parse_args(words))
    from evaluate.compare import \
        compare_results  # not above: --help needs no SciPy
    print(compare_results(request))


def _predict(words: list[str]) -> None:
    """Print the five most probable classes of single images."""
    parser = ArgumentParser(prog="python -m evaluate predict", description=_predict.__doc__)
    add_options(parser, PredictRequest, leave_out=("records", "classes"))
    add_options(parser.add_mutually_exclusive_group(), PredictRequest, only=("records", "classes"))
    request = from_arguments(PredictRequest, parser.parse_args(words))
    from evaluate.predict import \
        predict_images  # not above: --help needs no MindSpore
    print(predict_images(request))


COMMANDS = {"report": _report, "compare": _compare, "predict": _predict}


def _other_commands() -> str:
    lines = [f"  {f'python -m evaluate {name} --help':<34}  {command.__doc__}"
             for name, command in COMMANDS.items()]
    return "other commands:\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_command(main))
