"""What the commands of this package are asked for: their options, each described once."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from common.cli import RequestError
from common.host import available_cores
from common.options import CheckedOptions, option
from convert.images import SHRUNK_JPEG_QUALITY
from convert.sample.arrange import SAMPLE_LAYOUTS
from convert.sources.layouts import LAYOUT_NAMES, SPLITS
from convert.sources.names import IMAGE_EXTENSIONS

BACKENDS = ("loky", "dask", "ray")
LOCK_OPTIONS = ("no_lock",)
ENGINE_OPTIONS = ("workers", "backend", "scheduler")
VAL_OPTIONS = ("blacklist", "ids_are_positions", "ground_truth")
SOURCE_OPTIONS = (*VAL_OPTIONS, "class_names", "layout", "extensions")


@dataclass(frozen=True)
class Request(CheckedOptions):
    """What to convert and how. ``on_bad``, ``allow_other_labels`` and the engine's options do not
    change the bytes of a good image's record.

    Raises:
        RequestError: a value is out of range, or options do not go together.
    """

    source: Path = option(help="folder with the images of both splits, e.g. with train/ and val/ "
                               "in it")
    split: str = option(help="which of its images to convert", choices=SPLITS)
    out: Path = option(help="folder for the record set")
    blacklist: Optional[Path] = option(
        None, "list of validation images to mark, such as the devkit's (val only)")
    ids_are_positions: bool = option(
        False, "take the numbers in --blacklist for positions in the sorted file names, of images "
               "that have not ILSVRC's names")
    ground_truth: Optional[Path] = option(
        None, "labels of a flat val folder: the devkit's *_validation_ground_truth.txt, Kaggle's "
              "LOC_val_solution.csv or a list like val.txt (default: searched for in the source)")
    class_names: Optional[Path] = option(
        None, "class names, one per line, in the order that the labels of a list count in "
              "(default: the folders of train/ next to the images, sorted)")
    layout: Optional[str] = option(
        None, "layout of the source (default: recognised from its files)",
        choices=LAYOUT_NAMES)
    extensions: tuple[str, ...] = option(
        IMAGE_EXTENSIONS, "endings of image files in class folders, in lower case")
    shards: Optional[int] = option(
        None, "number of record files (default: files of about 1 GB, a multiple of 8; 4 "
              "below 64 MB)", low=1,
        high=99_999)
    seed: int = option(0, "seed of the order in which training images are written; the same seed "
                          "gives the same bytes")
    check: str = option("decode", "how each image is checked: decode every pixel, or read only "
                                  "its header and end", choices=("decode", "header"))
    short_side: Optional[int] = option(
        None, "downscale images whose short side is longer than this, for cheaper decoding", low=1,
        metavar="PIXELS")
    quality: Optional[int] = option(
        None, "JPEG quality of the images that --short-side shrinks, 1 to 95 (default: "
              f"{SHRUNK_JPEG_QUALITY})", low=1, high=95)
    on_bad: str = option("fail", "stop at damaged images, or leave them out and list them in the "
                                 "manifest", choices=("fail", "skip"))
    both_splits: bool = option(
        False, "the other split is converted from the same source with the same options, as make "
               "convert does: options for validation images are not used for train, and a folder "
               "that would be both splits is refused")
    allow_other_labels: bool = option(
        False, "convert although the labels of 50,000 images of ILSVRC's classes are not ILSVRC's")
    no_lock: bool = option(
        False, "do not lock the folder of the record set, for a file system without locks (Lustre "
               "without -o flock): then nothing stops a second conversion from writing there at "
               "once, and they spoil each other's unfinished shards")
    workers: Optional[int] = option(
        None, "worker processes; a Dask cluster uses all that it has (default: the cores this "
              "process may use)", low=1)
    backend: str = option("loky", "joblib's backend: this machine's cores, or a cluster that sees "
                                  "the same folders", choices=BACKENDS)
    scheduler: Optional[str] = option(
        None, "address of the cluster, e.g. tcp://host:8786 for dask", metavar="ADDRESS")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blacklist is not None and self.split != "val":
            raise RequestError(f"--blacklist {self.blacklist} belongs to the validation set; leave "
                               f"it out for --split {self.split}")
        if self.ids_are_positions and self.blacklist is None:
            raise RequestError("--ids-are-positions says what a --blacklist counts; give one, or "
                               "leave it out")
        if self.quality is not None and self.short_side is None:
            raise RequestError(f"--quality {self.quality} is of the images that --short-side "
                               "shrinks: give that, too, or leave it out")
        if self.backend == "dask" and self.scheduler is None:
            raise RequestError("--backend dask: give the address of its scheduler, e.g. "
                               "--scheduler tcp://host:8786")

    @property
    def shrunk_quality(self) -> Optional[int]:
        """Return the quality of the images that are shrunk; None where none is."""
        return (self.quality or SHRUNK_JPEG_QUALITY) if self.short_side else None

    @property
    def worker_count(self) -> int:
        return self.workers or available_cores()


def _shard_range(text: str) -> range:
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a range like 0-7")
    return range(int(first), int(last) + 1)


@dataclass(frozen=True)
class RunMode:
    """What ``convert run`` does with a request, where it is not to convert all of it."""

    shard_range: Optional[range] = option(
        None, "build only these shards (from 0, both included), e.g. one range per host; then: "
              "python -m convert finish", parse=_shard_range, metavar="A-B")
    list: bool = option(False, "print what would be converted and write nothing")


@dataclass(frozen=True)
class VerifyRequest(CheckedOptions):
    """Which record set to verify and how."""

    records: Path = option(help="folder of the record set, or of the two in train/ and val/ in it",
                           positional=True)
    deep: bool = option(False, "also decode every image")
    repair: Optional[Path] = option(
        None, "first build damaged shards again from the images in this folder; the options below "
              "are for that", metavar="SOURCE")


@dataclass(frozen=True)
class SampleRequest(CheckedOptions):
    """Which sample to draw."""

    out: Path = option(help="new folder for the images")
    classes: int = option(10, "number of classes, 2 to 1000", low=2, high=1000)
    train: int = option(60, "training images per class", low=1)
    val: int = option(10, "validation images per class", low=1)
    seed: int = option(0, "the same seed gives the same bytes", low=0)
    layout: str = option("flat", "layout of the sample; flat: the official one, unpacked",
                         choices=SAMPLE_LAYOUTS)


@dataclass(frozen=True)
class ShowRequest(CheckedOptions):
    """Which record set to show, and where to write the contact sheet."""

    records: Path = option(help="folder of the record set", positional=True)
    out: Path = option(help="PNG file for the contact sheet")
    images: int = option(40, "images on the sheet", low=1, aliases=("--pictures",))  # its old name
    seed: int = option(0, "seed of the choice of images")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.out.suffix.lower() != ".png":
            raise RequestError(f"--out {self.out}: the contact sheet is a PNG; give a name ending "
                               "in .png")
