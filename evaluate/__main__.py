"""Command line: ``python -m evaluate --records DIR --checkpoint X.ckpt --crops 144 --out DIR``,
and, named by a first word, what is done with results and with single images."""

import argparse
import inspect
import sys
from pathlib import Path

from common.cli import ArgumentParser, HelpFormatter, positive_int, run_command
from evaluate.protocols import PAPER, PROTOCOLS, VIEWS_PER_STEP, Scales
from evaluate.report.texts import LANGUAGES
from evaluate.request import Request
from evaluate.results import JSON_NAME, PAGE_NAME, PREDICTIONS_NAME
from inceptionv4.options import add_device_option


class _Help(HelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of the list of commands."""


def main() -> None:
    first, *others = sys.argv[1:] or [""]
    if first in COMMANDS:
        COMMANDS[first](others)
    else:
        _evaluate(sys.argv[1:])


def _evaluate(words: list[str]) -> None:
    """Top-1 and top-5 error of a checkpoint on a record set, the full and, with a blacklist, the
    filtered one. Started again with the same arguments it goes on where it was stopped."""
    parser = ArgumentParser(prog="python -m evaluate", formatter_class=_Help,
                            description=inspect.getdoc(_evaluate), epilog=_other_commands())
    parser.add_argument("--records", type=Path, required=True, help="folder of the record set")
    parser.add_argument("--checkpoint", type=Path, required=True,
                        help="a .ckpt file, its .meta beside it")
    parser.add_argument("--out", type=Path, required=True, help="folder for the result")
    _add_crops(parser)
    parser.add_argument("--blacklist", type=Path, help="validation ids that make the filtered set "
                        "of records that were converted without a list")
    parser.add_argument("--curve", action="store_true",
                        help="also score the first crops alone, square by square")
    parser.add_argument("--views-per-step", type=positive_int, default=VIEWS_PER_STEP,
                        help="at most so many crops at a time on the device")
    add_device_option(parser)
    parser.add_argument("--workers", type=positive_int,
                        help="threads that decode images (default: the cores, shared by ranks)")
    request = Request(**vars(parser.parse_args(words)))
    from evaluate.command import \
        evaluate_checkpoint  # not above: --help needs no MindSpore
    if evaluate_checkpoint(request):
        print((request.out / PAGE_NAME).read_text(encoding="utf-8"))
        for name in (PREDICTIONS_NAME, JSON_NAME, PAGE_NAME):
            print(request.out / name)


def _add_crops(parser: ArgumentParser) -> None:
    parser.add_argument("--crops", type=int, choices=PROTOCOLS, default=1,
                        help="crops of an image whose probabilities are averaged. 1: its centre; "
                             "10: centre and corners, also mirrored; 12: the whole square as well; "
                             "144: these 12 of 3 squares at 4 scales")
    parser.add_argument("--scales", type=_scales,
                        help="shorter sides in pixels of the resized images for 144 crops, "
                             f"e.g. 320,352,384,448, or '{PAPER}': 256,288,320,352 in their ratio "
                             "to 224 (default: 320,352,384,448 in their ratio to 299)")


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
    from evaluate.report.page import ReportRequest  # not above: loads numba
    from evaluate.report.page import write_report
    request = ReportRequest(**vars(arguments))
    table = write_report(request)
    print(f"{table}\n" * bool(table), f"report: {request.out}   {request.markdown_copy}", sep="\n")


def _compare(words: list[str]) -> None:
    """The difference of two results of the same images, with McNemar's paired test."""
    parser = ArgumentParser(prog="python -m evaluate compare", description=_compare.__doc__)
    parser.add_argument("a", type=Path, help="a result folder: --out of an evaluation")
    parser.add_argument("b", type=Path, help="another one, of the same images")
    arguments = parser.parse_args(words)
    from evaluate.compare import \
        compare_results  # not above: --help needs no SciPy
    print(compare_results(arguments.a, arguments.b))


def _predict(words: list[str]) -> None:
    """The five most probable classes of single images."""
    parser = ArgumentParser(prog="python -m evaluate predict", description=_predict.__doc__)
    parser.add_argument("checkpoint", type=Path, help="a .ckpt file, its .meta beside it")
    parser.add_argument("images", type=Path, nargs="+", help="files that Pillow reads")
    _add_crops(parser)
    names = parser.add_mutually_exclusive_group()
    names.add_argument("--records", type=Path, help="a record set whose classes have the names")
    names.add_argument("--classes", type=Path, help="text file, a class name a line")
    add_device_option(parser)
    arguments = parser.parse_args(words)
    from evaluate.predict import \
        predict_images  # not above: --help needs no MindSpore
    print(predict_images(**vars(arguments)))


COMMANDS = {"report": _report, "compare": _compare, "predict": _predict}


def _other_commands() -> str:
    lines = [f"  {f'python -m evaluate {name} --help':<34}  {command.__doc__}"
             for name, command in COMMANDS.items()]
    return "other commands:\n" + "\n".join(lines)


def _scales(text: str) -> Scales:
    return PAPER if text == PAPER else tuple(positive_int(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(run_command(main))
