"""How fast a source becomes a record set, against copying it and MindSpore's own converter."""

import importlib.util
import os
import shutil
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List

from benchmarks.conversion.peers import DECODERS, OURS, PEERS
from benchmarks.synthetic import make_class_folders
from benchmarks.table import describe_machine
from benchmarks.timing import in_turns, run_process, timed
from common.forms import SpeedRow, SpeedTable
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
    work.mkdir(parents=True, exist_ok=True)
    source, out = work / "source", work / "out"
    make_class_folders(source, request.images)
    _write_label_map(source)
    rows = _rows(source, out, workers)

    def timed_alone(name: str) -> Callable[[], float]:
        def action() -> float:
            os.sync()
            seconds = timed(rows[name]) + timed(os.sync)
            shutil.rmtree(out, ignore_errors=name in DECODERS)  # these write nothing
            return seconds
        return action

    seconds = in_turns({name: timed_alone(name) for name in rows}, request.repeats,
                       "time conversions")
    size = sum(path.stat().st_size for path in source.glob("train/*/*"))
    shutil.rmtree(work)
    return SpeedTable(
        "Conversion of JPEGs in class folders", request.images, "images",
        [_speed_row(name, seconds) for name in rows] + _missing_peers(),
        describe_machine(request.out),
        {"repeats": request.repeats, "workers": workers, "megabytes": size // 1_000_000,
         "cache": "warm", "every row ends with": "sync"})


def _rows(source: Path, out: Path, workers: int) -> Dict[str, Callable[[], object]]:
    train = source / "train"

    def ours(check: str, environment: Dict[str, str] = {}) -> Callable[[], object]:
        return lambda: run_process(
            sys.executable, "-m", "convert", "run", "--source", source, "--split", "train",
            "--out", out, "--check", check, "--workers", workers, environment=environment)

    def imagenet_to_mr() -> None:
        out.mkdir()
        run_process(sys.executable, "-c", _IMAGENET_TO_MR, source / "labels.txt", train,
                    out / "train.mindrecord", 8)

    def peer(name: str, *arguments: object) -> Callable[[], object]:
        return lambda: run_process(sys.executable, "-m", "benchmarks.conversion.peers", name,
                                   train, *arguments)

    return {
        "cp -r": lambda: run_process("cp", "-r", train, out),
        "plain append": lambda: _append_all(train, out),
        "ImageNetToMR": imagenet_to_mr,
        HEADER: ours("header"),
        PAGE_CACHE: ours("header", {"SHARD_WRITING": "page-cache"}),
        DECODE: ours("decode"),
        **{name: peer(name, workers) for name in DECODERS},
        **{name: peer(name, out) for name, (package, _) in PEERS.items()
           if importlib.util.find_spec(package)},
    }


def _speed_row(name: str, seconds: Dict[str, List[float]]) -> SpeedRow:
    if name != DECODE:
        return SpeedRow(name, seconds[name])
    share = statistics.median(seconds[OURS]) / statistics.median(seconds[DECODE])
    return SpeedRow(name, seconds[name], f"{share:.0%} of the decoder's own rate")


def _missing_peers() -> List[SpeedRow]:
    return [SpeedRow(name, [], "not installed: pip install '.[bench]'")
            for name, (package, _) in PEERS.items() if not importlib.util.find_spec(package)]


def _append_all(train: Path, out: Path) -> None:
    out.mkdir()
    with open(out / "all", "wb") as file:
        for path in sorted(train.glob("*/*")):
            file.write(path.read_bytes())


def _write_label_map(source: Path) -> None:
    names = sorted(folder.name for folder in (source / "train").iterdir())
    (source / "labels.txt").write_text("".join(f"{name} {k}\n" for k, name in enumerate(names)),
                                       encoding="utf-8")
