"""144 crops: cutting them on the host against decoding once per crop, and a whole evaluation
against its network alone. Does the network ever wait for its crops?"""

import shutil
import statistics
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Callable

import numpy as np
from PIL import Image

from benchmarks.synthetic import make_class_folders, make_folders_and_records
from benchmarks.table import describe_machine
from benchmarks.timing import time_rows, timed
from blacklist.ids import ILSVRC_VALIDATION_IMAGES
from common.forms import SpeedRow, SpeedTable
from common.options import CheckedOptions, device_option, option, precision_option
from convert.records.reader import open_records
from evaluate.protocols import (MULTI_SCALE, VIEWS_PER_STEP, Protocol, protocol_of, resized_size,
                                views_of)
from inceptionv4 import IMAGE_SIZE, SMALLEST_IMAGE

GOAL = 5  # percent by which a whole run may exceed its network
FORWARDS_PER_SECOND = 1_000  # of Inception-v4 on one card, assumed for the projection
CLASSES = 10  # of the run's network, whose weights are random

NAIVE, OURS, DECODING = ("decoded, resized and cut once per crop", "ours: decoded once, 4 resizes",
                         "of this, decoding")
BARE, WHOLE = "bare network, crops held in memory", "whole run, from records"


@dataclass(frozen=True)
class CropsRequest(CheckedOptions):
    """What ``python -m benchmarks crops`` measures."""

    out: Path = option(help="result folder; also where the images are made and removed")
    images: int = option(40, "number of images that the host cuts", low=1)
    run_images: int = option(6, "number of images that the whole run evaluates", low=1)
    repeats: int = option(3, "repeats of each row, in turns with the others", low=1)
    image_size: int = option(SMALLEST_IMAGE, "pixels of a side of the whole run's crops",
                             low=SMALLEST_IMAGE)
    device: str = device_option()
    precision: str = precision_option()


def benchmark_crops(request: CropsRequest) -> SpeedTable:
    """Time the rows of both sections; what is made in ``request.out`` is removed."""
    from inceptionv4.device import setup_device
    device = setup_device(request.device, precision=request.precision)
    print(device.describe(), flush=True)
    work = request.out / "work"
    try:
        rows = [*time_cutting(work / "cutting", request), *time_running(work / "running", request)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return SpeedTable("144 crops", None, "images", rows, describe_machine(request.out, device.name),
                      {"repeats": request.repeats, "views per step": VIEWS_PER_STEP,
                       "arithmetic": device.arithmetic},
                      closing=conclusions(rows, request.images))


def conclusions(rows: list[SpeedRow], images: int) -> list[str]:
    """Return what follows from the rows, of which those on the host cut so many images."""
    median = {row.name: statistics.median(row.seconds) for row in rows}
    excess = 100 * (median[WHOLE] / median[BARE] - 1)
    rate = images / median[OURS]
    return [f"The whole run takes {excess:+.1f} % against the bare network (goal: within "
            f"{GOAL} %).", project(rate, 1), project(rate, 8)]


def time_cutting(work: Path, request: CropsRequest) -> list[SpeedRow]:
    """Cut the same images of 500 x 375 pixels on one thread."""
    from evaluate.views import cut_views, decode_rgb
    make_class_folders(work, request.images)
    encoded = [path.read_bytes() for path in sorted(work.glob("train/*/*"))]
    protocol = protocol_of(MULTI_SCALE, IMAGE_SIZE)
    ways: dict[str, Callable[[bytes], object]] = {
        NAIVE: lambda data: naive_views(data, protocol),
        OURS: lambda data: cut_views(decode_rgb(data), protocol),
        DECODING: decode_rgb}

    def cut_all(way: Callable[[bytes], object]) -> None:
        for image in encoded:
            way(image)

    return time_rows({name: partial(timed, partial(cut_all, way)) for name, way in ways.items()},
                     request.repeats, f"Cutting on one core, {IMAGE_SIZE} pixels", request.images)


def naive_views(encoded: bytes, protocol: Protocol) -> np.ndarray:
    """Cut each crop on its own from the bytes of the image: uint8 (crops, S, S, 3)."""
    from evaluate.views import decode_rgb
    crops = []
    for view, mirrored in product(views_of(protocol, *decode_rgb(encoded).size), (False, True)):
        image = decode_rgb(encoded)
        crop = image.resize(resized_size(*image.size, view.scale),
                            Image.Resampling.BICUBIC).crop(view.box)
        if view.side != protocol.image_size:
            crop = crop.resize((protocol.image_size,) * 2, Image.Resampling.BICUBIC)
        if mirrored:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        crops.append(np.asarray(crop))
    return np.stack(crops)


def time_running(work: Path, request: CropsRequest) -> list[SpeedRow]:
    """Evaluate records made for it, and pass as many crops through the network alone."""
    import mindspore as ms

    from evaluate.evaluator import Evaluator
    from inceptionv4.network import InceptionV4
    from inceptionv4.precision import cast_cells
    from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
    size = request.image_size
    make_folders_and_records(work, request.run_images, workers=1)
    records = open_records(work / "records")
    network = cast_cells(InceptionV4(CLASSES), request.precision)
    evaluator = Evaluator(network, protocol_of(MULTI_SCALE, size), INCEPTION_MEAN,
                          INCEPTION_STD)
    _, views = evaluator.step
    step = ms.Tensor(np.zeros((views, size, size, 3), np.uint8))
    columns = ms.Tensor(np.arange(size, dtype=np.int32))

    def evaluate_all() -> None:
        for _ in evaluator.classify(records, [range(records.images)]):
            pass

    def classify_all() -> None:
        for _ in range(request.run_images * MULTI_SCALE // views):
            evaluator.classifier(step, columns).asnumpy()

    evaluate_all()  # compiles
    return time_rows({BARE: partial(timed, classify_all), WHOLE: partial(timed, evaluate_all)},
                     request.repeats, f"Evaluating, {size} pixels", request.run_images)


def project(images_per_second_per_core: float, cards: int) -> str:
    """Return a sentence on the hours that the 50,000 validation images take on so many cards."""
    seconds = ILSVRC_VALIDATION_IMAGES * MULTI_SCALE / (FORWARDS_PER_SECOND * cards)
    cores = FORWARDS_PER_SECOND * cards / MULTI_SCALE / images_per_second_per_core
    on = "1 card" if cards == 1 else f"{cards} cards"
    return (f"Projection, not measured: {ILSVRC_VALIDATION_IMAGES:,} images x {MULTI_SCALE} crops "
            f"at {FORWARDS_PER_SECOND:,} forwards/s per card take {seconds / 3600:.2f} h on {on}; "
            f"cutting takes {cores:.2f} cores of the host.")
