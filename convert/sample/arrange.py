"""The sample rearranged into the other layouts in which people have ImageNet."""

import csv
import io
import shutil
import tarfile
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from convert.sources.labels import (KAGGLE_CLASSES, KAGGLE_SOLUTION, GroundTruth, find_ground_truth,
                                    read_ground_truth)
from convert.sources.layouts import KAGGLE_IMAGES


def arrange_sample(sample: Path, layout: str) -> None:
    """Rearrange a sample made by ``make_sample`` (layout ``flat``) in place.

    The images and their labels stay the same, and so does ``devkit/data`` with the blacklist;
    ground truth and class map move to where the layout has them.
    """
    rearrange = SAMPLE_LAYOUTS[layout]
    if rearrange is None:
        return
    truth_file = find_ground_truth(sample)
    assert truth_file is not None, f"{sample} is not a sample"
    rearrange(sample, read_ground_truth(truth_file))
    truth_file.unlink()
    truth_file.with_name("map_clsloc.txt").unlink()


def _into_class_folders(sample: Path, truth: GroundTruth) -> None:
    val = sample / "val"
    for image_id, label in truth.labels.items():
        name = f"ILSVRC2012_val_{image_id:08d}.JPEG"
        folder = val / truth.class_names[label]
        folder.mkdir(exist_ok=True)
        (val / name).rename(folder / name)


def _into_archives(sample: Path, truth: GroundTruth) -> None:
    """Pack it as ImageNet does: a tar of tars, a tar, a devkit with its classes in meta.mat."""
    with tarfile.open(sample / "ILSVRC2012_img_train.tar", "w") as outer:
        for folder in sorted((sample / "train").iterdir()):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar:
                for image in sorted(folder.iterdir()):
                    add_member(tar, image.name, image.read_bytes())
            add_member(outer, f"{folder.name}.tar", inner.getvalue())
    with tarfile.open(sample / "ILSVRC2012_img_val.tar", "w") as tar:
        for image in sorted((sample / "val").iterdir()):
            add_member(tar, image.name, image.read_bytes())
    pack_devkit(sample)
    shutil.rmtree(sample / "train")
    shutil.rmtree(sample / "val")


def pack_devkit(sample: Path) -> None:
    """Pack ground truth and classes of ``sample/devkit/data`` as the official archive has them."""
    data = sample / "devkit" / "data"
    with tarfile.open(sample / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        name = "ILSVRC2012_validation_ground_truth.txt"
        add_member(tar, f"ILSVRC2012_devkit_t12/data/{name}", (data / name).read_bytes())
        add_member(tar, "ILSVRC2012_devkit_t12/data/meta.mat", _meta(data / "map_clsloc.txt"))


def add_member(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _meta(class_map: Path) -> bytes:
    """Return a meta.mat: `synsets` with an inner node after the classes, as in the devkit."""
    from scipy.io import savemat
    rows = [line.split() for line in class_map.read_text(encoding="utf-8").splitlines()]
    synsets = np.zeros(len(rows) + 1, dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O"),
                                             ("words", "O"), ("num_children", "O")])
    for position, (wnid, devkit_id, name) in enumerate(rows):
        synsets[position] = (int(devkit_id), wnid, name, 0)
    synsets[-1] = (1001, "n00001740", "entity", len(rows))
    buffer = io.BytesIO()
    savemat(buffer, {"synsets": synsets})
    return buffer.getvalue()


def _into_kaggle(sample: Path, truth: GroundTruth) -> None:
    images = sample / KAGGLE_IMAGES
    images.mkdir(parents=True)
    for split in ("train", "val"):
        (sample / split).rename(images / split)
    with open(sample / KAGGLE_SOLUTION, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ImageId", "PredictionString"])
        for image_id in sorted(truth.labels, key=lambda k: (k % 7, k)):  # not in id order
            rows.writerow([f"ILSVRC2012_val_{image_id:08d}",
                           f"{truth.class_names[truth.labels[image_id]]} 1 1 50 50 "])
    (sample / KAGGLE_CLASSES).write_text(
        "".join(f"{name} a class, of the sample\n" for name in truth.class_names),
        encoding="utf-8")


SAMPLE_LAYOUTS: dict[str, Optional[Callable[[Path, GroundTruth], None]]] = {
    "flat": None,  # as make_sample writes it
    "folders": _into_class_folders,
    "archives": _into_archives,
    "kaggle": _into_kaggle,
}
