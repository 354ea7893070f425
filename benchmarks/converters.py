"""How fast a source becomes a record set, against copying it, MindSpore's own converter, other
tools that pack images into few files, and JPEG decoders alone.

Decoders and other tools run in processes of their own, so that start-up counts for every row:
``python -m benchmarks.converters NAME TRAIN WORKERS`` decodes the class folders of TRAIN and keeps
nothing, which bounds ``--check decode``; ``python -m benchmarks.converters NAME TRAIN OUT`` packs
them into OUT. Each packer uses its own defaults except for files of 1 GB, as in this project; none
checks an image, shuffles, or writes with more than one process.
"""

import io
import itertools
import os
import shutil
import statistics
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Callable, Iterator

from joblib import delayed
from PIL import Image

from benchmarks.synthetic import make_class_folders
from benchmarks.table import describe_machine
from benchmarks.timing import not_installed, run_process, time_rows, timed
from common.cli import run_command
from common.forms import SpeedTable
from common.host import available_cores
from common.jpeg import prefer_pillows_libjpeg
from common.options import CheckedOptions, option
from convert.conversion_plan import SHARD_BYTES
from convert.images import ImageChecks, check_image
from convert.workers import results_of_workers

HEADER, DECODE = "convert --check header", "convert --check decode"
PAGE_CACHE = f"{HEADER}, through the page cache"
OURS = "decoder alone: Pillow at 1/8, ours"

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
                            "times their size is needed)")
    images: int = option(36_000, "how many JPEGs, of about 115 KB each", low=1)
    repeats: int = option(3, "repeats of each row, in turns with the others", low=1)
    workers: int = option(0, "worker processes of the rows of this project; 0: all cores", low=0)


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


def _actions(source: Path, out: Path, workers: int) -> dict[str, Callable[[], object]]:
    """Return what each row does; the map of labels for ImageNetToMR is written already."""
    train, labels = source / "train", source / "labels.txt"
    labels.write_text("".join(f"{folder.name} {label}\n" for label, folder in
                              enumerate(sorted(train.iterdir()))), encoding="utf-8")

    def ours(check: str, environment: dict[str, str] = {}) -> Callable[[], object]:
        return lambda: run_process(
            sys.executable, "-m", "convert", "run", "--source", source, "--split", "train",
            "--out", out, "--check", check, "--workers", workers, environment=environment)

    def imagenet_to_mr() -> None:
        out.mkdir()
        run_process(sys.executable, "-c", _IMAGENET_TO_MR, labels, train, out / "train.mindrecord",
                    8)

    def peer(name: str, last: object) -> Callable[[], object]:
        return partial(run_process, sys.executable, "-m", "benchmarks.converters", name,
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


def _images(train: Path) -> Iterator[tuple[str, int, bytes]]:
    """Yield (name, label, JPEG) of the images by class and name, sorted."""
    for label, folder in enumerate(sorted(train.iterdir())):
        for path in sorted(folder.iterdir()):
            yield path.stem, label, path.read_bytes()


def _shards(train: Path) -> Iterator[tuple[int, Iterator[tuple[str, int, bytes]]]]:
    """Yield (number, images) of shards of about SHARD_BYTES."""
    size = 0

    def shard_of(image: tuple[str, int, bytes]) -> int:
        nonlocal size
        start, size = size, size + len(image[2])
        return start // SHARD_BYTES
    return itertools.groupby(_images(train), key=shard_of)


def pack_webdataset(train: Path, out: Path) -> None:
    """Write tars of ``<name>.jpg`` and ``<name>.cls``."""
    from webdataset import ShardWriter
    with ShardWriter(str(out / "train-%05d.tar"), maxcount=sys.maxsize, maxsize=SHARD_BYTES,
                     verbose=0) as writer:
        for name, label, data in _images(train):
            writer.write({"__key__": name, "jpg": data, "cls": label})


def pack_tfrecord(train: Path, out: Path) -> None:
    """Write TFRecord files of tf.train.Example, without TensorFlow."""
    from tfrecord.writer import TFRecordWriter
    for number, images in _shards(train):
        writer = TFRecordWriter(str(out / f"train-{number:05d}.tfrecord"))
        for _, label, data in images:
            writer.write({"image": (data, "byte"), "label": (label, "int")})
        writer.close()


def pack_streaming(train: Path, out: Path) -> None:
    """Write MosaicML streaming's MDS shards."""
    from streaming import MDSWriter
    with MDSWriter(out=str(out), columns={"image": "bytes", "label": "int"},
                   size_limit=SHARD_BYTES) as writer:
        for _, label, data in _images(train):
            writer.write({"image": data, "label": label})


def pack_array_record(train: Path, out: Path) -> None:
    """Write ArrayRecord files for random access, one record per group: four bytes of
    label, then the JPEG."""
    from array_record.python.array_record_module import ArrayRecordWriter
    for number, images in _shards(train):
        writer = ArrayRecordWriter(str(out / f"train-{number:05d}.array_record"), "group_size:1")
        for _, label, data in images:
            writer.write(label.to_bytes(4, "little") + data)
        writer.close()


# Name of the row: the module that it needs, of the ``bench`` extra, and the function that packs.
PEERS: dict[str, tuple[str, Callable[[Path, Path], None]]] = {
    "webdataset": ("webdataset", pack_webdataset),
    "TFRecord": ("tfrecord", pack_tfrecord),
    "MosaicML streaming": ("streaming", pack_streaming),
    "ArrayRecord": ("array_record", pack_array_record),
}


def _decode_with_mindspore(data: bytes) -> None:
    import numpy as np
    from mindspore.dataset import vision
    vision.Decode()(np.frombuffer(data, np.uint8))


DECODERS: dict[str, Callable[[bytes], object]] = {
    OURS: lambda data: check_image(data, ImageChecks()),
    "decoder alone: Pillow, whole": lambda data: Image.open(io.BytesIO(data)).load(),
    "decoder alone: MindSpore": _decode_with_mindspore,
}


def _decode_files(name: str, paths: list[Path]) -> None:
    prefer_pillows_libjpeg()  # in joblib's worker, which runs no command of its own
    decode = DECODERS[name]
    for path in paths:
        decode(path.read_bytes())


def main() -> None:
    name, train, last = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if name in DECODERS:
        paths, workers = sorted(train.glob("*/*")), int(last)
        tasks = [delayed(_decode_files)(name, paths[k::workers]) for k in range(workers)]
        list(results_of_workers(tasks, n_jobs=workers))
    else:
        Path(last).mkdir()
        PEERS[name][1](train, Path(last))


if __name__ == "__main__":
    sys.exit(run_command(main))
