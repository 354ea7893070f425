"""The sample as Hugging Face and timm publish ImageNet: Parquet files and tars of shuffled images,
whose names end in the class."""

import io
import shutil
import tarfile
from pathlib import Path
from typing import Sequence

import numpy as np

from convert.sources.listing import GroundTruth
from convert.sources.parquet import require_pyarrow

Labelled = tuple[Path, int]  # an image and its label

GROUP_ROWS = 5  # few, so that a small sample has several groups
# Seconds: a fraction of one, as the webdataset package's, takes an extended header per member.
PACKED_AT = 1650000000.5


def into_parquet(sample: Path, truth: GroundTruth) -> None:
    """Write two files per split."""
    require_pyarrow(sample)
    (sample / "data").mkdir()
    for split, images in (("train", train_images(sample, truth)),
                          ("validation", _val_images(sample, truth))):
        half = len(images) // 2
        for part, rows in enumerate((images[:half], images[half:])):
            write_parquet(sample / "data" / f"{split}-{part:05d}-of-00002.parquet", rows, truth,
                          GROUP_ROWS)
    _remove_folders(sample)


def into_flat_tars(sample: Path, truth: GroundTruth) -> None:
    train = train_images(sample, truth)
    parts = {f"train_images_{part}.tar": train[part::5] for part in range(5)}
    for name, images in {**parts, "val_images.tar": _val_images(sample, truth)}.items():
        write_flat_tar(sample / name, images, truth)
    _remove_folders(sample)


def into_webdataset(sample: Path, truth: GroundTruth) -> None:
    for split, images in (("train", train_images(sample, truth)),
                          ("validation", _val_images(sample, truth))):
        for part in range(3):
            write_webdataset(sample / f"imagenet1k-{split}-{part:02d}.tar", images[part::3], truth)
    _remove_folders(sample)


def train_images(sample: Path, truth: GroundTruth) -> list[Labelled]:
    """Return the training images with their labels, shuffled as Hugging Face's are."""
    images = [(path, label) for label, name in enumerate(truth.class_names)
              for path in sorted((sample / "train" / name).iterdir())]
    return [images[k] for k in np.random.default_rng(0).permutation(len(images))]


def _val_images(sample: Path, truth: GroundTruth) -> list[Labelled]:
    return [(sample / "val" / f"ILSVRC2012_val_{image_id:08d}.JPEG", label)
            for image_id, label in sorted(truth.labels.items(), reverse=True)]


def write_parquet(file: Path, images: Sequence[Labelled], truth: GroundTruth, group_rows: int
                  ) -> None:
    """Write a file with small row groups, as Hugging Face's library does."""
    import pyarrow
    from pyarrow import parquet
    image_type = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    with parquet.ParquetWriter(file, pyarrow.schema({"image": image_type,
                                                     "label": pyarrow.int64()})) as writer:
        for start in range(0, len(images), group_rows):
            rows = images[start:start + group_rows]
            columns = {"image": pyarrow.array(
                [{"bytes": path.read_bytes(), "path": _with_wnid(path, truth, label)}
                 for path, label in rows], image_type), "label": [label for _, label in rows]}
            writer.write_table(pyarrow.table(columns))


def write_flat_tar(file: Path, images: Sequence[Labelled], truth: GroundTruth) -> None:
    with tarfile.open(file, "w") as tar:
        for path, label in images:
            add_member(tar, _with_wnid(path, truth, label), path.read_bytes())


def write_webdataset(file: Path, images: Sequence[Labelled], truth: GroundTruth) -> None:
    with tarfile.open(file, "w") as tar:
        for path, label in images:
            key = Path(_with_wnid(path, truth, label)).stem
            for ending, data in (("cls", str(label).encode()), ("jpg", path.read_bytes()),
                                 ("json", b"{}")):
                add_member(tar, f"{key}.{ending}", data, PACKED_AT)


def _with_wnid(path: Path, truth: GroundTruth, label: int) -> str:
    return f"{path.stem}_{truth.class_names[label]}{path.suffix}"


def _remove_folders(sample: Path) -> None:
    for split in ("train", "val"):
        shutil.rmtree(sample / split)


def add_member(tar: tarfile.TarFile, name: str, data: bytes, packed_at: float = 0) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(data), packed_at
    tar.addfile(member, io.BytesIO(data))
