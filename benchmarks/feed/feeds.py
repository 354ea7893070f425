"""The rows of ``python -m benchmarks feed``: from JPEGs to batches of random crops.

``python -m benchmarks.feed.feeds JOB`` (the fields of a ``FeedJob`` as JSON) runs one of them once
and prints the seconds: in a process of its own, so that no framework's threads or memory disturb
the next one.

Other tools' rows are written as their own documentation shows, with the crops, mirroring, batch and
number of workers of ours; their batches are uint8. They read the class folders, but for ffcv: it
reads a file of its own, of images encoded again at the quality that they had.
"""

import dataclasses
import io
import json
import math
import random
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.synthetic import QUALITY
from benchmarks.timing import BENCH_EXTRA, MINDSPORES_DECODER, run_process
from common.cli import CheckFailed, run_command
from convert.records.reader import RecordSet, open_records
from train.recipe import Recipe

MIN_AREA, MAX_ASPECT = Recipe.min_crop_area, Recipe.max_crop_aspect  # of a crop, by default
CROP_TRIES = 10  # as torchvision's RandomResizedCrop
ADSL_FEED = "class folders, float32 on the host (original report)"
RECORDS = "MindRecord, the same transforms"
OURS, OURS_BY_SHARD = "ours, global shuffle", "ours, shard order"
MINDSPORE_ROWS = (ADSL_FEED, RECORDS, OURS, OURS_BY_SHARD)


@dataclass(frozen=True)
class FeedJob:
    """Read one epoch of images in random order, crop and mirror them at random, batch them.

    Attributes:
        row: name of the feed, a key of ``FEEDS``.
        data: folder that holds ``train/<class>/<image>`` and the record set ``records/``.
        image_size: side of the crops in pixels.
        workers: threads or processes that decode.
        images: in ``data``.
        skip: batches at either end of the epoch that are not timed: buffers fill in the first
            ones and are emptied in the last ones.
    """

    row: str
    data: str
    batch_size: int
    image_size: int
    workers: int
    images: int
    skip: int

    @property
    def train(self) -> Path:
        return Path(self.data) / "train"

    def records(self) -> RecordSet:
        return open_records(Path(self.data) / "records")

    @property
    def timed_images(self) -> int:
        return (self.images // self.batch_size - 2 * self.skip) * self.batch_size

    @property
    def paths(self) -> list[Path]:
        return sorted(self.train.glob("*/*"))


def _float_batches(source: str, job: FeedJob) -> Iterator[Any]:
    """Yield float32 (batch_size, 3, S, S), normalised on the host, as in the original report."""
    import mindspore.dataset as ds
    from mindspore.dataset import vision

    from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
    reading = dict(shuffle=True, num_parallel_workers=job.workers)
    images = (ds.ImageFolderDataset(str(job.train), **reading) if source == "class folders" else
              ds.MindDataset(job.records().files, columns_list=["image", "label"], **reading))
    transforms = [
        vision.RandomCropDecodeResize(job.image_size, scale=(MIN_AREA, 1.0),
                                      ratio=(1 / MAX_ASPECT, MAX_ASPECT)),
        vision.RandomHorizontalFlip(),
        vision.Normalize(INCEPTION_MEAN, INCEPTION_STD),
        vision.HWC2CHW(),
    ]
    images = images.map(transforms, "image", num_parallel_workers=job.workers)
    return _first_column(images.batch(job.batch_size, drop_remainder=True))


def _ours(shuffle: str, job: FeedJob) -> Iterator[Any]:
    """Yield uint8 (batch_size, S, S, 3), as our trainer takes it."""
    from train.feed import TrainingFeed
    recipe = Recipe(ranks=1, batch_size=job.batch_size, image_size=job.image_size,
                    workers=job.workers, shuffle=shuffle)
    feed = TrainingFeed(job.records(), recipe, job.images // job.batch_size)
    return _first_column(feed.epoch(1))


def _first_column(batches: Any) -> Iterator[Any]:
    """Yield the images as tensors, as the trainer takes them."""
    return (images for images, _ in batches.create_tuple_iterator(num_epochs=1))


def _tensorflow(job: FeedJob) -> Iterator[Any]:
    import tensorflow as tf

    def load(path: Any) -> Any:
        data = tf.io.read_file(path)
        pixels = tf.image.decode_and_crop_jpeg(data, _tensorflow_window(data), channels=3)
        pixels = tf.image.resize(pixels, (job.image_size, job.image_size))
        return tf.cast(tf.image.random_flip_left_right(pixels), tf.uint8)

    options = tf.data.Options()
    options.threading.private_threadpool_size = job.workers
    paths = [str(path) for path in job.paths]
    batches = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths)).map(
        load, num_parallel_calls=job.workers, deterministic=False).batch(
        job.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return iter(batches.with_options(options))


def _tensorflow_window(data: Any) -> Any:
    """Return (top, left, height, width) of a crop, as ``_crop_box`` draws it.

    TensorFlow's own sample_distorted_bounding_box draws the height uniformly instead of the
    area, and so gives smaller crops, which are decoded sooner.
    """
    import tensorflow as tf
    size = tf.image.extract_jpeg_shape(data)[:2]
    area = tf.random.uniform((CROP_TRIES, 1), MIN_AREA, 1) * tf.cast(size[0] * size[1], tf.float32)
    log_aspect = tf.random.uniform((CROP_TRIES, 1), -1, 1) * math.log(MAX_ASPECT)
    sides = tf.sqrt(area * tf.exp(log_aspect * [[-1.0, 1.0]]))  # (tries, 2): height, width
    sides = tf.cast(tf.round(sides), tf.int32)
    fits = tf.reduce_all(sides <= size, axis=1)
    crop = tf.where(tf.reduce_any(fits), sides[tf.argmax(fits)], size)
    start = tf.random.uniform((2,)) * tf.cast(size - crop + 1, tf.float32)
    return tf.concat([tf.cast(start, tf.int32), crop], axis=0)


@dataclass
class _Images:
    """A map-style data set: what ``load`` makes of each JPEG."""

    paths: list[Path]
    load: Callable[[bytes], Any]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        return self.load(self.paths[index].read_bytes())


def _decode_with_pillow(data: bytes) -> Any:
    return Image.open(io.BytesIO(data)).convert("RGB")


def _decode_with_simplejpeg(data: bytes) -> Any:
    import simplejpeg
    return Image.fromarray(simplejpeg.decode_jpeg(data))


def _torch(decode: Callable[[bytes], Any], job: FeedJob) -> Iterator[Any]:
    from torch.utils.data import DataLoader
    images = _Images(job.paths, lambda data: _random_crop(decode(data), job))
    return iter(DataLoader(images, job.batch_size, shuffle=True, num_workers=job.workers,
                           drop_last=True))


def _random_crop(image: Any, job: FeedJob) -> Any:
    """Return uint8 (S, S, 3) of a Pillow image."""
    image = image.resize((job.image_size, job.image_size), Image.Resampling.BILINEAR,
                         box=_crop_box(image.width, image.height))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def _crop_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of a crop of random area and aspect, or of the image."""
    for _ in range(CROP_TRIES):
        area = width * height * random.uniform(MIN_AREA, 1)
        aspect = math.exp(random.uniform(-1, 1) * math.log(MAX_ASPECT))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            return left, top, left + w, top + h
    return 0, 0, width, height


def _dali(job: FeedJob) -> Iterator[Any]:
    from nvidia.dali import fn, pipeline_def

    @pipeline_def(batch_size=job.batch_size, num_threads=job.workers, device_id=None)
    def pipeline() -> Any:
        data, _ = fn.readers.file(file_root=str(job.train), random_shuffle=True)
        pixels = fn.decoders.image_random_crop(
            data, device="cpu", random_area=(MIN_AREA, 1.0),
            random_aspect_ratio=(1 / MAX_ASPECT, MAX_ASPECT))
        pixels = fn.resize(pixels, size=(job.image_size, job.image_size))
        return fn.flip(pixels, horizontal=fn.random.coin_flip())

    running = pipeline()
    running.build()
    for _ in range(job.images // job.batch_size):
        yield running.run()[0].as_array()


def _ffcv(job: FeedJob) -> Iterator[Any]:
    from ffcv.fields import RGBImageField
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip
    from ffcv.writer import DatasetWriter
    path = Path(job.data) / "images.beton"
    if not path.exists():  # the first run writes it, which is not timed
        field = RGBImageField(write_mode="jpg", jpeg_quality=QUALITY)
        DatasetWriter(str(path), {"image": field}, num_workers=job.workers).from_indexed_dataset(
            _Images(job.paths, lambda data: (np.asarray(_decode_with_pillow(data)),)))
    decoder = RandomResizedCropRGBImageDecoder(
        (job.image_size, job.image_size), scale=(MIN_AREA, 1.0),
        ratio=(1 / MAX_ASPECT, MAX_ASPECT))
    loader = Loader(str(path), job.batch_size, num_workers=job.workers, drop_last=True,
                    order=OrderOption.RANDOM,
                    pipelines={"image": [decoder, RandomHorizontalFlip()]})
    return (images for images, in loader)


class Feed(NamedTuple):
    """How a row makes its batches, and what it needs: modules, and how to get them."""

    batches: Callable[[FeedJob], Iterator[Any]]
    modules: tuple[str, ...] = ()
    install: str = BENCH_EXTRA
    environment: Mapping[str, str] = {}


FEEDS: dict[str, Feed] = {
    ADSL_FEED: Feed(partial(_float_batches, "class folders"), environment=MINDSPORES_DECODER),
    RECORDS: Feed(partial(_float_batches, "records"), environment=MINDSPORES_DECODER),
    OURS: Feed(partial(_ours, "global")),
    OURS_BY_SHARD: Feed(partial(_ours, "shard")),
    "tf.data": Feed(_tensorflow, ("tensorflow",)),
    "PyTorch DataLoader, Pillow": Feed(partial(_torch, _decode_with_pillow), ("torch",)),
    "PyTorch DataLoader, simplejpeg": Feed(partial(_torch, _decode_with_simplejpeg),
                                           ("torch", "simplejpeg")),
    "DALI on the CPU": Feed(_dali, ("nvidia", "nvidia.dali")),
    # PyPI has its source only, and pip needs these libraries to compile it. Without the bounds pip
    # installs OpenCV 5 with it, and with that NumPy 2, which MindSpore cannot use.
    "ffcv": Feed(_ffcv, ("ffcv",), "apt-get install g++ pkg-config libopencv-dev "
                                   "libturbojpeg0-dev; pip install ffcv 'numpy<2' "
                                   "'opencv-python<5'"),
}


def run_row(job: FeedJob) -> float:
    """Return the seconds that ``job.timed_images`` took, start and end of the epoch left out."""
    fields = json.dumps(dataclasses.asdict(job))
    printed = run_process(sys.executable, "-m", "benchmarks.feed.feeds", fields,
                          environment=FEEDS[job.row].environment)
    return float(printed.splitlines()[-1])


def steady_seconds(batches: Iterator[Any], job: FeedJob) -> float:
    """Return the seconds from the arrival of the last batch skipped to that of the last one timed.

    Args:
        batches: the images of each batch, anything with a ``shape``.

    Raises:
        CheckFailed: a batch of another size, or fewer batches than the images make.
    """
    last = job.images // job.batch_size - job.skip
    start = time.perf_counter()
    for number, images in enumerate(batches, start=1):
        if math.prod(images.shape) != job.batch_size * job.image_size ** 2 * 3:
            raise CheckFailed(f"{job.row} gave a batch of shape {tuple(images.shape)}")
        if number == job.skip:
            start = time.perf_counter()
        if number == last:
            return time.perf_counter() - start
    raise CheckFailed(f"{job.row} ended before batch {last}")


def main() -> None:
    job = FeedJob(**json.loads(sys.argv[1]))
    print(steady_seconds(FEEDS[job.row].batches(job), job))


if __name__ == "__main__":
    sys.exit(run_command(main))  # loads the JPEG decoder that the training command has, too
