"""Command line: ``python -m benchmarks convert|feed|crops|steps --out DIR``."""

import argparse
import sys
from pathlib import Path

from benchmarks.conversion.converters import benchmark_conversion
from benchmarks.feed.measure import FeedRequest, benchmark_feeds
from benchmarks.steps.devices import find_device
from benchmarks.steps.request import TABLE, add_step_options, step_request
from benchmarks.steps.step_table import benchmark_table, benchmark_trainer
from benchmarks.table import SpeedTable, write_table
from common.cli import ArgumentParser, positive_int, run_command
from common.host import available_cores
from inceptionv4.options import add_device_option


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks", description="Time this project and peers.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=ArgumentParser)
    _add_convert(commands)
    _add_feed(commands)
    _add_crops(commands)
    _add_steps(commands)
    arguments = parser.parse_args()
    arguments.benchmark(arguments)


def _add_common(parser: argparse.ArgumentParser, room: str, images: int) -> None:
    parser.add_argument("--out", type=Path, required=True, help="result folder; also where the "
                        f"images are made and removed ({room} times their size is needed)")
    parser.add_argument("--images", type=positive_int, default=images,
                        help="how many JPEGs, of about 115 KB each")
    parser.add_argument("--repeats", type=positive_int, default=3,
                        help="times each row is run, in turns")
    parser.add_argument("--workers", type=positive_int, default=available_cores(),
                        help="processes or threads of our rows")


def _add_convert(commands) -> None:
    about = "time the conversion against cp -r, ImageNetToMR and other packers"
    convert = commands.add_parser("convert", help=about, description=about)
    _add_common(convert, "three", 36_000)
    convert.set_defaults(benchmark=_convert)


def _convert(arguments: argparse.Namespace) -> None:
    _report(benchmark_conversion(arguments.out / "work", arguments.images, arguments.repeats,
                                 arguments.workers), arguments.out)


def _report(table: SpeedTable, out: Path) -> None:
    (out / "work").rmdir()
    print(write_table(table, out))


def _add_feed(commands) -> None:
    about = "time the training feed against the seed's way and other libraries' feeds"
    feed = commands.add_parser("feed", help=about, description=about)
    _add_common(feed, "four", 12_000)
    feed.add_argument("--batch-size", type=positive_int, default=128, help="images a batch")
    feed.add_argument("--image-size", type=positive_int, default=299,
                      help="pixels of a side of the crops")
    feed.add_argument("--skip", type=int, default=20, help="batches at either end not timed")
    feed.add_argument("--open-ms", type=float, default=20, help="slow mount: wait for each open")
    feed.add_argument("--read-ms", type=float, default=1, help="slow mount: wait per 128 KB read")
    feed.set_defaults(benchmark=_feed)


def _feed(arguments: argparse.Namespace) -> None:
    _report(benchmark_feeds(FeedRequest(
        arguments.out / "work", arguments.images, arguments.repeats, arguments.workers,
        arguments.batch_size, arguments.image_size, arguments.skip, arguments.open_ms,
        arguments.read_ms)), arguments.out)


def _add_crops(commands) -> None:
    about = ("time 144 crops: cutting them against the naive way, a whole evaluation against its "
             "network alone")
    crops = commands.add_parser("crops", help=about, description=about)
    crops.add_argument("--out", type=Path, required=True, help="folder of two result folders")
    crops.add_argument("--images", type=positive_int, default=40,
                       help="how many images the host cuts")
    crops.add_argument("--run-images", type=positive_int, default=6,
                       help="how many images the whole run evaluates")
    crops.add_argument("--repeats", type=positive_int, default=3,
                       help="times each row is run, in turns")
    crops.add_argument("--image-size", type=positive_int, default=75,
                       help="pixels of a side of the whole run's crops")
    add_device_option(crops)
    crops.set_defaults(benchmark=_crops)


def _crops(arguments: argparse.Namespace) -> None:
    from benchmarks.crops import benchmark_host  # loads MindSpore
    from benchmarks.crops import benchmark_run, project
    out, images, repeats = arguments.out, arguments.images, arguments.repeats
    host = benchmark_host(out / "work", images, repeats)
    run = benchmark_run(out / "work", arguments.run_images, repeats, arguments.image_size,
                        arguments.device)
    print(write_table(host, out / "crops-host"))
    print(write_table(run, out / "crops-run"))
    for cards in (1, 8):
        print(project(images / host.rows[1].median, cards))


def _add_steps(commands) -> None:
    steps = commands.add_parser("steps", help="training: the seed report's speed table, or the "
                                "trainer against a bare loop")
    add_step_options(steps)
    steps.set_defaults(benchmark=_steps)


def _steps(arguments: argparse.Namespace) -> None:
    request = step_request(arguments, find_device(arguments.device))
    benchmark = benchmark_table if arguments.rows == TABLE else benchmark_trainer
    _report(benchmark(request), arguments.out)


if __name__ == "__main__":
    sys.exit(run_command(main))
