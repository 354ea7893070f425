"""144 crops: cutting them on the host against decoding once per crop, and a whole evaluation
against its network alone. Does the network ever wait for its crops?"""

import shutil
import statistics
from functools import partial
from pathlib import Path
from typing import Callable, Iterable

import mindspore as ms
import numpy as np
from PIL import Image

from benchmarks.request import CropsRequest
from benchmarks.synthetic import make_class_folders
from benchmarks.table import describe_machine, write_table
from benchmarks.timing import in_turns, timed
from common.forms import SpeedRow, SpeedTable
from convert.conversion import convert
from convert.records.reader import RecordSet, open_records
from convert.request import Request
from evaluate.evaluator import Evaluator
from evaluate.protocols import (MULTI_SCALE, VIEWS_PER_STEP, Protocol,
                                crop_boxes, protocol_of, resized_size)
from evaluate.views import cut_views, decode_rgb
from inceptionv4.device import Device, setup_device
from inceptionv4.network import InceptionV4
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD

FULL_SIZE = 299  # pixels, of the host's rows
GOAL = 5  # percent by which a whole run may exceed its network
VALIDATION_IMAGES = 50_000
FORWARDS_PER_SECOND = 1_000  # of Inception-v4 on one card, assumed for the projection
CLASSES = 10  # of the run's network, whose weights are random

NAIVE, OURS, DECODING = ("decoded, resized and cut once per crop", "ours: decoded once, 4 resizes",
                         "of this, decoding")
BARE, WHOLE = "bare network, crops held in memory", "whole run, from records"


def benchmark_crops(request: CropsRequest) -> None:
    """Time all rows, write the speed table into ``request.out`` and print it."""
    device = setup_device(request.device)
    print(device.describe(), flush=True)
    work = request.out / "work"
    try:
        cutting = time_cutting(work / "cutting", request)
        running = time_running(work / "running", request)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(write_table(make_table(request, cutting, running, device), request.out))


def make_table(request: CropsRequest, cutting: dict[str, list[float]],
               running: dict[str, list[float]], device: Device) -> SpeedTable:
    """Return the rows of both sections, and what follows from them.

    Args:
        cutting, running: seconds by row, one per repeat.
    """
    rows = [SpeedRow(name, seconds, section=f"Cutting on one core, {FULL_SIZE} pixels",
                     items=request.images) for name, seconds in cutting.items()]
    rows += [SpeedRow(name, seconds, section=f"Evaluating, {request.image_size} pixels",
                      items=request.run_images) for name, seconds in running.items()]
    median = {row.name: statistics.median(row.seconds) for row in rows}
    excess = 100 * (median[WHOLE] / median[BARE] - 1)
    rate = request.images / median[OURS]
    return SpeedTable(
        "144 crops", None, "images", rows, describe_machine(request.out, device.name),
        {"repeats": request.repeats, "views per step": VIEWS_PER_STEP},
        closing=[f"The whole run takes {excess:+.1f} % against the bare network (goal: within "
                 f"{GOAL} %).", project(rate, 1), project(rate, 8)])


def time_cutting(work: Path, request: CropsRequest) -> dict[str, list[float]]:
    """Cut the same images of 500 x 375 pixels on one thread; return the seconds by row."""
    work.mkdir(parents=True)
    make_class_folders(work / "source", request.images)
    encoded = [path.read_bytes() for path in sorted(work.glob("source/train/*/*"))]
    protocol = protocol_of(MULTI_SCALE, FULL_SIZE)
    ways: dict[str, Callable[[bytes], object]] = {
        NAIVE: lambda data: naive_views(data, protocol),
        OURS: lambda data: cut_views(decode_rgb(data), protocol),
        DECODING: decode_rgb}
    return in_turns({name: partial(timed, partial(_each, encoded, way))
                     for name, way in ways.items()}, request.repeats, "cutting")


def _each(images: Iterable[bytes], action: Callable[[bytes], object]) -> None:
    for image in images:
        action(image)


def naive_views(encoded: bytes, protocol: Protocol) -> np.ndarray:
    """Cut each crop on its own from the bytes of the image: uint8 (crops, S, S, 3)."""
    views = []
    for crop in crop_boxes(protocol, *decode_rgb(encoded).size):
        image = decode_rgb(encoded)
        view = image.resize(resized_size(*image.size, crop.scale),
                            Image.Resampling.BICUBIC).crop(crop.box)
        if view.width != protocol.image_size:
            view = view.resize((protocol.image_size,) * 2, Image.Resampling.BICUBIC)
        if crop.mirrored:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        views.append(np.asarray(view))
    return np.stack(views)


def time_running(work: Path, request: CropsRequest) -> dict[str, list[float]]:
    """Evaluate records made for it, and pass as many crops through the network alone; return the
    seconds by row."""
    work.mkdir(parents=True)
    make_class_folders(work / "source", request.run_images)
    convert(Request(source=work / "source", split="train", out=work / "records", shards=1))
    records = open_records(work / "records")
    evaluator = Evaluator(InceptionV4(CLASSES), protocol_of(MULTI_SCALE, request.image_size),
                          INCEPTION_MEAN, INCEPTION_STD)
    _run(evaluator, records)  # compiles
    actions = {BARE: partial(_run_bare, evaluator, request.run_images),
               WHOLE: partial(_run, evaluator, records)}
    return in_turns({name: partial(timed, action) for name, action in actions.items()},
                    request.repeats, "evaluating")


def _run(evaluator: Evaluator, records: RecordSet) -> None:
    for _ in evaluator.classify(records, [range(records.images)]):
        pass


def _run_bare(evaluator: Evaluator, images: int) -> None:
    size, (_, views) = evaluator.protocol.image_size, evaluator.step
    step = ms.Tensor(np.zeros((views, size, size, 3), np.uint8))
    columns = ms.Tensor(np.arange(size, dtype=np.int32))
    evaluator.classifier.set_train(False)
    for _ in range(images * MULTI_SCALE // views):
        evaluator.classifier(step, columns).asnumpy()


def project(images_per_second_per_core: float, cards: int) -> str:
    """Return a sentence on the hours that the 50,000 validation images take on so many cards."""
    seconds = VALIDATION_IMAGES * MULTI_SCALE / (FORWARDS_PER_SECOND * cards)
    cores = FORWARDS_PER_SECOND * cards / MULTI_SCALE / images_per_second_per_core
    on = "1 card" if cards == 1 else f"{cards} cards"
    return (f"Projection, not measured: {VALIDATION_IMAGES:,} images x {MULTI_SCALE} crops at "
            f"{FORWARDS_PER_SECOND:,} forwards/s per card take {seconds / 3600:.2f} h on {on}; "
            f"cutting keeps {cores:.2f} host cores busy.")
