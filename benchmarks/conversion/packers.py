"""Other tools that pack images into few files, and JPEG decoders alone.

They run in processes of their own, so that start-up counts: ``python -m
benchmarks.conversion.packers NAME TRAIN WORKERS`` decodes the class folders of TRAIN and keeps
nothing, which bounds ``--check decode``; ``python -m benchmarks.conversion.packers NAME TRAIN OUT``
packs them into OUT. Each packer uses its own defaults except for files of 1 GB, as in this project;
none checks an image, shuffles, or writes with more than one process.
"""

import io
import itertools
import sys
from pathlib import Path
from typing import Callable, Iterator

from joblib import delayed
from PIL import Image

from common.cli import run_command
from common.jpeg import prefer_pillows_libjpeg
from convert.conversion_plan import SHARD_BYTES
from convert.images import ImageChecks, check_image
from convert.workers import results_of_workers

OURS = "decoder alone: Pillow at 1/8, ours"


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
