"""Command line: ``python -m convert sample|run|verify|show``."""

import sys
from pathlib import Path

from common import ArgumentParser, RequestError, run_command
from convert import (SAMPLE_LAYOUTS, Manifest, Request, arrange_sample, available_cores, convert,
                     make_sample, open_records, verify)
from convert.conversion import CHECKS, ON_BAD, list_request
from convert.listing import Listing
from convert.naming import PICTURE_EXTENSIONS
from convert.show import contact_sheet, summary
from convert.sources import LAYOUTS, SPLITS


def main() -> None:
    parser = ArgumentParser(prog="python -m convert",
                            description="Turn ImageNet pictures into sharded MindRecord files.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=ArgumentParser)
    _add_sample(commands)
    _add_run(commands)
    _add_verify(commands)
    _add_show(commands)
    arguments = parser.parse_args()
    if getattr(arguments, "workers", 1) < 1:
        raise RequestError(f"--workers {arguments.workers}: give at least 1")
    arguments.action(arguments)


def _add_sample(commands) -> None:
    sample = commands.add_parser("sample", help="make a small ImageNet-like set of pictures")
    sample.add_argument("--out", type=Path, required=True, help="new folder for the pictures")
    sample.add_argument("--classes", type=int, default=10, help="number of classes, 2 to 1000")
    sample.add_argument("--train", type=int, default=60, help="training pictures a class")
    sample.add_argument("--val", type=int, default=10, help="validation pictures a class")
    sample.add_argument("--seed", type=int, default=0, help="same seed, same bytes")
    sample.add_argument("--layout", choices=SAMPLE_LAYOUTS, default="flat",
                        help="how the pictures lie: flat is the official one, unpacked")
    sample.set_defaults(action=_sample)


def _add_run(commands) -> None:
    run = commands.add_parser("run", help="convert one split into a record set")
    run.add_argument("--source", type=Path, required=True, help="folder with the pictures")
    run.add_argument("--split", choices=SPLITS, required=True)
    run.add_argument("--out", type=Path, required=True, help="folder for the record set")
    run.add_argument("--blacklist", type=Path, help="validation ids to mark (devkit, val only)")
    run.add_argument("--ground-truth", type=Path, help="the devkit's *_validation_ground_truth.txt")
    run.add_argument("--layout", choices=LAYOUTS, help="of the source; recognised by looking")
    run.add_argument("--extensions", nargs="+", default=list(PICTURE_EXTENSIONS),
                     help="endings of picture files in class folders, in lower case")
    run.add_argument("--shards", type=int, help="number of shards; by default about 1 GB each, "
                                                "a multiple of 8")
    run.add_argument("--seed", type=int, default=0, help="of the training order")
    run.add_argument("--check", choices=CHECKS, default="decode", help="how to check each picture")
    run.add_argument("--short-side", type=int, metavar="PIXELS",
                     help="shrink pictures with a longer short side to this, for cheaper decoding")
    run.add_argument("--quality", type=int, default=90, help="JPEG quality of shrunk pictures")
    run.add_argument("--on-bad", choices=ON_BAD, default="fail",
                     help="stop at bad pictures, or leave them out and record them")
    run.add_argument("--allow-other-labels", action="store_true",
                     help="take labels that are not ILSVRC's for ILSVRC's classes")
    run.add_argument("--list", action="store_true",
                     help="say what would be converted and write nothing")
    run.add_argument("--workers", type=int, default=available_cores(), help="worker processes")
    run.set_defaults(action=_run)


def _add_verify(commands) -> None:
    check = commands.add_parser("verify", help="compare a record set with its manifest")
    check.add_argument("records", type=Path, help="folder of the record set")
    check.add_argument("--deep", action="store_true", help="also decode every picture")
    check.add_argument("--workers", type=int, default=available_cores(), help="workers")
    check.set_defaults(action=_verify)


def _add_show(commands) -> None:
    show = commands.add_parser("show", help="contact sheet and figures of a record set")
    show.add_argument("records", type=Path, help="folder of the record set")
    show.add_argument("--out", type=Path, required=True, help="PNG file for the contact sheet")
    show.add_argument("--pictures", type=int, default=40, help="pictures on the sheet")
    show.add_argument("--seed", type=int, default=0, help="of the sample")
    show.set_defaults(action=_show)


def _sample(arguments) -> None:
    make_sample(arguments.out, arguments.classes, arguments.train, arguments.val, arguments.seed)
    arrange_sample(arguments.out, arguments.layout)
    print(f"{arguments.out}: {arguments.classes} classes, {arguments.train} training and "
          f"{arguments.val} validation pictures each")


def _run(arguments) -> None:
    fields = {name: value for name, value in vars(arguments).items()
              if name not in ("command", "action", "list")}
    request = Request(**fields)
    if arguments.list:
        _print_listing(list_request(request))
    else:
        _report(arguments.out, convert(request))


def _print_listing(listing: Listing) -> None:
    for entry in listing.entries:
        print(f"{entry.image_id}\t{entry.label}\t{entry.size}\t{entry.file_name}")
    print(f"{listing.root} (layout {listing.layout}): {len(listing.entries):,} images of "
          f"{len(listing.class_names)} classes, {sum(e.size for e in listing.entries):,} bytes, "
          f"{len(listing.ignored)} files ignored; columns above: image id, label, bytes, name",
          file=sys.stderr)


def _verify(arguments) -> None:
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
          f"{len(manifest.shards)} shards, {manifest.picture_bytes:,} bytes of pictures")
    if manifest.shrunk:
        print(f"shrunk: {manifest.shrunk:,} pictures, {manifest.bytes_saved:,} bytes saved")
    for kind in ("repaired", "rejected"):
        remarks = getattr(manifest, kind)
        if remarks:
            print(f"{kind}: {len(remarks)}, listed in {out / 'manifest.json'}")
    if manifest.ignored:
        print(f"ignored {len(manifest.ignored)} files that are not pictures by their name, "
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
