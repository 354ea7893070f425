"""JPEG decoders alone, and other tools that pack images into few files: rows of ``python -m
benchmarks convert``, each in a process of its own, so that start-up counts for every row.

``python -m benchmarks.conversion.peers NAME TRAIN WORKERS`` decodes the class folders of TRAIN and
keeps nothing, which bounds ``--check decode``. ``python -m benchmarks.conversion.peers NAME TRAIN
OUT`` packs them into OUT. Each packer uses its own defaults except for files of 1 GB, as in this
project; none checks an image, shuffles, or writes with more than one process.
"""

import io
import sys
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple

from joblib import Parallel, delayed
from PIL import Image

from common.cli import CheckFailed, run_command
from common.jpeg import prefer_pillows_libjpeg
from convert.images import ImageChecks, check_image

OURS = "decoder alone: Pillow at 1/8, ours"
SHARD_BYTES = 1 << 30  # as in this project


class EncodedImage(NamedTuple):
    """One image of the source, encoded."""

    name: str
    label: int
    data: bytes


def _images(train: Path) -> Iterator[EncodedImage]:
    """Yield the images by class and name, sorted."""
    for label, folder in enumerate(sorted(train.iterdir())):
        for path in sorted(folder.iterdir()):
            yield EncodedImage(path.stem, label, path.read_bytes())


def _shards(train: Path) -> Iterator[tuple[int, Iterator[EncodedImage]]]:
    """Yield (number, images) of shards that are full at SHARD_BYTES."""
    images = _images(train)

    def shard(first: EncodedImage) -> Iterator[EncodedImage]:
        size = len(first.data)
        yield first
        while size < SHARD_BYTES and (image := next(images, None)):
            size += len(image.data)
            yield image

    number = 0
    while first := next(images, None):
        yield number, shard(first)
        number += 1


def pack_webdataset(train: Path, out: Path) -> int:
    """Write tars of ``<name>.jpg`` and ``<name>.cls``."""
    from webdataset import ShardWriter
    with ShardWriter(str(out / "train-%05d.tar"), maxcount=sys.maxsize, maxsize=SHARD_BYTES,
                     verbose=0) as writer:
        for name, label, data in _images(train):
            writer.write({"__key__": name, "jpg": data, "cls": label})
        return writer.total


def pack_tfrecord(train: Path, out: Path) -> int:
    """Write TFRecord files of tf.train.Example, without TensorFlow."""
    from tfrecord.writer import TFRecordWriter
    stored = 0
    for number, images in _shards(train):
        writer = TFRecordWriter(str(out / f"train-{number:05d}.tfrecord"))
        for _, label, data in images:
            writer.write({"image": (data, "byte"), "label": (label, "int")})
            stored += 1
        writer.close()
    return stored


def pack_streaming(train: Path, out: Path) -> int:
    """Write MosaicML streaming's MDS shards."""
    from streaming import MDSWriter
    stored = 0
    with MDSWriter(out=str(out), columns={"image": "bytes", "label": "int"},
                   size_limit=SHARD_BYTES) as writer:
        for _, label, data in _images(train):
            writer.write({"image": data, "label": label})
            stored += 1
    return stored


def pack_array_record(train: Path, out: Path) -> int:
    """Write ArrayRecord files for random access, one record per group: four bytes of
    label, then the JPEG."""
    from array_record.python.array_record_module import ArrayRecordWriter
    stored = 0
    for number, images in _shards(train):
        writer = ArrayRecordWriter(str(out / f"train-{number:05d}.array_record"), "group_size:1")
        for _, label, data in images:
            writer.write(label.to_bytes(4, "little") + data)
            stored += 1
        writer.close()
    return stored


# Name of the row: the module that it needs, of the ``bench`` extra, and the function that packs.
PEERS: dict[str, tuple[str, Callable[[Path, Path], int]]] = {
    "webdataset": ("webdataset", pack_webdataset),
    "TFRecord": ("tfrecord", pack_tfrecord),
    "MosaicML streaming": ("streaming", pack_streaming),
    "ArrayRecord": ("array_record", pack_array_record),
}


def _decode_with_pillow(data: bytes) -> None:
    Image.open(io.BytesIO(data)).load()


def _decode_with_mindspore(data: bytes) -> None:
    import numpy as np
    from mindspore.dataset import vision
    vision.Decode()(np.frombuffer(data, np.uint8))


DECODERS: dict[str, Callable[[bytes], object]] = {
    OURS: lambda data: check_image(data, ImageChecks()),
    "decoder alone: Pillow, whole": _decode_with_pillow,
    "decoder alone: MindSpore": _decode_with_mindspore,
}


def _decode_files(name: str, paths: List[Path]) -> None:
    prefer_pillows_libjpeg()  # in joblib's worker, which runs no command of its own
    decode = DECODERS[name]
    for path in paths:
        decode(path.read_bytes())


def main() -> None:
    name, train = sys.argv[1], Path(sys.argv[2])
    paths = sorted(train.glob("*/*"))
    if name in DECODERS:
        workers = int(sys.argv[3])
        Parallel(workers)(delayed(_decode_files)(name, paths[k::workers]) for k in range(workers))
        return
    out = Path(sys.argv[3])
    out.mkdir()
    stored = PEERS[name][1](train, out)
    if stored != len(paths):
        raise CheckFailed(f"{name} stored {stored} of {len(paths)} images")


if __name__ == "__main__":
    sys.exit(run_command(main))
