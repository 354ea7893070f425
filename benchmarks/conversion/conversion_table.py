"""How fast a source becomes a record set: against copying it, MindSpore's own converter, other
tools that pack images into few files, and JPEG decoders alone; or from each layout of a source."""

import os
import shutil
import statistics
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, Mapping

from benchmarks.conversion.packers import DECODERS, OURS, PEERS
from benchmarks.conversion.source_layouts import FOLDERS, LAYOUTS, arrange_layouts
from benchmarks.synthetic import make_class_folders
from benchmarks.table import describe_machine
from benchmarks.timing import not_installed, run_process, time_rows, timed
from common.forms import SpeedRow, SpeedTable
from common.host import available_cores
from common.options import CheckedOptions, option

PACKERS, SOURCES = "packers", "layouts"  # kinds of rows
HEADER, DECODE = "convert --check header", "convert --check decode"
PAGE_CACHE = f"{HEADER}, through the page cache"
GOAL = 1.3  # times class folders that another layout may take

# What ImageNetToMR wants: a map of labels, class folders under "train".
_IMAGENET_TO_MR = """
import sys
from mindspore.mindrecord import ImageNetToMR
ImageNetToMR(sys.argv[1], sys.argv[2], sys.argv[3], partition_number=int(sys.argv[4])).transform()
"""


@dataclass(frozen=True)
class ConversionRequest(CheckedOptions):
    """What ``python -m benchmarks convert`` measures."""

    out: Path = option(help="result folder; also where the images are made and removed (three "
                            "times their size is needed; six times for the rows of layouts)")
    rows: str = option(PACKERS, "conversion of class folders against copying and other packers, or "
                       "of the same images in each layout of a source",
                       choices=(PACKERS, SOURCES))
    images: int = option(36_000, "how many JPEGs, of about 115 KB each", low=1)
    repeats: int = option(3, "repeats of each row, in turns with the others", low=1)
    workers: int = option(0, "worker processes of the rows of this project; 0: all cores", low=0)


def benchmark_conversion(request: ConversionRequest) -> SpeedTable:
    """Time each row in turns, each ending with sync, start-up included; what is made in
    ``request.out`` is removed."""
    work, workers = request.out / "work", request.workers or available_cores()
    source, out = work / "source", work / "out"
    make_class_folders(source, request.images)
    size = sum(path.stat().st_size for path in source.glob("train/*/*"))
    settings = {"repeats": request.repeats, "workers": workers, "megabytes": size // 1_000_000,
                "cache": "warm", "every row ends with": "sync"}
    title, rows, closing = (_against_packers if request.rows == PACKERS else _by_layout)(
        source, out, request, workers)
    shutil.rmtree(work)
    return SpeedTable(title, request.images, "images", rows, describe_machine(request.out),
                      settings, closing=closing)


def _against_packers(source: Path, out: Path, request: ConversionRequest, workers: int
                     ) -> tuple[str, list[SpeedRow], list[str]]:
    """Return title, rows and closing sentences; decoders alone write nothing and show the highest
    rate that a conversion that decodes can reach."""
    rows = _time(_actions(source, out, workers), out, request.repeats,
                 {name: not_installed(package) for name, (package, _) in PEERS.items()})
    alone, ours = (statistics.median(row.seconds) for name in (OURS, DECODE) for row in rows
                   if row.name == name)
    note = f"{alone / ours:.0%} of the decoder's own rate"
    return ("Conversion of JPEGs in class folders",
            [replace(row, note=note) if row.name == DECODE else row for row in rows], [])


def _by_layout(source: Path, out: Path, request: ConversionRequest, workers: int
               ) -> tuple[str, list[SpeedRow], list[str]]:
    """Return title, rows and closing sentences. Headers alone are checked, so that reading is most
    of the work."""
    sources = arrange_layouts(source, out.parent)
    reasons = {layout.name: layout.unavailable_reason for layout in LAYOUTS}
    rows = _time({name: partial(_convert, sources.get(name, source), out, "header", workers)
                  for name in (FOLDERS, *reasons)}, out, request.repeats, reasons)
    folders, *others = [(statistics.median(row.seconds), row.name) for row in rows if row.seconds]
    slowest, name = max(others)
    return (f"Conversion by layout of the source, {HEADER}", rows,
            [f"slowest: {name}, {slowest / folders[0]:.2f} times class folders (goal: {GOAL})"])


def _time(actions: Mapping[str, Callable[[], object]], out: Path, repeats: int,
          reasons: Mapping[str, str]) -> list[SpeedRow]:
    return time_rows({name: partial(_seconds_on_disk, action, out)
                      for name, action in actions.items()}, repeats, reasons=reasons)


def _seconds_on_disk(action: Callable[[], object], out: Path) -> float:
    """Return the seconds until what the action wrote into ``out`` is on the disk; remove it."""
    os.sync()
    seconds = timed(action) + timed(os.sync)
    if out.exists():  # decoders write nothing
        shutil.rmtree(out)
    return seconds


def _convert(source: Path, out: Path, check: str, workers: int,
             environment: Mapping[str, str] = {}) -> None:
    run_process(sys.executable, "-m", "convert", "run", "--source", source, "--split", "train",
                "--out", out, "--check", check, "--workers", workers, environment=environment)


def _actions(source: Path, out: Path, workers: int) -> dict[str, Callable[[], object]]:
    """Return what each row does; the map of labels for ImageNetToMR is written already."""
    train, labels = source / "train", source / "labels.txt"
    labels.write_text("".join(f"{folder.name} {label}\n" for label, folder in
                              enumerate(sorted(train.iterdir()))), encoding="utf-8")

    def imagenet_to_mr() -> None:
        out.mkdir()
        run_process(sys.executable, "-c", _IMAGENET_TO_MR, labels, train, out / "train.mindrecord",
                    8)

    def peer(name: str, last: object) -> Callable[[], object]:
        return partial(run_process, sys.executable, "-m", "benchmarks.conversion.packers", name,
                       train, last)

    ours = partial(_convert, source, out)
    return {
        "cp -r": lambda: run_process("cp", "-r", train, out),
        "plain append": lambda: _append_all(train, out),
        "ImageNetToMR": imagenet_to_mr,
        HEADER: partial(ours, "header", workers),
        PAGE_CACHE: partial(ours, "header", workers, {"SHARD_WRITING": "page-cache"}),
        DECODE: partial(ours, "decode", workers),
        **{name: peer(name, workers) for name in DECODERS},
        **{name: peer(name, out) for name in PEERS},
    }


def _append_all(train: Path, out: Path) -> None:
    out.mkdir()
    with open(out / "all", "wb") as file:
        for path in sorted(train.glob("*/*")):
            file.write(path.read_bytes())
