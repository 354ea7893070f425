"""How fast a source becomes a record set, against copying it and MindSpore's own converter."""

import os
import shutil
import statistics
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict

from benchmarks.conversion.peers import DECODERS, OURS, PEERS
from benchmarks.synthetic import make_class_folders
from benchmarks.table import describe_machine
from benchmarks.timing import not_installed, run_process, time_rows, timed
from common.forms import SpeedTable
from common.host import available_cores
from common.options import check_values, option

HEADER, DECODE = "convert --check header", "convert --check decode"
PAGE_CACHE = f"{HEADER}, through the page cache"

# What ImageNetToMR wants: a map of labels, class folders under "train".
_IMAGENET_TO_MR = """
import sys
from mindspore.mindrecord import ImageNetToMR
ImageNetToMR(sys.argv[1], sys.argv[2], sys.argv[3], partition_number=int(sys.argv[4])).transform()
"""


@dataclass(frozen=True)
class ConversionRequest:
    """What ``python -m benchmarks convert`` measures."""

    out: Path = option(help="result folder; also where the images are made and removed (three "
                            "times their size is needed)")
    images: int = option(36_000, "how many JPEGs, of about 115 KB each", low=1)
    repeats: int = option(3, "repeats of each row, in turns with the others", low=1)
    workers: int = option(0, "worker processes of the rows of this project; 0: all cores", low=0)

    def __post_init__(self) -> None:
        check_values(self)


def benchmark_conversion(request: ConversionRequest) -> SpeedTable:
    """Time each row in turns, each ending with sync, start-up included.

    Decoders alone write nothing; they show the highest rate that a conversion that decodes can
    reach. What is made in ``request.out`` is removed.
    """
    work, workers = request.out / "work", request.workers or available_cores()
    source, out = work / "source", work / "out"
    make_class_folders(source, request.images)
    actions = _actions(source, out, workers)
    rows = time_rows({name: partial(_seconds_on_disk, action, out)
                      for name, action in actions.items()}, request.repeats,
                     reasons={name: not_installed(package) for name, (package, _) in PEERS.items()})
    alone, ours = (statistics.median(row.seconds) for name in (OURS, DECODE) for row in rows
                   if row.name == name)
    note = f"{alone / ours:.0%} of the decoder's own rate"
    size = sum(path.stat().st_size for path in source.glob("train/*/*"))
    shutil.rmtree(work)
    return SpeedTable(
        "Conversion of JPEGs in class folders", request.images, "images",
        [replace(row, note=note) if row.name == DECODE else row for row in rows],
        describe_machine(request.out),
        {"repeats": request.repeats, "workers": workers, "megabytes": size // 1_000_000,
         "cache": "warm", "every row ends with": "sync"})


def _seconds_on_disk(action: Callable[[], object], out: Path) -> float:
    """Return the seconds until what the action wrote into ``out`` is on the disk; remove it."""
    os.sync()
    seconds = timed(action) + timed(os.sync)
    if out.exists():  # decoders write nothing
        shutil.rmtree(out)
    return seconds


def _actions(source: Path, out: Path, workers: int) -> Dict[str, Callable[[], object]]:
    """Return what each row does; the map of labels for ImageNetToMR is written already."""
    train, labels = source / "train", source / "labels.txt"
    labels.write_text("".join(f"{folder.name} {label}\n" for label, folder in
                              enumerate(sorted(train.iterdir()))), encoding="utf-8")

    def ours(check: str, environment: Dict[str, str] = {}) -> Callable[[], object]:
        return lambda: run_process(
            sys.executable, "-m", "convert", "run", "--source", source, "--split", "train",
            "--out", out, "--check", check, "--workers", workers, environment=environment)

    def imagenet_to_mr() -> None:
        out.mkdir()
        run_process(sys.executable, "-c", _IMAGENET_TO_MR, labels, train, out / "train.mindrecord",
                    8)

    def peer(name: str, last: object) -> Callable[[], object]:
        return partial(run_process, sys.executable, "-m", "benchmarks.conversion.peers", name,
                       train, last)

    return {
        "cp -r": lambda: run_process("cp", "-r", train, out),
        "plain append": lambda: _append_all(train, out),
        "ImageNetToMR": imagenet_to_mr,
        HEADER: ours("header"),
        PAGE_CACHE: ours("header", {"SHARD_WRITING": "page-cache"}),
        DECODE: ours("decode"),
        **{name: peer(name, workers) for name in DECODERS},
        **{name: peer(name, out) for name in PEERS},
    }


def _append_all(train: Path, out: Path) -> None:
    out.mkdir()
    with open(out / "all", "wb") as file:
        for path in sorted(train.glob("*/*")):
            file.write(path.read_bytes())
