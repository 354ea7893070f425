"""The requests of the commands in this package. They need no MindSpore, so that a wrong argument
is reported at once."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from common.cli import RequestError
from common.options import CheckedOptions, device_option, option, precision_option, weights_option
from evaluate.protocols import (KEEP, MULTI_SCALE, PAPER, PAPER_SCALES, PAPER_SIZE,
                                PROTOCOLS, REFERENCE_SCALES, SQUASH, VIEWS_PER_STEP, Scales)
from evaluate.report.translations import LANGUAGES
from inceptionv4 import BICUBIC, IMAGE_SIZE, INTERPOLATIONS


def parse_scales(text: str) -> Scales:
    """Return the scales of ``--scales``: whole numbers, or "paper"."""
    if text == PAPER:
        return PAPER
    for part in text.split(","):
        if not part.isdecimal() or int(part) < 1:
            raise argparse.ArgumentTypeError(f"'{part}' is not a whole number of at least 1")
    return tuple(map(int, text.split(",")))


def crops_option() -> Any:
    return option(1, "crops per image, whose probabilities are averaged. 1: the centre; 10: the "
                  "centre and the corners, plain and mirrored; 12: these and the whole square; "
                  "144: the 12 crops of each of 3 squares at 4 sizes", choices=PROTOCOLS)


def scales_option() -> Any:
    ours, papers = (",".join(map(str, sides)) for sides in (REFERENCE_SCALES, PAPER_SCALES))
    return option(None, f"shorter sides in pixels of the resized images for {MULTI_SCALE} crops, "
                  f"e.g. {ours}, or '{PAPER}': {papers} in their ratio to {PAPER_SIZE} (default: "
                  f"{ours} in their ratio to {IMAGE_SIZE})", parse=parse_scales)


def interpolation_option() -> Any:
    return option(None, "how images are resized (default: what an imported checkpoint says of "
                  f"itself, else {BICUBIC})", choices=INTERPOLATIONS)


def single_crop_option() -> Any:
    return option(KEEP, f"for 1 crop. {KEEP}: the image is resized in its aspect ratio, then "
                  f"cropped; {SQUASH}: 87.5 % of both sides are resized to a square, as in the "
                  "code of the network's authors",
                  choices=(KEEP, SQUASH))


@dataclass(frozen=True)
class Request(CheckedOptions):
    """The arguments of ``python -m evaluate``."""

    records: Path = option(help="folder of the record set")
    checkpoint: Path = option(help="a .ckpt file, its .meta next to it")
    out: Path = option(help="folder for the result")
    crops: int = crops_option()
    scales: Optional[Scales] = scales_option()
    interpolation: Optional[str] = interpolation_option()
    single_crop: str = single_crop_option()
    blacklist: Optional[Path] = option(
        None, "list of validation images that the filtered set leaves out, for records that were "
        "converted without --blacklist")
    curve: bool = option(False, "also score the first crops alone, square by square")
    keep_probabilities: bool = option(
        False, "also store the probabilities of all classes, 2 bytes each, in predictions.npz: "
        "rescore --classes needs them")
    class_names: Optional[Path] = option(
        None, "text file, one class name of the checkpoint per line in label order, for records "
        "whose classes are some of these (ImageNet-A, -R) or numbered (ImageNet-V2)")
    again: bool = option(False, "compute a finished result anew instead of showing it")
    results_file: Optional[Path] = option(
        None, "CSV file to which a row per set is appended, with the columns of timm's validate.py "
        "and more")
    views_per_step: int = option(VIEWS_PER_STEP, "maximum number of crops per forward pass", low=1)
    device: str = device_option()
    precision: str = precision_option()
    weights: Optional[str] = weights_option()
    workers: Optional[int] = option(
        None, "threads that decode images (default: the cores, shared by ranks)", low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.class_names and self.curve:
            raise RequestError("--curve is not allowed with --class-names: leave one of them out")


@dataclass(frozen=True)
class RescoreRequest(CheckedOptions):
    """The arguments of ``python -m evaluate rescore``."""

    result: Path = option(help="a result folder: --out of an evaluation", positional=True)
    real: Optional[Path] = option(
        None, "ReaL's real.json: a list of right labels per validation image, in their order; an "
        "image with an empty list is left out")
    ids: Optional[Path] = option(None, "text file, one image id per line: score these images only")
    without: bool = option(False, "score all images but those of --ids")
    classes: Optional[Path] = option(
        None, "text file, one class name per line: score the images of these classes, and let the "
        "network choose among these only (ImageNet-A, -R)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.real or self.ids or self.classes):
            raise RequestError("nothing to rescore by: give --real, --ids or --classes")
        if self.real and self.classes:
            raise RequestError("--classes is not allowed with --real: give one of them")
        if self.without and not self.ids:
            raise RequestError("--without leaves out the images of --ids: give that file")

    @property
    def name(self) -> str:
        """Return what the new scores are called: after the files that they were made by."""
        parts = [path.stem for path in (self.real, self.classes) if path]
        if self.ids:
            parts.append(f"without-{self.ids.stem}" if self.without else self.ids.stem)
        return "-".join(parts)


@dataclass(frozen=True)
class CompareRequest(CheckedOptions):
    """The arguments of ``python -m evaluate compare``."""

    a: Path = option(help="a result folder: --out of an evaluation", positional=True)
    b: Path = option(help="another one, of the same images", positional=True)


@dataclass(frozen=True)
class PredictRequest(CheckedOptions):
    """The arguments of ``python -m evaluate predict``."""

    checkpoint: Path = option(help="a .ckpt file, its .meta next to it", positional=True)
    images: tuple[Path, ...] = option(help="files that Pillow reads", positional=True)
    crops: int = crops_option()
    scales: Optional[Scales] = scales_option()
    interpolation: Optional[str] = interpolation_option()
    single_crop: str = single_crop_option()
    records: Optional[Path] = option(None, "record set to take the class names from (default: the "
                                           "checkpoint)")
    classes: Optional[Path] = option(None, "text file, one class name per line in label order")
    device: str = device_option()
    precision: str = precision_option()
    weights: Optional[str] = weights_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.records and self.classes:
            raise RequestError("--classes is not allowed with --records: give one of them")


@dataclass(frozen=True)
class ReportRequest(CheckedOptions):
    """The arguments of ``python -m evaluate report``."""

    results: Path = option(help="folder of result folders and benchmarks' tables, at any depth")
    out: Path = option(help="HTML file to write")
    run: Optional[Path] = option(None, "run folder, for the training")
    records: tuple[Path, ...] = option((), "record sets, or the folder of train/ and val/, for "
                                           "class names and images, if they were moved")
    lang: str = option("en", "language of the page", choices=LANGUAGES)

    @property
    def markdown_copy(self) -> Path:
        return self.out.with_suffix(".md")
