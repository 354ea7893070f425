"""Command line: ``python -m convert sample|run|finish|verify|show``."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from common.cli import ArgumentParser, positive_int, run_command
from common.host import available_cores
from convert.conversion import convert, convert_range, finish
from convert.engine import BACKENDS
from convert.images import SHRUNK_JPEG_QUALITY
from convert.records.manifest import Manifest, read_manifest
from convert.records.reader import open_records
from convert.repair import repair
from convert.request import CHECKS, ON_BAD, Request, list_request
from convert.sample.arrange import SAMPLE_LAYOUTS, arrange_sample
from convert.sample.official import make_sample
from convert.shards import ShardReport
from convert.show import contact_sheet, summary
from convert.sources.layouts import LAYOUT_NAMES, SPLITS
from convert.sources.listing import IMAGE_EXTENSIONS, Listing
from convert.verify import verify


def main() -> None:
    parser = ArgumentParser(prog="python -m convert",
                            description="Turn ImageNet images into sharded MindRecord files.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=ArgumentParser)
    _add_sample(commands)
    _add_run(commands)
    _add_finish(commands)
    _add_verify(commands)
    _add_show(commands)
    arguments = parser.parse_args()
    arguments.action(arguments)


def _add_sample(commands) -> None:
    about = "draw a small ImageNet-like set of images, to try the rest on"
    sample = commands.add_parser("sample", help=about, description=about)
    sample.add_argument("--out", type=Path, required=True, help="new folder for the images")
    sample.add_argument("--classes", type=int, default=10, help="number of classes, 2 to 1000")
    sample.add_argument("--train", type=int, default=60, help="training images a class")
    sample.add_argument("--val", type=int, default=10, help="validation images a class")
    sample.add_argument("--seed", type=int, default=0, help="same seed, same bytes")
    sample.add_argument("--layout", choices=SAMPLE_LAYOUTS, default="flat",
                        help="how the images lie: flat is the official one, unpacked")
    sample.set_defaults(action=_sample)


def _add_run(commands) -> None:
    run = commands.add_parser(
        "run", help="convert one split into a record set",
        description="Convert one split into a record set. Stopped at any moment, the same command "
                    "goes on from the shards that are finished.")
    _add_request(run)
    _add_engine(run)
    run.add_argument("--shard-range", type=_range, metavar="A-B",
                     help="build these shards only (from 0, both included), e.g. one range a host; "
                          "then: python -m convert finish")
    run.add_argument("--list", action="store_true",
                     help="say what would be converted and write nothing")
    run.set_defaults(action=_run)


def _add_finish(commands) -> None:
    finishing = commands.add_parser(
        "finish", help="make the record set of the shards that run --shard-range built",
        description="Make the record set of the shards that run --shard-range built, on one host "
                    "or several. Give the same arguments as to run, without --shard-range.")
    _add_request(finishing)
    finishing.set_defaults(action=_finish)


def _add_request(parser: argparse.ArgumentParser) -> None:
    """What to convert, and all that decides the bytes."""
    parser.add_argument("--source", type=Path, required=True, help="folder with the images of "
                        "both splits, e.g. with train/ and val/ in it")
    parser.add_argument("--split", choices=SPLITS, required=True, help="which images of it")
    parser.add_argument("--out", type=Path, required=True, help="folder for the record set")
    _add_source_options(parser)
    parser.add_argument("--shards", type=int, help="number of record files (default: of about 1 GB "
                                                   "each, a multiple of 8)")
    parser.add_argument("--seed", type=int, default=0,
                        help="of the order in which training images are written; the same seed "
                             "gives the same bytes")
    parser.add_argument("--check", choices=CHECKS, default="decode",
                        help="of each image: decode every pixel, or read its header and end only")
    parser.add_argument("--short-side", type=int, metavar="PIXELS",
                        help="shrink images with a longer short side to this, for cheaper "
                             "decoding")
    parser.add_argument("--quality", type=int, default=SHRUNK_JPEG_QUALITY,
                        help="JPEG quality of the images that --short-side shrinks, 1 to 95")
    parser.add_argument("--on-bad", choices=ON_BAD, default="fail",
                        help="stop at damaged images, or leave them out and list them in the "
                             "manifest")
    parser.add_argument("--allow-other-labels", action="store_true",
                        help="convert although the labels of 50,000 images of ILSVRC's classes are "
                             "not ILSVRC's")


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    """How to read the source."""
    parser.add_argument("--blacklist", type=Path, help="list of validation images "
                        "to mark, such as the devkit's (val only)")
    parser.add_argument("--ground-truth", type=Path,
                        help="the devkit's *_validation_ground_truth.txt, for a flat val folder "
                             "(default: looked for in the source)")
    parser.add_argument("--layout", choices=LAYOUT_NAMES, help="how the images lie in the source "
                        "(default: recognised by looking)")
    parser.add_argument("--extensions", nargs="+", default=list(IMAGE_EXTENSIONS),
                        help="endings of image files in class folders, in lower case")


def _add_engine(parser: argparse.ArgumentParser) -> None:
    """Who does the work."""
    parser.add_argument("--workers", type=positive_int, default=available_cores(),
                        help="worker processes (a Dask cluster uses all that it has)")
    parser.add_argument("--backend", choices=tuple(BACKENDS), default="loky",
                        help="joblib's: this machine's cores, or a cluster that sees the same "
                             "folders")
    parser.add_argument("--scheduler", metavar="ADDRESS",
                        help="of the cluster, e.g. tcp://host:8786 for dask")


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a range like 0-7")
    return int(first), int(last)


def _add_verify(commands) -> None:
    about = "compare every file and row of a record set with its manifest"
    check = commands.add_parser("verify", help=about, description=about)
    check.add_argument("records", type=Path, help="folder of the record set")
    check.add_argument("--deep", action="store_true", help="also decode every image")
    check.add_argument("--repair", type=Path, metavar="SOURCE",
                       help="first build damaged shards again from the images in this folder; "
                            "the options below are for that")
    _add_source_options(check)
    _add_engine(check)
    check.set_defaults(action=_verify)


def _add_show(commands) -> None:
    about = "contact sheet and figures of a record set"
    show = commands.add_parser("show", help=about, description=about)
    show.add_argument("records", type=Path, help="folder of the record set")
    show.add_argument("--out", type=Path, required=True, help="PNG file for the contact sheet")
    show.add_argument("--pictures", type=int, default=40, help="images on the sheet")
    show.add_argument("--seed", type=int, default=0, help="of the choice of images")
    show.set_defaults(action=_show)


def _sample(arguments) -> None:
    make_sample(arguments.out, arguments.classes, arguments.train, arguments.val, arguments.seed)
    arrange_sample(arguments.out, arguments.layout)
    print(f"{arguments.out}: {arguments.classes} classes, {arguments.train} training and "
          f"{arguments.val} validation images each")


def _run(arguments) -> None:
    request = _request(arguments)
    if arguments.list:
        _print_listing(list_request(request))
    elif arguments.shard_range:
        _report_range(arguments.out, convert_range(request, *arguments.shard_range))
    else:
        _report(arguments.out, convert(request))


def _finish(arguments) -> None:
    _report(arguments.out, finish(_request(arguments)))


def _request(arguments, **changes) -> Request:
    names = {field.name for field in fields(Request)}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    return Request(**given, **changes)


def _report_range(out: Path, reports: list[ShardReport]) -> None:
    print(f"{out}: {len(reports)} shards with {sum(report.shard.images for report in reports):,} "
          "images are finished; when all are: python -m convert finish")


def _print_listing(listing: Listing) -> None:
    for entry in listing.entries:
        print(f"{entry.image_id}\t{entry.label}\t{entry.size}\t{entry.file_name}")
    print(f"{listing.root} (layout {listing.layout}): {len(listing.entries):,} images of "
          f"{len(listing.class_names)} classes, {sum(e.size for e in listing.entries):,} bytes, "
          f"{len(listing.ignored)} files ignored; columns above: image id, label, bytes, name",
          file=sys.stderr)


def _verify(arguments) -> None:
    if arguments.repair is not None:
        rebuilt = repair(_request(arguments, source=arguments.repair, out=arguments.records,
                                  split=read_manifest(arguments.records).split))
        print(f"{arguments.records}: " + (f"built again: {', '.join(rebuilt)}" if rebuilt else
                                          "no shard is damaged"))
    manifest = verify(arguments.records, arguments.deep, arguments.workers)
    print(f"{arguments.records}: {manifest.images:,} images in {len(manifest.shards)} shards are "
          "as the manifest says" + (" and can all be decoded" if arguments.deep else ""))


def _show(arguments) -> None:
    records = open_records(arguments.records)
    contact_sheet(records, arguments.out, arguments.pictures, arguments.seed)
    print(summary(records, arguments.seed))
    print(f"contact sheet: {arguments.out}")


def _report(out: Path, manifest: Manifest) -> None:
    print(f"{out}: {manifest.images:,} images of {len(manifest.classes)} classes in "
          f"{len(manifest.shards)} shards, {manifest.picture_bytes:,} bytes of images")
    if manifest.shrunk:
        print(f"shrunk: {manifest.shrunk:,} images, {manifest.bytes_saved:,} bytes saved")
    for kind in ("repaired", "rejected"):
        remarks = getattr(manifest, kind)
        if remarks:
            print(f"{kind}: {len(remarks)}, listed in {out / 'manifest.json'}")
    if manifest.ignored:
        print(f"ignored {len(manifest.ignored)} files that are not images by their name, "
              f"e.g. {manifest.ignored[0]}")
    if manifest.ilsvrc is not None:
        print(f"This is {manifest.ilsvrc.describe()}.")
    if manifest.split == "val":
        print(_blacklist_line(manifest))


def _blacklist_line(manifest: Manifest) -> str:
    note = manifest.blacklist
    if note is None:
        return "no --blacklist: only the full set can be scored"
    return (f"blacklist: {note.images:,} images marked ({'the' if note.is_ilsvrc else 'not the'} "
            f"ILSVRC list), {manifest.images - note.images:,} in the filtered set")


if __name__ == "__main__":
    sys.exit(run_command(main))
