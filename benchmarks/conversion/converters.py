"""How fast a source becomes a record set, against copying it and MindSpore's own converter."""

import importlib.util
import os
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List

from benchmarks.conversion.decoders import DECODERS, OURS
from benchmarks.conversion.packers import PEERS
from benchmarks.machine import describe_machine
from benchmarks.synthetic import make_class_folders
from benchmarks.table import SpeedRow, SpeedTable
from benchmarks.timing import run_process

DECODE = "convert --check decode"

# What ImageNetToMR wants: a map of labels, class folders under "train".
_IMAGENET_TO_MR = """
import sys
from mindspore.mindrecord import ImageNetToMR
ImageNetToMR(sys.argv[1], sys.argv[2], sys.argv[3], partition_number=int(sys.argv[4])).transform()
"""


def benchmark_conversion(work: Path, images: int, repeats: int, workers: int) -> SpeedTable:
    """Time each row ``repeats`` times in turns, each ending with sync, start-up included.

    Decoders alone write nothing; they show what a conversion that decodes can reach at the most.

    Args:
        work: a folder with room for three times the images; what is made there is removed.
    """
    work.mkdir(parents=True, exist_ok=True)
    source, out = work / "source", work / "out"
    make_class_folders(source, images)
    _write_label_map(source)
    rows = _rows(source, out, workers)
    seconds: Dict[str, List[float]] = {name: [] for name in rows}
    for _ in range(repeats):
        for name, action in rows.items():
            seconds[name].append(_timed(action))
            shutil.rmtree(out, ignore_errors=name in DECODERS)  # these write nothing
    size = sum(path.stat().st_size for path in source.glob("train/*/*"))
    shutil.rmtree(source)
    return SpeedTable(
        "Conversion of JPEGs in class folders", images, "images",
        [_row(name, seconds) for name in rows] + _missing_peers(),
        describe_machine(work),
        {"repeats": repeats, "workers": workers, "megabytes": size // 1_000_000,
         "cache": "warm", "every row ends with": "sync"})


def _rows(source: Path, out: Path, workers: int) -> Dict[str, Callable[[], object]]:
    train = source / "train"

    def ours(check: str) -> Callable[[], object]:
        return lambda: run_process(
            sys.executable, "-m", "convert", "run", "--source", source, "--split", "train",
            "--out", out, "--check", check, "--workers", workers)

    def imagenet_to_mr() -> None:
        out.mkdir()
        run_process(sys.executable, "-c", _IMAGENET_TO_MR, source / "labels.txt", train,
                    out / "train.mindrecord", 8)
    return {
        "cp -r": lambda: run_process("cp", "-r", train, out),
        "plain append": lambda: _append_all(train, out),
        "ImageNetToMR": imagenet_to_mr,
        "convert --check header": ours("header"),
        DECODE: ours("decode"),
        **{name: _decoder(name, train, workers) for name in DECODERS},
        **{name: _peer(name, train, out) for name, (package, _) in PEERS.items()
           if importlib.util.find_spec(package)},
    }


def _peer(name: str, train: Path, out: Path) -> Callable[[], object]:
    return lambda: run_process(sys.executable, "-m", "benchmarks.conversion.packers", name, train,
                               out)


def _decoder(name: str, train: Path, workers: int) -> Callable[[], object]:
    return lambda: run_process(sys.executable, "-m", "benchmarks.conversion.decoders", name, train,
                               workers)


def _row(name: str, seconds: Dict[str, List[float]]) -> SpeedRow:
    if name != DECODE:
        return SpeedRow(name, seconds[name])
    share = statistics.median(seconds[OURS]) / statistics.median(seconds[DECODE])
    return SpeedRow(name, seconds[name], f"{share:.0%} of the decoder's own rate")


def _missing_peers() -> List[SpeedRow]:
    return [SpeedRow(name, [], "not installed: pip install '.[bench]'")
            for name, (package, _) in PEERS.items() if not importlib.util.find_spec(package)]


def _timed(action: Callable[[], object]) -> float:
    os.sync()
    start = time.perf_counter()
    action()
    os.sync()
    return time.perf_counter() - start


def _append_all(train: Path, out: Path) -> None:
    out.mkdir()
    with open(out / "all", "wb") as file:
        for path in sorted(train.glob("*/*")):
            file.write(path.read_bytes())


def _write_label_map(source: Path) -> None:
    names = sorted(folder.name for folder in (source / "train").iterdir())
    (source / "labels.txt").write_text("".join(f"{name} {k}\n" for k, name in enumerate(names)),
                                       encoding="utf-8")
