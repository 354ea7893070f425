"""A small ImageNet-like sample: real JPEGs in the official layout, for demos and trials.

The images are drawn, not photographed. A class is a texture of one colour on a ground of
another; period, angle, colours, light, things in front and noise differ from image to image.
A class can be told from a crop and from its mirror image, so training augmentation is safe.
"""

import contextlib
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import numpy as np
from PIL import Image

from common.cli import RequestError, progress_bar
from common.files import write_text

MAX_CLASSES = 1000
BLACKLISTED_SHARE = 0.04    # of ILSVRC's 50,000 validation images 1,762 are listed: 3.5 %

# One random stream for each purpose, so that drawing more of one thing leaves the others alone.
(TRAIN_STREAM, VAL_STREAM, WNID_STREAM, DEVKIT_STREAM, NUMBER_STREAM, LABEL_STREAM,
 BLACKLIST_STREAM, CMYK_STREAM, ODD_STREAM) = range(9)

# The order was searched for: a colour and the fifth after it contrast, and the mixtures that the
# first ten classes make of such a pair lie far apart, so that a network learns them in minutes.
COLOURS = {
    "pink": (240, 130, 180), "blue": (40, 75, 200), "orange": (240, 130, 25),
    "green": (50, 150, 50), "purple": (120, 50, 160), "teal": (40, 175, 175),
    "red": (200, 35, 40), "black": (30, 30, 35), "white": (235, 235, 230),
    "yellow": (240, 215, 50), "brown": (120, 75, 40),
}
FIRST_CONTRAST = 4          # added to 1 places along COLOURS


def make_sample(out: Path, classes: int = 10, train: int = 60, val: int = 10,
                seed: int = 0) -> None:
    """Write ``train`` and ``val`` images of each of ``classes`` classes into the folder ``out``.

    ::

        train/<wnid>/<wnid>_N.JPEG                      N neither consecutive nor of fixed width
        val/ILSVRC2012_val_NNNNNNNN.JPEG                1 to val * classes, classes shuffled
        devkit/data/ILSVRC2012_validation_ground_truth.txt      a devkit id (1-based) a line
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
        wnids = _invented_wnids(classes, seed)
        labels = _rng(seed, LABEL_STREAM).permutation(np.repeat(np.arange(classes), val))
        blacklist = _blacklist(len(labels), seed)
        cmyk_id = int(_rng(seed, CMYK_STREAM).choice(blacklist))
        _write_devkit(folder / "devkit" / "data", wnids, labels, blacklist, seed)
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
    """Yield a temporary folder beside ``out`` that takes the place of ``out`` when all is done."""
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


# ---- Names, labels, devkit

def _invented_wnids(classes: int, seed: int) -> list[str]:
    """Sorted wnids; WordNet's own noun ids end near n15300000, so n9... is no real one's."""
    numbers = _rng(seed, WNID_STREAM).choice(10_000_000, size=classes, replace=False)
    return sorted(f"n9{number:07d}" for number in numbers)


def _devkit_ids(classes: int, seed: int) -> list[int]:
    """The devkit id (1-based) of each class in wnid order; no class i gets i + 1.

    Walking round one random cycle of all classes (Sattolo) moves each of them, so labels read in
    devkit order are wrong for every image and not just for most.
    """
    cycle = _rng(seed, DEVKIT_STREAM).permutation(classes)
    ids = np.empty(classes, dtype=int)
    ids[cycle] = np.roll(cycle, 1) + 1
    return ids.tolist()


def _blacklist(images: int, seed: int) -> list[int]:
    count = max(1, round(BLACKLISTED_SHARE * images))
    positions = _rng(seed, BLACKLIST_STREAM).choice(images, size=count, replace=False)
    return sorted((positions + 1).tolist())


def _write_devkit(data: Path, wnids: list[str], labels: np.ndarray, blacklist: list[int],
                  seed: int) -> None:
    data.mkdir(parents=True)
    ids = _devkit_ids(len(wnids), seed)
    lines_of_file = {
        "map_clsloc.txt": [f"{wnids[label]} {ids[label]} {_look(label).name}"
                           for label in np.argsort(ids)],
        "ILSVRC2012_validation_ground_truth.txt": [ids[label] for label in labels],
        "ILSVRC2015_clsloc_validation_blacklist.txt": blacklist,
    }
    for name, lines in lines_of_file.items():
        write_text(data / name, "".join(f"{line}\n" for line in lines))


# ---- Which image goes where

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
            _save(_draw(_look(image.label), rng), image, int(rng.integers(80, 96)))
            bar.update()


def _save(pixels: np.ndarray, image: _ImageFile, quality: int) -> None:
    drawn = Image.fromarray(pixels)
    if image.kind == "PNG":
        drawn.save(image.path, format="PNG")
    else:
        drawn.convert(image.kind).save(image.path, format="JPEG", quality=quality)


# ---- What a class looks like

def _blobs(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Waves of equal length from eight random sides: spots of no regular shape."""
    angles, phases = rng.uniform(0, 2 * math.pi, (2, 8))
    waves = sum(np.cos(math.cos(a) * u + math.sin(a) * v + p) for a, p in zip(angles, phases))
    return waves / 2


def _bricks(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    odd_row = np.floor(v / math.pi) % 2
    return 0.8 - np.maximum(np.cos(2 * v), np.cos(u + math.pi * odd_row) - 0.1)


# Place (u, v in radians, shaped (H, W)) and random numbers -> positive where the texture's
# colour shows.
TEXTURES: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]] = {
    "stripes": lambda u, v, rng: np.sin(u),
    "checks": lambda u, v, rng: np.sin(u) * np.sin(v),
    "dots": lambda u, v, rng: np.cos(u) + np.cos(v) - 0.6,
    "grid": lambda u, v, rng: np.maximum(np.cos(u), np.cos(v)) - 0.75,
    "rings": lambda u, v, rng: np.sin(1.3 * np.hypot(u, v)),
    "waves": lambda u, v, rng: np.sin(u + 1.8 * np.sin(v)),
    "zigzags": lambda u, v, rng: np.sin(1.3 * u + 2 * np.arcsin(np.sin(v))),
    "blobs": _blobs,
    "bricks": _bricks,
    "rays": lambda u, v, rng: np.sin(12 * np.arctan2(v, u)),
}


@dataclass(frozen=True)
class _Look:
    texture: str
    colour: str
    ground: str

    @property
    def name(self) -> str:
        return f"{self.colour}_{self.texture}_on_{self.ground}"


def _look(label: int) -> _Look:
    """The look of class ``label`` (0 to 999), each different; the first ten share nothing.

    The digits of the label choose texture, ground (a turn of the texture's) and contrast.
    """
    hundreds, tens, ones = label // 100, label // 10 % 10, label % 10
    ground = (ones + tens) % len(COLOURS)
    contrast = 1 + (FIRST_CONTRAST + hundreds) % (len(COLOURS) - 1)
    names = list(COLOURS)
    return _Look(list(TEXTURES)[ones], names[(ground + contrast) % len(COLOURS)], names[ground])


# ---- One image

def _draw(look: _Look, rng: np.random.Generator) -> np.ndarray:
    """An image of that class, uint8 (H, W, 3), shorter side 90 to 200 px."""
    height, width = _size(rng)
    y, x = np.mgrid[:height, :width].astype(np.float32)                # (H, W) each
    cover = _cover(look, x, y, rng)[..., None]                         # (H, W, 1), 0 to 1
    pixels = cover * _shade(look.colour, rng) + (1 - cover) * _shade(look.ground, rng)
    for _ in range(rng.integers(0, 4)):
        pixels[_ellipse(x, y, rng)] = rng.uniform(0, 255, 3)
    pixels *= _light(x, y, rng)[..., None]
    pixels += rng.normal(0, rng.uniform(2, 14), (height, width, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width: two of three images landscape, as in ImageNet, up to 1 : 2."""
    shorter = rng.integers(90, 201)
    longer = round(shorter * rng.uniform(1, 2) ** rng.uniform(0, 1))
    return (shorter, longer) if rng.random() < 2 / 3 else (longer, shorter)


def _cover(look: _Look, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How far each pixel has the texture's colour, 0 to 1, (H, W)."""
    period = min(x.shape) * rng.uniform(0.14, 0.32)
    centre_y, centre_x = rng.uniform(0.2, 0.8, 2) * x.shape
    angle = rng.uniform(-0.4, 0.4)
    u = (math.cos(angle) * (x - centre_x) + math.sin(angle) * (y - centre_y)) / period
    v = (math.cos(angle) * (y - centre_y) - math.sin(angle) * (x - centre_x)) / period
    texture = TEXTURES[look.texture](2 * math.pi * u, 2 * math.pi * v, rng)
    sharpness = rng.uniform(1.5, 6)
    return np.clip(0.5 + sharpness * texture, 0, 1)


def _shade(colour: str, rng: np.random.Generator) -> np.ndarray:
    """That colour as this image has it, float (3,)."""
    return (COLOURS[colour] + rng.normal(0, 13, 3)) * rng.uniform(0.75, 1.1)


def _ellipse(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where something else stands in front, bool (H, W)."""
    centre_y, centre_x = rng.uniform(0, 1, 2) * x.shape
    radius_y, radius_x = rng.uniform(0.06, 0.22, 2) * min(x.shape)
    return ((x - centre_x) / radius_x) ** 2 + ((y - centre_y) / radius_y) ** 2 < 1


def _light(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light that falls off to one side, a factor near 1 for each pixel, (H, W)."""
    slope_x, slope_y = rng.uniform(-0.35, 0.35, 2)
    return 1 + slope_x * (x / x.shape[1] - 0.5) + slope_y * (y / x.shape[0] - 0.5)
