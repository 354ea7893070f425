"""Images to measure with: JPEGs of ImageNet's average size in class folders."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from common.cli import RequestError
from common.progress import progress_bar
from convert.conversion import convert
from convert.request import Request

DISTINCT = 200  # encoded once each, then written again under other names
IMAGES_PER_CLASS = 300
SIZE = (500, 375)  # pixels, the commonest size in ImageNet
QUALITY, GRAIN = 95, 12  # together they give about 115 KB, ImageNet's mean (a test weighs it)


def make_class_folders(root: Path, images: int) -> None:
    """Write ``images`` JPEGs of about 115 KB each as ``root/train/<class>/<image>``.

    Raises:
        RequestError: ``root`` exists: its images would be timed with the new ones.
    """
    if root.exists():
        raise RequestError(f"{root} is left from an interrupted run: remove it")
    encoded = [_encode(np.random.default_rng([0, k])) for k in range(min(DISTINCT, images))]
    per_class = max(1, min(IMAGES_PER_CLASS, images // 2))  # a set of one class is refused
    with progress_bar(images, "make images", "images") as bar:
        for k in range(images):
            folder = root / "train" / f"n{k // per_class:08d}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{folder.name}_{k}.JPEG").write_bytes(encoded[k % DISTINCT])
            bar.update(1)


def make_folders_and_records(root: Path, images: int, workers: int) -> None:
    """Write the same images twice: ``root/train/<class>/<image>``, and ``root/records``.

    Raises:
        RequestError: ``root`` exists.
    """
    make_class_folders(root, images)
    convert(Request(source=root, split="train", out=root / "records", workers=workers))


def _encode(rng: np.random.Generator) -> bytes:
    """Return smooth shapes with grain, which compress like a photograph, as a JPEG."""
    width, height = SIZE
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize(SIZE, Image.Resampling.BICUBIC), np.float32)
    pixels += rng.normal(0, GRAIN, (height, width, 1)).astype(np.float32)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
