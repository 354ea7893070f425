"""The tiny archives have the names, classes and proportions of ImageNet's own, each image the
colour of its class."""

import contextlib
import io
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks.scale import tiny_imagenet
from benchmarks.scale.tiny_imagenet import (blacklisted_of, class_colours, class_sizes,
                                            make_archives, val_images_of)

IMAGES, VAL_IMAGES = 2_000, 78
SEED = 4  # of the first thousand draws, two are the same if one may be drawn again


def members(data) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar}


def colour_of(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.size == (16, 12) and image.mode == "RGB"
    return np.asarray(image).mean((0, 1))


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The folder of the archives and what the devkit was given; all validation images are on the
    blacklist."""
    devkits, done = [], []

    @contextlib.contextmanager
    def bar(total, *words):
        yield SimpleNamespace(update=done.append)
        assert total == sum(done) == IMAGES + VAL_IMAGES
    write = tiny_imagenet.write_devkit
    monkeypatch.setattr(tiny_imagenet, "progress_bar", bar)
    monkeypatch.setattr(tiny_imagenet, "blacklisted_of", lambda images: VAL_IMAGES)
    monkeypatch.setattr(tiny_imagenet, "write_devkit",
                        lambda *given: devkits.append(given) or write(*given))
    make_archives(tmp_path / "source", IMAGES, SEED)
    (given,) = devkits
    return tmp_path / "source", given


def test_archives_hold_each_class_in_its_colour(made):
    folder, (devkit, wnids, labels, blacklist, seed) = made
    colours = class_colours().astype(float)
    assert devkit == folder / "devkit" / "data" and seed == SEED
    assert (folder / tiny_imagenet.BLACKLIST).exists()
    assert list(wnids) == sorted(set(wnids)) and len(wnids) == 1000
    assert all(len(wnid) == 9 and wnid.startswith("n9") for wnid in wnids)
    assert blacklist.tolist() == list(range(1, VAL_IMAGES + 1))
    assert sorted(labels) == list(range(VAL_IMAGES)) and list(labels) != sorted(labels)
    val = members((folder / "ILSVRC2012_img_val.tar").read_bytes())
    assert list(val) == [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 79)]
    for data, label in zip(val.values(), labels):
        assert np.abs(colour_of(data) - colours[label]).max() < 5
    train = members((folder / "ILSVRC2012_img_train.tar").read_bytes())
    assert list(train) == [f"{wnid}.tar" for wnid in wnids]
    inner = {name: members(data) for name, data in train.items()}
    assert [len(images) for images in inner.values()] == class_sizes(IMAGES, SEED).tolist()
    for label in (0, 1, 500, 999):
        numbers = [int(name.split("_")[1].removesuffix(".JPEG")) for name in inner[
            f"{wnids[label]}.tar"]]
        assert numbers == sorted(set(numbers)) and numbers[0] >= 1
        for name, data in inner[f"{wnids[label]}.tar"].items():
            assert name.startswith(f"{wnids[label]}_")
            assert np.abs(colour_of(data) - colours[label]).max() < 5
    images = [data for each in (val, *inner.values()) for data in each.values()]
    assert len(images) == len(set(images)) == IMAGES + VAL_IMAGES
    assert 250 < np.mean([len(data) for data in images]) < 350  # bytes, as the request says


def test_proportions_are_those_of_imagenet():
    assert (val_images_of(1_281_167), blacklisted_of(1_281_167)) == (50_000, 1_762)
    assert (val_images_of(IMAGES), blacklisted_of(IMAGES)) == (VAL_IMAGES, 3)


def test_colours_are_far_apart_digits_of_the_label():
    colours = class_colours()
    assert colours.shape == (1000, 3) and colours.dtype == np.uint8
    assert colours[0].tolist() == [0, 0, 0] and colours[999].tolist() == [252, 252, 252]
    assert colours[123].tolist() == [28, 56, 84]


def test_class_sizes_depend_on_the_seed_alone():
    sizes = class_sizes(1_281_167, 5)
    assert (sizes == class_sizes(1_281_167, 5)).all() and (sizes != class_sizes(1_281_167, 6)).any()
    assert sizes.max() == 1300 and (sizes < 1300).sum() == 105 and (sizes < 900).sum() < 20
