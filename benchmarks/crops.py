"""The host's share of a 144-crop evaluation against the naive way, and a whole run against the
bare network: does the network ever wait for its crops?"""

import shutil
import statistics
import time
from pathlib import Path
from typing import Callable, Iterable, List

import mindspore as ms
import numpy as np
from PIL import Image

from benchmarks.machine import describe_machine
from benchmarks.synthetic import make_class_folders
from benchmarks.table import SpeedRow, SpeedTable
from convert.conversion import convert
from convert.records.reader import RecordSet, open_records
from convert.request import Request
from evaluate.evaluator import Evaluator
from evaluate.protocols import (MULTI_SCALE, VIEWS_PER_STEP, Protocol, crop_boxes, protocol_of,
                                resized_size)

from evaluate.views import cut_views, decode_rgb
from inceptionv4.device import setup_device
from inceptionv4.network import InceptionV4
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD

FULL_SIZE = 299  # pixels, of the host's rows
VALIDATION_IMAGES = 50_000
FORWARDS_PER_SECOND = 1_000  # of Inception-v4 on one card, assumed for the projection
CLASSES = 10  # of the run's network, whose weights are random

NAIVE, OURS = "naive: decoded, resized, cut for each of 144 crops", "ours: decoded once, 4 resizes"
BARE, WHOLE = "bare network, crops held in memory", "whole run, from records"


def benchmark_host(work: Path, images: int, repeats: int) -> SpeedTable:
    """Both ways on one thread over the same images of 500 x 375 pixels, in turns."""
    work.mkdir(parents=True, exist_ok=True)
    make_class_folders(work / "source", images)
    encoded = [path.read_bytes() for path in sorted(work.glob("source/train/*/*"))]
    shutil.rmtree(work / "source")
    protocol = protocol_of(MULTI_SCALE, FULL_SIZE)
    cut_views(decode_rgb(encoded[0]), protocol)  # compiles
    seconds = _in_turns(repeats, {
        NAIVE: lambda: _each(encoded, lambda data: naive_views(data, protocol)),
        OURS: lambda: _each(encoded, lambda data: cut_views(decode_rgb(data), protocol)),
        "of this, decoding": lambda: _each(encoded, decode_rgb)})
    naive, ours = statistics.median(seconds[NAIVE]), statistics.median(seconds[OURS])
    rows = [SpeedRow(name, times) for name, times in seconds.items()]
    rows[1] = SpeedRow(OURS, seconds[OURS], f"{naive / ours:.0f} x the naive way, "
                       f"{1000 * ours / images:.1f} ms an image")
    return SpeedTable("144 crops on the host, one core", images, "images", rows,
                      describe_machine(work), {"repeats": repeats, "image size": FULL_SIZE})


def naive_views(encoded: bytes, protocol: Protocol) -> np.ndarray:
    """Each crop on its own from the bytes of the image: float32 (crops, 3, S, S)."""
    views = []
    for crop in crop_boxes(protocol, *decode_rgb(encoded).size):
        image = decode_rgb(encoded)
        view = image.resize(resized_size(*image.size, crop.scale),
                            Image.Resampling.BICUBIC).crop(crop.box)
        if view.width != protocol.image_size:
            view = view.resize((protocol.image_size,) * 2, Image.Resampling.BICUBIC)
        if crop.mirrored:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        views.append((np.asarray(view, np.float32) / 127.5 - 1).transpose(2, 0, 1))
    return np.stack(views)


def benchmark_run(work: Path, images: int, repeats: int, image_size: int, device: str
                  ) -> SpeedTable:
    """An evaluation with 144 crops of records made for it, against its network alone."""
    target = setup_device(device)
    print(target.describe(), flush=True)
    records = _make_records(work, images)
    network = InceptionV4(CLASSES)
    evaluator = Evaluator(network, protocol_of(MULTI_SCALE, image_size), INCEPTION_MEAN,
                          INCEPTION_STD)
    waiting: List[float] = []
    _run(evaluator, records)  # compiles
    seconds = _in_turns(repeats, {
        BARE: lambda: _run_bare(evaluator, images),
        WHOLE: lambda: waiting.append(_run(evaluator, records))})
    shutil.rmtree(work)
    bare, whole = statistics.median(seconds[BARE]), statistics.median(seconds[WHOLE])
    note = (f"{100 * (whole / bare - 1):+.1f} % against the bare network; waits for "
            f"data {100 * float(np.median(waiting)):.2f} % of the time")
    return SpeedTable("144-crop evaluation, whole", images * MULTI_SCALE, "crops",
                      [SpeedRow(BARE, seconds[BARE]), SpeedRow(WHOLE, seconds[WHOLE], note)],
                      describe_machine(work.parent, target.name),
                      {"repeats": repeats, "image size": image_size,
                       "views per step": VIEWS_PER_STEP})


def _make_records(work: Path, images: int) -> RecordSet:
    work.mkdir(parents=True, exist_ok=True)
    make_class_folders(work / "source", images)
    convert(Request(source=work / "source", split="train", out=work / "records", shards=1))
    return open_records(work / "records")


def _run(evaluator: Evaluator, records: RecordSet) -> float:
    """The share of the time that passed without data."""
    groups = list(evaluator.classify(records, [range(records.images)]))
    return sum(group.waiting for group in groups) / sum(group.seconds for group in groups)


def _run_bare(evaluator: Evaluator, images: int) -> None:
    size = evaluator.protocol.image_size
    views = ms.Tensor(np.zeros((evaluator.step.views, size, size, 3), np.uint8))
    evaluator.classifier.set_train(False)
    for _ in range(images * MULTI_SCALE // evaluator.step.views):
        evaluator.classifier(views).asnumpy()


def project(images_per_second_per_core: float, cards: int) -> str:
    """Hours for the 50,000 validation images where the network is what takes the time."""
    seconds = VALIDATION_IMAGES * MULTI_SCALE / (FORWARDS_PER_SECOND * cards)
    cores = FORWARDS_PER_SECOND * cards / MULTI_SCALE / images_per_second_per_core
    return (f"projection, not measured: {VALIDATION_IMAGES:,} images x {MULTI_SCALE} crops at "
            f"{FORWARDS_PER_SECOND:,} forwards/s a card take {seconds / 3600:.2f} h on {cards} "
            f"card{'s' * (cards > 1)}; cutting keeps {cores:.2f} host cores busy")


def _each(images: Iterable[bytes], action: Callable[[bytes], object]) -> None:
    for image in images:
        action(image)


def _in_turns(repeats: int, actions: dict[str, Callable[[], object]]) -> dict[str, List[float]]:
    seconds: dict[str, List[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - start)
    return seconds
