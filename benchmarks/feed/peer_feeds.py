"""Other tools' rows of ``python -m benchmarks feed``: JPEGs to batches of uint8 random crops.

Each is written as its own documentation shows, with the crops, mirroring, batch and number of
workers of ours. All but ffcv read the class folders; ffcv reads a file of its own, for which it
encodes the images again, here at the quality that they had.
"""

import importlib.util
import io
import math
import os
import random
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

from benchmarks.feed.job import FeedJob
from benchmarks.synthetic import QUALITY

CROP_TRIES = 10  # as torchvision's RandomResizedCrop


def _tensorflow(job: FeedJob) -> Iterator[Any]:
    import tensorflow as tf

    def load(path: Any) -> Any:
        data = tf.io.read_file(path)
        pixels = tf.image.decode_and_crop_jpeg(data, _tensorflow_window(data, job), channels=3)
        pixels = tf.image.resize(pixels, (job.image_size, job.image_size))
        return tf.cast(tf.image.random_flip_left_right(pixels), tf.uint8)

    options = tf.data.Options()
    options.threading.private_threadpool_size = job.workers
    paths = [str(path) for path in job.paths]
    batches = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths)).map(
        load, num_parallel_calls=job.workers, deterministic=False).batch(
        job.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return iter(batches.with_options(options))


def _tensorflow_window(data: Any, job: FeedJob) -> Any:
    """(top, left, height, width) of a crop, as ``_crop_box`` draws it.

    TensorFlow's own sample_distorted_bounding_box draws the height uniformly instead of the
    area, and so gives smaller crops, which are decoded sooner.
    """
    import tensorflow as tf
    size = tf.image.extract_jpeg_shape(data)[:2]
    area = tf.cast(size[0] * size[1], tf.float32) * tf.random.uniform((CROP_TRIES, 1),
                                                                      job.min_area, 1)
    log_aspect = tf.random.uniform((CROP_TRIES, 1), -1, 1) * math.log(job.max_aspect)
    sides = tf.sqrt(area * tf.exp(log_aspect * [[-1.0, 1.0]]))  # (tries, 2): height, width
    sides = tf.cast(tf.round(sides), tf.int32)
    fits = tf.reduce_all(sides <= size, axis=1)
    crop = tf.where(tf.reduce_any(fits), sides[tf.argmax(fits)], size)
    start = tf.random.uniform((2,)) * tf.cast(size - crop + 1, tf.float32)
    return tf.concat([tf.cast(start, tf.int32), crop], axis=0)


class _TorchImages:
    """A map-style data set of uint8 (S, S, 3); ``decode`` gives all pixels of a JPEG."""

    def __init__(self, job: FeedJob, decode: Callable[[bytes], Any]):
        self.job, self.paths, self.decode = job, job.paths, decode

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        import numpy as np
        from PIL import Image
        side = self.job.image_size
        image = self.decode(self.paths[index].read_bytes())
        image = image.resize((side, side), Image.Resampling.BILINEAR,
                             box=_crop_box(image.width, image.height, self.job))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.asarray(image)


def _crop_box(width: int, height: int, job: FeedJob) -> tuple[int, int, int, int]:
    """left, top, right, bottom of a crop of random area and aspect; all if none was found."""
    for _ in range(CROP_TRIES):
        area = width * height * random.uniform(job.min_area, 1)
        aspect = math.exp(random.uniform(-1, 1) * math.log(job.max_aspect))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            return left, top, left + w, top + h
    return 0, 0, width, height


def _decode_with_pillow(data: bytes) -> Any:
    from PIL import Image
    return Image.open(io.BytesIO(data)).convert("RGB")


def _decode_with_simplejpeg(data: bytes) -> Any:
    import simplejpeg
    from PIL import Image
    return Image.fromarray(simplejpeg.decode_jpeg(data))


def _torch(decode: Callable[[bytes], Any]) -> Callable[[FeedJob], Iterator[Any]]:
    def batches(job: FeedJob) -> Iterator[Any]:
        from torch.utils.data import DataLoader
        return iter(DataLoader(_TorchImages(job, decode), job.batch_size, shuffle=True,
                               num_workers=job.workers, drop_last=True))
    return batches


def _dali(job: FeedJob) -> Iterator[Any]:
    from nvidia.dali import fn, pipeline_def

    @pipeline_def(batch_size=job.batch_size, num_threads=job.workers, device_id=None)
    def pipeline() -> Any:
        data, _ = fn.readers.file(file_root=str(job.train), random_shuffle=True)
        pixels = fn.decoders.image_random_crop(
            data, device="cpu", random_area=(job.min_area, 1.0),
            random_aspect_ratio=(1 / job.max_aspect, job.max_aspect))
        pixels = fn.resize(pixels, size=(job.image_size, job.image_size))
        return fn.flip(pixels, horizontal=fn.random.coin_flip())

    running = pipeline()
    running.build()
    for _ in range(job.images // job.batch_size):
        yield running.run()[0].as_array()


def _ffcv(job: FeedJob) -> Iterator[Any]:
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip
    decoder = RandomResizedCropRGBImageDecoder(
        (job.image_size, job.image_size), scale=(job.min_area, 1.0),
        ratio=(1 / job.max_aspect, job.max_aspect))
    loader = Loader(str(_beton(job)), job.batch_size, num_workers=job.workers, drop_last=True,
                    order=OrderOption.RANDOM,
                    pipelines={"image": [decoder, RandomHorizontalFlip()]})
    return (images for images, in loader)


def _beton(job: FeedJob) -> Path:
    """ffcv's file of the images; the first run writes it, which is not timed."""
    from ffcv.fields import RGBImageField
    from ffcv.writer import DatasetWriter
    path = Path(job.data) / "images.beton"
    if not path.exists():
        written = path.with_suffix(".tmp")
        image = RGBImageField(write_mode="jpg", jpeg_quality=QUALITY)
        DatasetWriter(str(written), {"image": image},
                      num_workers=job.workers).from_indexed_dataset(_WholeImages(job))
        os.replace(written, path)
    return path


class _WholeImages:
    """What ffcv's writer asks for: the fields of a record by index."""

    def __init__(self, job: FeedJob):
        self.paths = job.paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple:
        import numpy as np
        return np.asarray(_decode_with_pillow(self.paths[index].read_bytes())),


class Peer(NamedTuple):
    """A tool's feed, and the modules that it needs with how to get them."""

    batches: Callable[[FeedJob], Iterator[Any]]
    modules: tuple[str, ...]
    install: str = "pip install '.[bench]'"

    def unavailable_reason(self) -> str:
        """Why the feed cannot run here; empty where it can."""
        if all(_is_installed(module) for module in self.modules):
            return ""
        return f"not installed: {self.install}"


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False


PEER_FEEDS: dict[str, Peer] = {
    "tf.data": Peer(_tensorflow, ("tensorflow",)),
    "PyTorch DataLoader, Pillow": Peer(_torch(_decode_with_pillow), ("torch",)),
    "PyTorch DataLoader, simplejpeg": Peer(_torch(_decode_with_simplejpeg),
                                           ("torch", "simplejpeg")),
    "DALI on the CPU": Peer(_dali, ("nvidia.dali",)),
    # PyPI has its source only, and pip needs these libraries to compile it.
    "ffcv": Peer(_ffcv, ("ffcv",), "apt-get install g++ pkg-config libopencv-dev "
                                   "libturbojpeg0-dev; pip install ffcv"),
}
