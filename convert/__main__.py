"""Command line: ``python -m convert sample|run|finish|verify|show``.

What a command needs beyond its options is imported when it runs: ``--help`` does not wait for it.
"""

import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Callable, Optional, Sequence

from common.signals import end_on_signals, note_kept_work, take_signals_from_mindspore

if __name__ == "__main__":  # show alone has MindSpore's datasets and nothing to end before it does
    (take_signals_from_mindspore if sys.argv[1:2] == ["show"] else end_on_signals)()

from common.cli import (ArgumentParser, CheckFailed, RequestError, add_version, describe_os_error,
                        make_command, module_command, print_next, run_command, shown_command,
                        typed_command)
from common.options import add_options, flag_named, from_arguments
from common.text import class_label, counted, first_of
from convert.next_step import (commands_after, finish_command, other_classes_next_to,
                               target_after_verify)
from convert.records.manifest import MANIFEST_NAME, Manifest, read_manifest, record_sets_in
from convert.request import (ENGINE_OPTIONS, LOCK_OPTIONS, SOURCE_OPTIONS, VAL_OPTIONS, Request,
                             RunMode, SampleRequest, ShowRequest, VerifyRequest)
from convert.sources.ilsvrc import may_be_wnids
from convert.sources.listing import Listing
from convert.sources.misplaced import OTHER_SPLIT

EMPTIED_SHOWN = 10
IGNORED_SHOWN = 3


def main() -> None:
    parser = ArgumentParser(prog="python -m convert",
                            description="Turn ImageNet images into sharded MindRecord files.")
    add_version(parser)
    commands = parser.add_subcommands()

    def add(name: str, action: Callable, about: str, description: str = "") -> ArgumentParser:
        command = commands.add_parser(name, help=about, description=description or about)
        command.set_defaults(action=action)
        add_version(command)
        return command

    add_options(add("sample", _sample, "draw a small ImageNet-like set of images, to try the rest "
                                       "on"), SampleRequest)
    run = add("run", _run, "convert one split into a record set",
              "Convert one split into a record set. Stopped at any moment, the same command "
              "resumes from the shards that are finished.")
    add_options(run, Request)
    add_options(run, RunMode)
    add_options(add("finish", _finish, "make the record set of the shards that run --shard-range "
                                       "built",
                    "Make the record set of the shards that run --shard-range built, on one host "
                    "or several. Give the same arguments as to run, without --shard-range."),
                Request, leave_out=ENGINE_OPTIONS)
    check = add("verify", _verify, "compare every file and row of a record set with its manifest")
    add_options(check, VerifyRequest)
    add_options(check, Request, only=SOURCE_OPTIONS + LOCK_OPTIONS + ENGINE_OPTIONS)
    add_options(add("show", _show, "contact sheet and figures of a record set"), ShowRequest)
    arguments = parser.parse_args()
    arguments.action(arguments)


def _sample(arguments: Namespace) -> None:
    from convert.sample.arrange import arrange_sample, make_sample
    request = from_arguments(SampleRequest, arguments)
    make_sample(request.out, request.classes, request.train, request.val, request.seed)
    arrange_sample(request.out, request.layout)
    print(f"{request.out}: {counted(request.classes, 'class')}, each of "
          f"{counted(request.train, 'training image')} "
          f"and {counted(request.val, 'validation image')}")
    print_next(module_command("convert", "run", "--source", request.out, "--split", "val", "--out",
                              "records/val"))


def _run(arguments: Namespace) -> None:
    from convert.conversion import convert, convert_range
    from convert.conversion_plan import list_request, read_blacklist
    request, mode = _request(arguments), from_arguments(RunMode, arguments)
    note_kept_work(f"finished shards are kept in {request.out}; the same command resumes: "
                   f"{shown_command()}")
    if mode.list:
        listing = list_request(request)
        read_blacklist(request, listing)  # a wrong one is reported here, too
        _print_listing(listing)
    elif mode.shard_range is not None:
        reports = convert_range(request, mode.shard_range.start, mode.shard_range.stop - 1)
        print(f"{request.out}: {counted(len(reports), 'shard')} with "
              f"{counted(sum(report.shard.images for report in reports), 'image')} finished; "
              "when all are, the next command makes the record set of them")
        print_next(finish_command(), under_make=finish_command())
    else:
        _print_manifest(request, convert(request, typed_command()))


def _request(arguments: Namespace) -> Request:
    """Return what is to be converted. Options that were given for both splits are left out of the
    training set's where they are for validation images."""
    if not (arguments.both_splits and arguments.split == "train"):
        return from_arguments(Request, arguments)
    given = [flag_named(name) for name in VAL_OPTIONS if getattr(arguments, name)]
    if given:
        print(f"not used for the training set, since for validation images: {', '.join(given)}",
              file=sys.stderr)
    return from_arguments(Request, arguments, **dict.fromkeys(VAL_OPTIONS))


def _finish(arguments: Namespace) -> None:
    from convert.conversion import finish
    request = _request(arguments)
    note_kept_work(f"the shards in {request.out} are kept; start it again: {shown_command()}")
    _print_manifest(request, finish(request, typed_command()))


def _verify(arguments: Namespace) -> None:
    request = from_arguments(VerifyRequest, arguments)
    failures: list[Exception] = []
    verified: dict[Path, Manifest] = {}
    for records in record_sets_in(request.records):  # all of them, also where one is damaged
        try:
            verified[records] = _verify_one(replace(request, records=records), arguments)
        except BrokenPipeError:
            raise
        except (CheckFailed, RequestError) as failure:
            failures.append(failure)
        except OSError as error:
            failures.append(RequestError(describe_os_error(error)))
    if failures:
        checked = all(isinstance(failure, CheckFailed) for failure in failures)
        raise (CheckFailed if checked else RequestError)("; ".join(map(str, failures)))
    _say_next_of_verified(request.records, verified)


def _say_next_of_verified(given: Path, verified: dict[Path, Manifest]) -> None:
    """Print what comes next for one or two sets of ``given``, or why nothing can.

    Args:
        given: their folder, or that of the only one.
        verified: by their folders.
    """
    misnamed = {folder: manifest.split for folder, manifest in verified.items()
                if folder != given and folder.name != manifest.split}
    for folder, split in misnamed.items():
        print(f"warning: {folder} holds the {split} set; rename the folder, or convert again",
              file=sys.stderr)
    if misnamed:
        return
    folder, manifest = list(verified.items())[-1]
    if len(verified) == 1 and folder != given:
        print(f"{given / OTHER_SPLIT[folder.name]} is no folder: the other split's record set is "
              "missing", file=sys.stderr)
    target = target_after_verify(verified[given / "train"]) if len(verified) > 1 else ""
    _say_next(folder, manifest, under_make=target)


def _verify_one(request: VerifyRequest, arguments: Namespace) -> Manifest:
    from convert.verify import repair, verify
    split = read_manifest(request.records).split
    both = request.records != arguments.records
    of_val = dict.fromkeys(VAL_OPTIONS) if both and split == "train" else {}  # the other one's
    source = request.repair or request.records  # without --repair the source is not read
    engine = from_arguments(Request, arguments, source=source, out=request.records, split=split,
                            **of_val)
    if request.repair is not None:
        note_kept_work(f"shards that were built again are kept in {request.records}; start it "
                       f"again: {shown_command()}")
        rebuilt = repair(engine)
        print(f"{request.records}: "
              f"{'built again: ' + ', '.join(rebuilt) if rebuilt else 'no shard is damaged'}")
    manifest = verify(request.records, request.deep, engine.worker_count)
    print(f"{request.records}: {counted(manifest.images, 'image')} in "
          f"{counted(len(manifest.shards), 'shard')} {'is' if manifest.images == 1 else 'are'} "
          f"as the manifest says{' and can all be decoded' if request.deep else ''}", flush=True)
    return manifest


def _show(arguments: Namespace) -> None:
    from convert.records.reader import open_records
    from convert.show import contact_sheet, summary
    request = from_arguments(ShowRequest, arguments)
    records = open_records(request.records)
    contact_sheet(records, request.out, request.images, request.seed)
    print(summary(records, request.seed))
    print(f"contact sheet: {request.out}")


def _print_listing(listing: Listing) -> None:
    for entry in listing.entries:
        print(f"{entry.image_id}\t{entry.label}\t{entry.size}\t{entry.file_name}")
    print(f"{listing.root} (layout {listing.layout}): {counted(len(listing.entries), 'image')} of "
          f"{counted(len(listing.class_names), 'class')}, "
          f"{counted(sum(e.size for e in listing.entries), 'byte')}, "
          f"ignored: {_ignored(listing.ignored)}; columns above: image id, label, bytes, name",
          file=sys.stderr)


def _ignored(names: Sequence[str]) -> str:
    if not names:
        return "no files"
    return (f"{counted(len(names), 'file')}, not images by their name or place "
            f"({first_of(names, IGNORED_SHOWN)})")


def _print_manifest(request: Request, manifest: Manifest) -> None:
    out = request.out
    print(f"{out}: {counted(manifest.images, 'image')} of "
          f"{counted(len(manifest.classes), 'class')} in "
          f"{counted(len(manifest.shards), 'shard')}, {manifest.image_bytes:,} bytes of images")
    if manifest.shrunk:
        print(f"shrunk: {counted(manifest.shrunk, 'image')}, {manifest.bytes_saved:,} bytes saved")
    for kind, notes in (("repaired", manifest.repaired), ("rejected", manifest.rejected)):
        if notes:
            print(f"{kind}: {len(notes)}, listed in {out / MANIFEST_NAME}")
    _print_emptied(manifest)
    if manifest.ignored:
        print(f"ignored: {_ignored(manifest.ignored)}, listed in {out / MANIFEST_NAME}")
    _print_classes(manifest)
    note = manifest.blacklist
    if note is not None:
        print(f"blacklist: {counted(note.images, 'image')} marked "
              f"({'the' if note.is_ilsvrc else 'not the'}"
              f" ILSVRC list), {manifest.images - note.images:,} in the filtered set")
    elif manifest.has_ilsvrc_names:
        print("no --blacklist: only the full set can be scored")
    # make converts the training set last
    _say_next(out, manifest, request,
              under_make=make_command("verify", "RECORDS") if request.split == "train" else "")


def _say_next(folder: Path, manifest: Manifest, request: Optional[Request] = None,
              under_make: str = "") -> None:
    """Print what comes next for a record set, or why no training can."""
    difference = other_classes_next_to(folder, manifest)
    if difference:
        print(f"warning: no training can use these sets together: {difference}", file=sys.stderr)
    print_next(*commands_after(folder, manifest, request),
               under_make="" if difference else under_make)


def _print_classes(manifest: Manifest) -> None:
    first, last = (class_label(item.name, item.words)
                   for item in (manifest.classes[0], manifest.classes[-1]))
    print(f"labels: 0 is class {first}, {len(manifest.classes) - 1} is class {last}")
    if manifest.ilsvrc is not None:
        print(f"This is {manifest.ilsvrc.describe()}.")
    numbers = manifest.ilsvrc_numbers
    if numbers is not None and (manifest.split == "train"
                                or may_be_wnids(manifest.class_names)):
        print(f"This {'is' if numbers.complete else 'has'} {numbers.describe(manifest.split)}.")


def _print_emptied(manifest: Manifest) -> None:
    """Name the classes all of whose images were rejected: a network cannot learn them."""
    emptied = [item.name for item in manifest.classes if not item.images]
    if emptied:
        print(f"left without images, since all of theirs were rejected: {len(emptied)} of "
              f"{len(manifest.classes)} classes: {first_of(emptied, EMPTIED_SHOWN)}")


if __name__ == "__main__":
    sys.exit(run_command(main))
