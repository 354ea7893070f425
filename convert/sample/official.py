"""The sample as files in the official layout: class folders, a flat val folder and a devkit."""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import numpy as np
from PIL import Image

from common.cli import RequestError, progress_bar
from common.files import write_text
from convert.sample.draw import draw_image, style_of

MAX_CLASSES = 1000
BLACKLISTED_SHARE = 0.04    # of ILSVRC's 50,000 validation images 1,762 are listed: 3.5 %

# One random stream for each purpose, so that drawing more of one thing leaves the others alone.
(TRAIN_STREAM, VAL_STREAM, WNID_STREAM, DEVKIT_STREAM, NUMBER_STREAM, LABEL_STREAM,
 BLACKLIST_STREAM, CMYK_STREAM, ODD_STREAM) = range(9)


def make_sample(out: Path, classes: int = 10, train: int = 60, val: int = 10,
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
        RequestError: an argument is out of range, or ``out`` is a file or a folder not empty.
    """
    _check_arguments(classes, train, val, seed)
    with _folder_when_complete(Path(out)) as folder:
        wnids = invented_wnids(classes, seed)
        labels = _rng(seed, LABEL_STREAM).permutation(np.repeat(np.arange(classes), val))
        blacklist = _blacklist(len(labels), seed)
        cmyk_id = int(_rng(seed, CMYK_STREAM).choice(blacklist))
        write_devkit(folder / "devkit" / "data", wnids, labels, blacklist, seed)
        _write_images(_train_images(folder / "train", wnids, train, seed)
                      + _val_images(folder / "val", labels, cmyk_id, seed))


def _check_arguments(classes: int, train: int, val: int, seed: int) -> None:
    if not 2 <= classes <= MAX_CLASSES:
        raise RequestError(f"classes {classes} is outside 2 to {MAX_CLASSES}: give one within")
    for name, count in (("train", train), ("val", val)):
        if count < 1:
            raise RequestError(f"{name} {count} is below 1: give the images per class")
    if seed < 0:
        raise RequestError(f"seed {seed} is below 0: give 0 or a positive number")


@contextlib.contextmanager
def _folder_when_complete(out: Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``out``, renamed to ``out`` when all is written."""
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file: name a new folder for the sample")
    if out.is_dir() and any(out.iterdir()):
        raise RequestError(f"{out} is not empty: name a new folder for the sample, or empty it")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        temporary.rename(out)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


def _rng(seed: int, *stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, *stream])


def invented_wnids(classes: int, seed: int) -> list[str]:
    """Return sorted wnids; WordNet's own noun ids end near n15300000, so n9... is no real one's."""
    numbers = _rng(seed, WNID_STREAM).choice(10_000_000, size=classes, replace=False)
    return sorted(f"n9{number:07d}" for number in numbers)


def _devkit_ids(classes: int, seed: int) -> list[int]:
    """Return the devkit id (1-based) of each class in wnid order; no class i gets i + 1.

    One random cycle of all classes (Sattolo) moves each of them, so that labels read in devkit
    order are wrong for every image and not just for most.
    """
    cycle = _rng(seed, DEVKIT_STREAM).permutation(classes)
    ids = np.empty(classes, dtype=int)
    ids[cycle] = np.roll(cycle, 1) + 1
    return ids.tolist()


def _blacklist(images: int, seed: int) -> list[int]:
    count = max(1, round(BLACKLISTED_SHARE * images))
    positions = _rng(seed, BLACKLIST_STREAM).choice(images, size=count, replace=False)
    return sorted((positions + 1).tolist())


def write_devkit(data: Path, wnids: list[str], labels: np.ndarray, blacklist: list[int],
                 seed: int) -> None:
    """Write ground truth, class map and blacklist as in ``make_sample`` into the new folder
    ``data``.

    Args:
        labels: int (validation images,), the 0-based class of each, in image-id order.
        blacklist: image ids, 1-based.
    """
    data.mkdir(parents=True)
    ids = _devkit_ids(len(wnids), seed)
    lines_of_file = {
        "map_clsloc.txt": [f"{wnids[label]} {ids[label]} {style_of(label).name}"
                           for label in np.argsort(ids)],
        "ILSVRC2012_validation_ground_truth.txt": [ids[label] for label in labels],
        "ILSVRC2015_clsloc_validation_blacklist.txt": blacklist,
    }
    for name, lines in lines_of_file.items():
        write_text(data / name, "".join(f"{line}\n" for line in lines))


@dataclass(frozen=True)
class _ImageFile:
    """A file to be drawn: ``stream`` seeds its drawing, ``kind`` is how it is stored."""

    path: Path
    label: int
    stream: tuple[int, ...]
    kind: str = "RGB"


def _train_images(folder: Path, wnids: list[str], per_class: int, seed: int) -> list[_ImageFile]:
    total = len(wnids) * per_class
    odd = _rng(seed, ODD_STREAM).choice(total, size=min(3, total), replace=False)
    kinds = dict(zip(odd.tolist(), ("L", "CMYK", "PNG")))
    images: list[_ImageFile] = []
    for label, wnid in enumerate(wnids):
        gaps = _rng(seed, NUMBER_STREAM, label).integers(2, 400, per_class)
        for i, number in enumerate(np.cumsum(gaps)):
            images.append(_ImageFile(folder / wnid / f"{wnid}_{number}.JPEG", label,
                                     (seed, TRAIN_STREAM, label, i),
                                     kinds.get(len(images), "RGB")))
    return images


def _val_images(folder: Path, labels: np.ndarray, cmyk_id: int, seed: int) -> list[_ImageFile]:
    return [_ImageFile(folder / f"ILSVRC2012_val_{image_id:08d}.JPEG", int(label),
                       (seed, VAL_STREAM, image_id), "CMYK" if image_id == cmyk_id else "RGB")
            for image_id, label in enumerate(labels, start=1)]


def _write_images(images: list[_ImageFile]) -> None:
    for folder in {image.path.parent for image in images}:
        folder.mkdir(parents=True)
    with progress_bar(len(images), "sample", "images") as bar:
        for image in images:
            rng = _rng(*image.stream)
            _save(draw_image(style_of(image.label), rng), image, int(rng.integers(80, 96)))
            bar.update()


def _save(pixels: np.ndarray, image: _ImageFile, quality: int) -> None:
    drawn = Image.fromarray(pixels)
    if image.kind == "PNG":
        drawn.save(image.path, format="PNG")
    else:
        drawn.convert(image.kind).save(image.path, format="JPEG", quality=quality)
