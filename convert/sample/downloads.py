"""The sample as Hugging Face and timm publish ImageNet: Parquet files and tars of shuffled images,
whose names end in the class."""

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np

from convert.sources.listing import GroundTruth
from convert.sources.parquet import require_pyarrow


def into_parquet(sample: Path, truth: GroundTruth) -> None:
    """Write two files per split with small row groups, as Hugging Face's library does."""
    require_pyarrow(sample)
    import pyarrow
    from pyarrow import parquet
    (sample / "data").mkdir()
    image_type = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    for split, images in (("train", _train_images(sample, truth)),
                          ("validation", _val_images(sample, truth))):
        half = len(images) // 2
        for part, rows in enumerate((images[:half], images[half:])):
            image = [{"bytes": path.read_bytes(), "path": _with_wnid(path, truth, label)}
                     for path, label in rows]
            table = pyarrow.table({"image": pyarrow.array(image, image_type),
                                   "label": [label for _, label in rows]})
            parquet.write_table(table, sample / "data" / f"{split}-{part:05d}-of-00002.parquet",
                                row_group_size=5)
    _remove_folders(sample)


def _train_images(sample: Path, truth: GroundTruth) -> list[tuple[Path, int]]:
    """Return the training images with their labels, shuffled as Hugging Face's are."""
    images = [(path, label) for label, name in enumerate(truth.class_names)
              for path in sorted((sample / "train" / name).iterdir())]
    return [images[k] for k in np.random.default_rng(0).permutation(len(images))]


def _val_images(sample: Path, truth: GroundTruth) -> list[tuple[Path, int]]:
    return [(sample / "val" / f"ILSVRC2012_val_{image_id:08d}.JPEG", label)
            for image_id, label in sorted(truth.labels.items(), reverse=True)]


def _with_wnid(path: Path, truth: GroundTruth, label: int) -> str:
    return f"{path.stem}_{truth.class_names[label]}{path.suffix}"


def into_flat_tars(sample: Path, truth: GroundTruth) -> None:
    train = _train_images(sample, truth)
    parts = {f"train_images_{part}.tar": train[part::5] for part in range(5)}
    for name, images in {**parts, "val_images.tar": _val_images(sample, truth)}.items():
        with tarfile.open(sample / name, "w") as tar:
            for path, label in images:
                add_member(tar, _with_wnid(path, truth, label), path.read_bytes())
    _remove_folders(sample)


def into_webdataset(sample: Path, truth: GroundTruth) -> None:
    for split, images in (("train", _train_images(sample, truth)),
                          ("validation", _val_images(sample, truth))):
        for part in range(3):
            with tarfile.open(sample / f"imagenet1k-{split}-{part:02d}.tar", "w") as tar:
                for path, label in images[part::3]:
                    key = Path(_with_wnid(path, truth, label)).stem
                    add_member(tar, f"{key}.cls", str(label).encode())
                    add_member(tar, f"{key}.jpg", path.read_bytes())
                    add_member(tar, f"{key}.json", b"{}")
    _remove_folders(sample)


def _remove_folders(sample: Path) -> None:
    for split in ("train", "val"):
        shutil.rmtree(sample / split)


def add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
