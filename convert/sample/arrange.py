"""The sample as files: in the official layout, and rearranged into the others."""

import contextlib
import csv
import io
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import numpy as np
from PIL import Image

from common.cli import RequestError
from common.files import PathLike, write_text
from common.progress import progress_bar
from convert.sample.downloads import add_member, into_flat_tars, into_parquet, into_webdataset
from convert.sample.draw import draw_image, style_of
from convert.sources.label_lists import KAGGLE_CLASSES, KAGGLE_SOLUTION
from convert.sources.labels import find_ground_truth, read_ground_truth
from convert.sources.layouts import KAGGLE_IMAGES
from convert.sources.listing import GroundTruth

BLACKLISTED_SHARE = 0.04    # of ILSVRC's 50,000 validation images 1,762 are listed: 3.5 %

# One random stream for each purpose, so that drawing more of one thing leaves the others alone.
(TRAIN_STREAM, VAL_STREAM, WNID_STREAM, DEVKIT_STREAM, NUMBER_STREAM, LABEL_STREAM,
 BLACKLIST_STREAM, CMYK_STREAM, ODD_STREAM) = range(9)


def make_sample(out: PathLike, classes: int = 10, train: int = 60, val: int = 10,
                seed: int = 0) -> None:
    """Write ``train`` and ``val`` images of each of ``classes`` classes into the folder ``out``.

    ::

        train/<wnid>/<wnid>_N.JPEG                      N neither consecutive nor of fixed width
        val/ILSVRC2012_val_NNNNNNNN.JPEG                1 to val * classes, classes shuffled
        devkit/data/ILSVRC2012_validation_ground_truth.txt      one devkit id (1-based) per line
        devkit/data/map_clsloc.txt                              wnid, devkit id, class name
        devkit/data/ILSVRC2015_clsloc_validation_blacklist.txt  about 4 % of the val ids

    As in ILSVRC, devkit ids do not follow the sorted wnids; here no class has the same place in
    both. One training image is grayscale, one CMYK and one a PNG, all named .JPEG (fewer if
    there are fewer than three images); one validation image, on the blacklist, is CMYK.
    The same arguments give the same bytes on one machine with the same NumPy and Pillow.

    Raises:
        RequestError: ``out`` is a file or a folder that is not empty.
    """
    with _folder_when_complete(Path(out).resolve()) as folder, \
            progress_bar(classes * (train + val), "sample", "images") as bar:
        # WordNet's own noun ids end near n15300000, so n9... is no real one's.
        numbers = _rng(seed, WNID_STREAM).choice(10_000_000, size=classes, replace=False)
        wnids = sorted(f"n9{number:07d}" for number in numbers)
        labels = _rng(seed, LABEL_STREAM).permutation(np.repeat(np.arange(classes), val))
        listed = max(1, round(BLACKLISTED_SHARE * len(labels)))
        blacklist = 1 + np.sort(_rng(seed, BLACKLIST_STREAM).choice(len(labels), listed,
                                                                    replace=False))
        write_devkit(folder / "devkit" / "data", wnids, labels, blacklist, seed)
        _draw_train(folder / "train", wnids, train, seed, bar)
        _draw_val(folder / "val", labels, int(_rng(seed, CMYK_STREAM).choice(blacklist)), seed,
                  bar)


@contextlib.contextmanager
def _folder_when_complete(out: Path) -> Iterator[Path]:
    """Yield a temporary folder on the disk of ``out``, renamed to ``out`` when all is written."""
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file: name a new folder for the sample")
    if out.is_dir() and any(out.iterdir()):
        raise RequestError(f"{out} is not empty: name a new folder for the sample, or empty it")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        yield folder
        folder.rename(out)


def _rng(seed: int, *stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, *stream])


def write_devkit(data: Path, wnids: list[str], labels: np.ndarray, blacklist: np.ndarray,
                 seed: int) -> None:
    """Write ground truth, class map and blacklist as in ``make_sample`` into the new folder
    ``data``.

    Args:
        labels: int (validation images,), the 0-based class of each, in image-id order.
        blacklist: image ids, 1-based.
    """
    data.mkdir(parents=True)
    ids = _devkit_ids(len(wnids), seed)
    for name, lines in {
            "map_clsloc.txt": [f"{wnids[label]} {ids[label]} {style_of(label).name}"
                               for label in np.argsort(ids)],
            "ILSVRC2012_validation_ground_truth.txt": ids[labels],
            "ILSVRC2015_clsloc_validation_blacklist.txt": blacklist}.items():
        write_text(data / name, "".join(f"{line}\n" for line in lines))


def _devkit_ids(classes: int, seed: int) -> np.ndarray:
    """Return the devkit id (1-based) of each class in wnid order; no class i gets i + 1.

    One random cycle of all classes (Sattolo) moves each of them, so that labels read in devkit
    order are wrong for every image and not just for most.
    """
    cycle = _rng(seed, DEVKIT_STREAM).permutation(classes)
    ids = np.empty(classes, dtype=int)
    ids[cycle] = np.roll(cycle, 1) + 1
    return ids


def _draw_train(folder: Path, wnids: list[str], per_class: int, seed: int, bar: Any) -> None:
    total = len(wnids) * per_class
    odd = _rng(seed, ODD_STREAM).choice(total, size=min(3, total), replace=False)
    kinds = dict(zip(odd.tolist(), ("L", "CMYK", "PNG")))
    for label, wnid in enumerate(wnids):
        (folder / wnid).mkdir(parents=True)
        gaps = _rng(seed, NUMBER_STREAM, label).integers(2, 400, per_class)
        for i, number in enumerate(np.cumsum(gaps)):
            _draw_file(folder / wnid / f"{wnid}_{number}.JPEG", label,
                       _rng(seed, TRAIN_STREAM, label, i), kinds.get(label * per_class + i, "RGB"))
            bar.update()


def _draw_val(folder: Path, labels: np.ndarray, cmyk_id: int, seed: int, bar: Any) -> None:
    folder.mkdir()
    for image_id, label in enumerate(labels, start=1):
        _draw_file(folder / f"ILSVRC2012_val_{image_id:08d}.JPEG", label,
                   _rng(seed, VAL_STREAM, image_id), "CMYK" if image_id == cmyk_id else "RGB")
        bar.update()


def _draw_file(path: Path, label: int, rng: np.random.Generator, kind: str) -> None:
    """Draw an image of the class; ``kind`` is a mode of Pillow's to store it in, or PNG."""
    image = Image.fromarray(draw_image(style_of(label), rng))
    quality = int(rng.integers(80, 96))
    if kind == "PNG":
        image.save(path, format="PNG")
    else:
        image.convert(kind).save(path, quality=quality)


def arrange_sample(sample: Path, layout: str) -> None:
    """Rearrange a sample made by ``make_sample`` (layout ``flat``) in place.

    The images and their labels stay the same, and so does ``devkit/data`` with the blacklist;
    ground truth and class map move to where the layout has them. Class folders need no ground
    truth and keep the map, for its words.
    """
    rearrange = SAMPLE_LAYOUTS[layout]
    if rearrange is None:
        return
    truth_file = find_ground_truth(sample)
    assert truth_file is not None, f"{sample} is not a sample"
    rearrange(sample, read_ground_truth(truth_file))
    truth_file.unlink()
    if layout != "folders":  # where the map alone says what people call the classes
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
    pack_class_tars(sample / "train", sample / "ILSVRC2012_img_train.tar")
    with tarfile.open(sample / "ILSVRC2012_img_val.tar", "w") as tar:
        for image in sorted((sample / "val").iterdir()):
            add_member(tar, image.name, image.read_bytes())
    pack_devkit(sample)
    shutil.rmtree(sample / "train")
    shutil.rmtree(sample / "val")


def pack_class_tars(train: Path, archive: Path) -> None:
    """Pack class folders as the official training archive has them."""
    with tarfile.open(archive, "w") as outer:
        for folder in sorted(train.iterdir()):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar:
                for image in sorted(folder.iterdir()):
                    add_member(tar, image.name, image.read_bytes())
            add_member(outer, f"{folder.name}.tar", inner.getvalue())


def pack_devkit(sample: Path) -> None:
    """Pack ground truth and classes of ``sample/devkit/data`` as the official archive has them."""
    data = sample / "devkit" / "data"
    with tarfile.open(sample / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as tar:
        name = "ILSVRC2012_validation_ground_truth.txt"
        add_member(tar, f"ILSVRC2012_devkit_t12/data/{name}", (data / name).read_bytes())
        add_member(tar, "ILSVRC2012_devkit_t12/data/meta.mat", _meta(data / "map_clsloc.txt"))


def _meta(class_map: Path) -> bytes:
    """Return a meta.mat: `synsets` with an inner node after the classes, as in the devkit."""
    from scipy.io import savemat
    rows = [line.split() for line in class_map.read_text(encoding="utf-8").splitlines()]
    synsets = np.array([*((int(devkit_id), wnid, name, 0) for wnid, devkit_id, name in rows),
                        (1001, "n00001740", "entity", len(rows))],
                       dtype=[(name, "O") for name in ("ILSVRC2012_ID", "WNID", "words",
                                                       "num_children")])
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
        "".join(f"{name} {style_of(label).words}, of the sample\n"
                for label, name in enumerate(truth.class_names)),
        encoding="utf-8")


SAMPLE_LAYOUTS: dict[str, Optional[Callable[[Path, GroundTruth], None]]] = {
    "flat": None,  # as make_sample writes it
    "folders": _into_class_folders,
    "archives": _into_archives,
    "kaggle": _into_kaggle,
    "parquet": into_parquet,
    "flat-tars": into_flat_tars,
    "webdataset": into_webdataset,
}
