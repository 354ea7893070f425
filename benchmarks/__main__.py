"""Command line: ``python -m benchmarks convert|feed --out DIR``."""

import argparse
import sys
from pathlib import Path

from benchmarks.conversion import benchmark_conversion
from benchmarks.feeds import FeedRequest, benchmark_feeds
from benchmarks.tables import Table, write_table
from common import ArgumentParser, run_command
from convert import available_cores


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks", description="Time this project and peers.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=ArgumentParser)
    _add_convert(commands)
    _add_feed(commands)
    arguments = parser.parse_args()
    table = arguments.benchmark(arguments)
    (arguments.out / "work").rmdir()
    print(write_table(table, arguments.out))


def _add_common(parser: argparse.ArgumentParser, room: str, images: int) -> None:
    parser.add_argument("--out", type=Path, required=True, help="result folder; also where the "
                        f"pictures are made and removed ({room} times their size is needed)")
    parser.add_argument("--images", type=int, default=images, help="JPEGs of about 115 KB")
    parser.add_argument("--repeats", type=int, default=3, help="times each row is run, in turns")
    parser.add_argument("--workers", type=int, default=available_cores(), help="of our rows")


def _add_convert(commands) -> None:
    convert = commands.add_parser("convert", help="conversion against cp -r and ImageNetToMR")
    _add_common(convert, "three", 36_000)
    convert.set_defaults(benchmark=_convert)


def _convert(arguments: argparse.Namespace) -> Table:
    return benchmark_conversion(arguments.out / "work", arguments.images, arguments.repeats,
                                arguments.workers)


def _add_feed(commands) -> None:
    feed = commands.add_parser("feed", help="the training feed against the seed's and others")
    _add_common(feed, "four", 12_000)
    feed.add_argument("--batch-size", type=int, default=128, help="pictures a batch")
    feed.add_argument("--image-size", type=int, default=299, help="pixels of a side of the crops")
    feed.add_argument("--skip", type=int, default=20, help="batches at either end not timed")
    feed.add_argument("--open-ms", type=float, default=20, help="slow mount: wait for each open")
    feed.add_argument("--read-ms", type=float, default=1, help="slow mount: wait per 128 KB read")
    feed.set_defaults(benchmark=_feed)


def _feed(arguments: argparse.Namespace) -> Table:
    return benchmark_feeds(FeedRequest(
        arguments.out / "work", arguments.images, arguments.repeats, arguments.workers,
        arguments.batch_size, arguments.image_size, arguments.skip, arguments.open_ms,
        arguments.read_ms))


if __name__ == "__main__":
    sys.exit(run_command(main))
