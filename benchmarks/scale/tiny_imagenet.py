"""ImageNet's official archives with its numbers of classes and images, but tiny images.

An image has one colour, which says its class, so that whether image, label and id still belong
together can be read from the pixels (``ColourNetwork``).
"""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from blacklist.ids import ILSVRC_COUNT, ILSVRC_VALIDATION_IMAGES
from common.progress import progress_bar
from convert.sample.arrange import add_member, pack_devkit, write_devkit

# ILSVRC2012 CLS-LOC: 895 classes have 1,300 training images, the other ones 732 and more.
CLASSES = 1000
TRAIN_IMAGES = 1_281_167
LARGEST_CLASS, SMALLER_CLASSES = 1300, 105

SIZE = (16, 12)  # pixels; about 300 bytes as JPEG
LEVELS = 10  # of each channel; three digits are a label
BLACKLIST = Path("devkit", "data", "ILSVRC2015_clsloc_validation_blacklist.txt")


def val_images_of(images: int) -> int:
    """Return the number of validation images that go with ``images`` training images."""
    return round(ILSVRC_VALIDATION_IMAGES * images / TRAIN_IMAGES)


def blacklisted_of(images: int) -> int:
    """Return how many of those are on the blacklist."""
    return round(ILSVRC_COUNT * images / TRAIN_IMAGES)


def class_sizes(images: int, seed: int) -> np.ndarray:
    """Return the training images of each class, int (1000,), which sum to ``images``.

    For ``TRAIN_IMAGES`` the largest classes have 1,300, as in ImageNet; fewer images are divided
    in proportion.
    """
    rng = np.random.default_rng([seed, CLASSES])
    sizes = np.full(CLASSES, LARGEST_CLASS)
    smaller = rng.choice(CLASSES, SMALLER_CLASSES, replace=False)
    weights = np.arange(1.0, SMALLER_CLASSES + 1) ** 2  # so that a few of them are much smaller
    missing = sizes.sum() - TRAIN_IMAGES - SMALLER_CLASSES  # besides one of each of them
    sizes[smaller] -= 1 + rng.multinomial(missing, weights / weights.sum())
    ends = np.round(np.cumsum(sizes) * (images / TRAIN_IMAGES)).astype(int)
    return np.diff(ends, prepend=0)


def make_archives(folder: Path, images: int, seed: int = 0) -> None:
    """Write the training and the validation tar, the devkit and the blacklist into the new
    ``folder``, for ``images`` training images."""
    rng = np.random.default_rng([seed, images])
    val_images = val_images_of(images)
    numbers = rng.choice(10_000_000, CLASSES, replace=False)
    wnids = sorted(f"n9{number:07d}" for number in numbers)  # WordNet's own end near n15300000
    labels = rng.permutation(np.arange(val_images) % CLASSES)
    blacklist = rng.choice(val_images, blacklisted_of(images), replace=False) + 1
    write_devkit(folder / "devkit" / "data", wnids, labels, np.sort(blacklist), seed)
    pack_devkit(folder)
    encoded = [_encode(colour) for colour in class_colours()]
    with progress_bar(images + val_images, "make archives", "images") as bar:
        with tarfile.open(folder / "ILSVRC2012_img_val.tar", "w") as tar:
            for image_id, label in enumerate(labels, start=1):
                _add_image(tar, f"ILSVRC2012_val_{image_id:08d}.JPEG", encoded[label])
        bar.update(val_images)
        with tarfile.open(folder / "ILSVRC2012_img_train.tar", "w") as outer:
            for label, (wnid, size) in enumerate(zip(wnids, class_sizes(images, seed))):
                numbers = np.cumsum(rng.integers(1, 40, size))  # neither consecutive nor padded
                add_member(outer, f"{wnid}.tar", _class_tar(wnid, numbers, encoded[label]))
                bar.update(int(size))


def class_colours() -> np.ndarray:
    """Return the colour of each class, uint8 (1000, 3)."""
    digits = np.stack(np.unravel_index(np.arange(CLASSES), (LEVELS,) * 3), axis=1)
    return (digits * (255 // (LEVELS - 1))).astype(np.uint8)


def _encode(colour: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", SIZE, tuple(colour.tolist())).save(buffer, "JPEG", quality=95, optimize=True)
    return buffer.getvalue()


def _class_tar(wnid: str, numbers: np.ndarray, encoded: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in numbers:
            _add_image(tar, f"{wnid}_{number}.JPEG", encoded)
    return buffer.getvalue()


def _add_image(tar: tarfile.TarFile, name: str, encoded: bytes) -> None:
    """Add the JPEG with its name as a comment, so that no two images have the same bytes."""
    comment = name.encode()
    segment = b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment
    add_member(tar, name, encoded[:2] + segment + encoded[2:])  # after the start-of-image marker
