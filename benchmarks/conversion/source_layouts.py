"""The same training images in each of the layouts that ImageNet is published in, as many to a file
as there."""

from pathlib import Path
from typing import Callable, NamedTuple, Sequence

from benchmarks.timing import not_installed
from common.progress import progress_bar
from convert.sample.arrange import pack_class_tars
from convert.sample.downloads import (Labelled, train_images, write_flat_tar, write_parquet,
                                      write_webdataset)
from convert.sources.listing import GroundTruth

# Of Hugging Face's 294 files, row groups and 5 tars, and of timm's 1,024 tars.
PARQUET_IMAGES, GROUP_ROWS = 4_358, 100
FLAT_TARS = 5
WEBDATASET_IMAGES = 1_252


class Layout(NamedTuple):
    """A layout to convert from."""

    name: str  # of its row
    arrange: Callable[[Path, Path], None]  # from SOURCE/train/CLASS into a new folder
    unavailable_reason: str = ""


def _into_archives(source: Path, out: Path) -> None:
    pack_class_tars(source / "train", out / "ILSVRC2012_img_train.tar")


def _into_parquet(source: Path, out: Path) -> None:
    (out / "data").mkdir()
    images, truth = _images(source)
    parts = _cut(images, PARQUET_IMAGES)
    for part, rows in enumerate(parts):
        write_parquet(out / "data" / f"train-{part:05d}-of-{len(parts):05d}.parquet", rows, truth,
                      GROUP_ROWS)


def _into_flat_tars(source: Path, out: Path) -> None:
    images, truth = _images(source)
    for part in range(FLAT_TARS):
        write_flat_tar(out / f"train_images_{part}.tar", images[part::FLAT_TARS], truth)


def _into_webdataset(source: Path, out: Path) -> None:
    images, truth = _images(source)
    for part, rows in enumerate(_cut(images, WEBDATASET_IMAGES)):
        write_webdataset(out / f"imagenet1k-train-{part:04d}.tar", rows, truth)


def _images(source: Path) -> tuple[list[Labelled], GroundTruth]:
    classes = sorted(folder.name for folder in (source / "train").iterdir())
    truth = GroundTruth(source, classes, {})
    return train_images(source, truth), truth


def _cut(images: Sequence[Labelled], number: int) -> list[Sequence[Labelled]]:
    return [images[start:start + number] for start in range(0, len(images), number)]


FOLDERS = "class folders"
LAYOUTS = (
    Layout("official tars", _into_archives),
    Layout("Hugging Face's Parquet files", _into_parquet,
           not_installed("pyarrow", install="pip install '.[parquet]'")),
    Layout("Hugging Face's tars", _into_flat_tars),
    Layout("WebDataset tars", _into_webdataset),
)


def arrange_layouts(source: Path, work: Path) -> dict[str, Path]:
    """Write the images of ``source/train/CLASS`` in each layout that can be had here; return the
    folder of each by the name of its row."""
    sources = {FOLDERS: source}
    usable = [layout for layout in LAYOUTS if not layout.unavailable_reason]
    with progress_bar(len(usable), "arrange images", "layouts") as bar:
        for layout in usable:
            folder = work / f"source-{bar.n}"
            folder.mkdir()
            layout.arrange(source, folder)
            sources[layout.name] = folder
            bar.update()
    return sources
