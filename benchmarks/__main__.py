"""Command line: ``python -m benchmarks convert --out DIR``."""

import sys
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
    arguments = parser.parse_args()
    table = benchmark_conversion(arguments.out / "work", arguments.images, arguments.repeats,
                                 arguments.workers)
    (arguments.out / "work").rmdir()
    print(write_table(table, arguments.out))


if __name__ == "__main__":
    sys.exit(run_command(main))
