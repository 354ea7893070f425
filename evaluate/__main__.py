"""Command line: ``python -m evaluate --records DIR --checkpoint X.ckpt --crops 144 --out DIR``."""

import argparse
import sys
from pathlib import Path

from common import ArgumentParser, run_command
from convert import available_cores
from evaluate.protocols import PROTOCOLS
from evaluate.report import write_report
from evaluate.results import JSON_NAME, PAGE_NAME, PREDICTIONS_NAME
from evaluate.steps import VIEWS_PER_STEP


def main() -> None:
    if sys.argv[1:2] == ["report"]:
        _report(sys.argv[2:])
    else:
        _evaluate()


def _report(words: list[str]) -> None:
    parser = ArgumentParser(prog="python -m evaluate report",
                            description="One HTML page from a run and its results.")
    parser.add_argument("--run", type=Path, help="run folder, for the training history")
    parser.add_argument("--results", type=Path, required=True, help="folder of result folders")
    parser.add_argument("--out", type=Path, required=True, help="HTML file to write")
    arguments = parser.parse_args(words)
    table = write_report(arguments.run, arguments.results, arguments.out)
    print(f"{table}\n\nreport: {arguments.out}" if table else f"report: {arguments.out}")


def _evaluate() -> None:
    arguments = _parse()
    from evaluate.command import evaluate_checkpoint  # not above: --help needs no MindSpore
    evaluate_checkpoint(**vars(arguments))
    print((arguments.out / PAGE_NAME).read_text(encoding="utf-8"))
    for name in (PREDICTIONS_NAME, JSON_NAME, PAGE_NAME):
        print(arguments.out / name)


def _parse() -> argparse.Namespace:
    parser = ArgumentParser(prog="python -m evaluate",
                            description="Top-1 and top-5 error of a checkpoint on a record set, "
                                        "the full and, with a blacklist, the filtered one.")
    parser.add_argument("--records", type=Path, required=True, help="folder of the record set")
    parser.add_argument("--checkpoint", type=Path, required=True, help="a .ckpt, its .meta beside")
    parser.add_argument("--crops", type=int, choices=PROTOCOLS, default=1, help="views a picture")
    parser.add_argument("--out", type=Path, required=True, help="folder for the result")
    parser.add_argument("--views-per-step", type=_positive, default=VIEWS_PER_STEP,
                        help="at most so many views at a time on the device")
    parser.add_argument("--device", default="auto", help="auto, CPU or Ascend")
    parser.add_argument("--workers", type=_positive, default=available_cores(),
                        help="threads that decode pictures")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(run_command(main))
