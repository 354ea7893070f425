"""Command line: ``python -m benchmarks convert|crops --out DIR``."""

import sys
from argparse import Namespace
from pathlib import Path

from benchmarks.conversion import benchmark_conversion
from benchmarks.tables import write_table
from common import ArgumentParser, run_command
from convert import available_cores


def main() -> None:
    parser = ArgumentParser(prog="python -m benchmarks", description="Time this project and peers.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=ArgumentParser)
    convert = commands.add_parser("convert", help="conversion against cp -r and ImageNetToMR")
    convert.add_argument("--out", type=Path, required=True, help="result folder; also where the "
                         "pictures are made and removed (three times their size is needed)")
    convert.add_argument("--images", type=int, default=36_000, help="JPEGs of about 115 KB")
    convert.add_argument("--repeats", type=int, default=3, help="times each row is run, in turns")
    convert.add_argument("--workers", type=int, default=available_cores(), help="of our rows")
    crops = commands.add_parser("crops", help="144 crops: the host against the naive way, a run "
                                "against the bare network")
    crops.add_argument("--out", type=Path, required=True, help="folder of two result folders")
    crops.add_argument("--images", type=int, default=40, help="pictures that the host cuts")
    crops.add_argument("--run-images", type=int, default=6, help="pictures of the whole run")
    crops.add_argument("--repeats", type=int, default=3, help="times each row is run, in turns")
    crops.add_argument("--image-size", type=int, default=75, help="pixels, of the whole run")
    crops.add_argument("--device", default="auto", help="auto, CPU or Ascend")
    arguments = parser.parse_args()
    if arguments.command == "crops":
        _crops(arguments)
    else:
        _convert(arguments)


def _crops(arguments: Namespace) -> None:
    from benchmarks.crops import benchmark_host, benchmark_run, project
    out, images, repeats = arguments.out, arguments.images, arguments.repeats
    host = benchmark_host(out / "work", images, repeats)
    run = benchmark_run(out / "work", arguments.run_images, repeats, arguments.image_size,
                        arguments.device)
    print(write_table(host, out / "crops-host"))
    print(write_table(run, out / "crops-run"))
    for cards in (1, 8):
        print(project(images / host.rows[1].median, cards))


def _convert(arguments: Namespace) -> None:
    table = benchmark_conversion(arguments.out / "work", arguments.images, arguments.repeats,
                                 arguments.workers)
    (arguments.out / "work").rmdir()
    print(write_table(table, arguments.out))


if __name__ == "__main__":
    sys.exit(run_command(main))
