"""What the rows of other libraries ask of them, by stand-ins of those: the crops, batch and workers
of the job, so that a row is not faster for doing something else."""

import math
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks.feed import feeds
from benchmarks.feed.feeds import ADSL_FEED, FEEDS, RECORDS, FeedJob
from benchmarks.synthetic import make_folders_and_records

SCALE, RATIO = (feeds.MIN_AREA, 1.0), (1 / feeds.MAX_ASPECT, feeds.MAX_ASPECT)


class Call:
    """A stand-in that keeps how it was called and what was then called on that."""

    def __init__(self, name: str, args: tuple = (), kwargs: dict = {}, calls: list | None = None):
        self.name, self.args, self.kwargs = name, args, kwargs
        self.calls = [] if calls is None else calls

    def __getattr__(self, name: str):
        def method(*args, **kwargs):
            self.calls.append((name, args, kwargs))
            return self
        return method


def recorder(name: str):
    return lambda *args, **kwargs: Call(name, args, kwargs)


@pytest.fixture
def install(monkeypatch):
    """Return a function that installs stand-ins of modules, by dotted names."""
    def put(**modules):
        for name, members in modules.items():
            words = name.split("__")
            for end in range(1, len(words) + 1):
                dotted = ".".join(words[:end])
                if end == len(words) or dotted not in sys.modules:
                    module = ModuleType(dotted)
                    vars(module).update(members if end == len(words) else {})
                    monkeypatch.setitem(sys.modules, dotted, module)
    return put


@pytest.fixture
def job(tmp_path, class_folders) -> FeedJob:
    class_folders(9)
    return FeedJob("a feed", str(tmp_path), batch_size=2, image_size=8, workers=3, images=9, skip=1)


def same_names(job: FeedJob) -> list[str]:
    return [f"n{number % 2}/{number}.JPEG" for number in (0, 2, 4, 6, 8, 1, 3, 5, 7)]


@pytest.mark.parametrize("row, decoder", [
    ("PyTorch DataLoader, Pillow", "_decode_with_pillow"),
    ("PyTorch DataLoader, simplejpeg", "_decode_with_simplejpeg")])
def test_pytorch_loads_crops_of_the_job_in_its_workers(row, decoder, job, install, monkeypatch):
    loaders, decoded = [], []

    def loader(images, *sizes, **options):
        loaders.append((images, sizes, options))
        return [images]
    install(torch__utils__data={"DataLoader": loader},
            simplejpeg={"decode_jpeg": lambda data: decoded.append(data) or np.zeros(
                (30, 40, 3), np.uint8)})
    list(FEEDS[row].batches(job))
    (images, sizes, options), = loaders
    assert sizes == (2,) and options == dict(shuffle=True, num_workers=3, drop_last=True)
    assert images.paths == job.paths and len(images) == 9
    assert [path.relative_to(job.train).as_posix() for path in job.paths] == same_names(job)
    crop = images[4]
    assert crop.shape == (8, 8, 3) and crop.dtype == np.uint8
    if decoder == "_decode_with_pillow":
        assert np.abs(crop.astype(int) - (80, 0, 200)).max() < 12  # the ninth image, by name
    else:
        assert decoded == [job.paths[4].read_bytes()] and not crop.any()


def test_half_of_the_crops_are_mirrored_and_each_fills_its_side(job, monkeypatch):
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[:, :4] = 255  # the left half
    monkeypatch.setattr(feeds, "_crop_box", lambda width, height: (0, 0, width, height))
    for number, left in ((0.49, 0), (0.5, 255)):
        monkeypatch.setattr(feeds.random, "random", lambda: number)
        crop = feeds._random_crop(Image.fromarray(pixels), job)
        assert crop.shape == (8, 8, 3) and (crop[:, :2] == left).all()


def test_a_crop_has_the_area_and_aspect_that_were_drawn(monkeypatch):
    """Of 100 x 50 pixels, first a crop that is too wide, then one at the edge."""
    draws, places = iter([1.0, 1.0, 0.5, -1.0, 1.0]), []
    monkeypatch.setattr(feeds.random, "uniform", lambda low, high: (
        places.append((low, high)) or next(draws)))
    monkeypatch.setattr(feeds.random, "randint", lambda low, high: high)
    left, top, right, bottom = feeds._crop_box(50, 100)
    area, aspect = 0.5 * 5000, 3 / 4
    width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    assert (left, top, right, bottom) == (50 - width, 100 - height, 50, 100)
    assert places == 2 * [(feeds.MIN_AREA, 1), (-1, 1)]
    monkeypatch.setattr(feeds.random, "uniform", lambda low, high: 1.0)
    assert feeds._crop_box(50, 100) == (0, 0, 50, 100)  # no crop fits


def test_dali_has_one_pipeline_of_the_jobs_size(job, install):
    made, calls = [], []

    class Pipeline:
        def __init__(self, result):
            self.result, self.built = result, False

        def build(self):
            self.built = True

        def run(self):
            assert self.built
            return [SimpleNamespace(as_array=lambda: self.result)]

    def pipeline_def(**options):
        made.append(options)
        return lambda function: lambda: Pipeline(function())

    def operator(name, result):
        return lambda *args, **kwargs: calls.append((name, args, kwargs)) or result
    fn = SimpleNamespace(
        readers=SimpleNamespace(file=operator("file", ("data", "labels"))),
        decoders=SimpleNamespace(image_random_crop=operator("crop", "crops")),
        resize=operator("resize", "resized"), flip=operator("flip", "batch"),
        random=SimpleNamespace(coin_flip=lambda: "coin"))
    install(nvidia__dali={"fn": fn, "pipeline_def": pipeline_def})
    assert list(FEEDS["DALI on the CPU"].batches(job)) == ["batch"] * 4
    assert made == [dict(batch_size=2, num_threads=3, device_id=None)]
    assert calls == [
        ("file", (), dict(file_root=str(job.train), random_shuffle=True)),
        ("crop", ("data",), dict(device="cpu", random_area=SCALE, random_aspect_ratio=RATIO)),
        ("resize", ("crops",), dict(size=(8, 8))),
        ("flip", ("resized",), dict(horizontal="coin"))]


def test_ffcv_writes_its_file_once_and_loads_crops_from_it(job, install):
    writers, loaders = [], []

    class Writer:
        def __init__(self, path, fields, **options):
            writers.append((path, {name: field.kwargs for name, field in fields.items()}, options))

        def from_indexed_dataset(self, images):
            pixels, = images[4]
            assert len(images) == 9 and pixels.shape == (30, 40, 3)
            (job.train.parent / "images.beton").touch()

    def loader(*args, **options):
        loaders.append((args, options))
        return [("first",), ("second",)]
    install(ffcv__fields__rgb_image={"RandomResizedCropRGBImageDecoder": recorder("decoder")},
            ffcv__loader={"Loader": loader, "OrderOption": SimpleNamespace(RANDOM="random")},
            ffcv__transforms={"RandomHorizontalFlip": recorder("flip")},
            ffcv__writer={"DatasetWriter": Writer})
    sys.modules["ffcv.fields"].RGBImageField = recorder("field")
    for _ in range(2):
        assert list(FEEDS["ffcv"].batches(job)) == ["first", "second"]
    path = str(job.train.parent / "images.beton")
    assert writers == [(path, {"image": dict(write_mode="jpg", jpeg_quality=feeds.QUALITY)},
                        dict(num_workers=3))]
    (args, options), _ = loaders
    decoder, flip = options.pop("pipelines")["image"]
    assert args == (path, 2) and options == dict(num_workers=3, drop_last=True, order="random")
    assert (decoder.name, decoder.args, decoder.kwargs) == (
        "decoder", ((8, 8),), dict(scale=SCALE, ratio=RATIO))
    assert flip.name == "flip"


def numpy_as_tensorflow(draws: list, shape: tuple) -> dict:
    """The functions of TensorFlow that the window needs, by NumPy, with these draws from 0 to 1 of
    an image of that shape."""
    left = iter(draws)
    return dict(
        float32=np.float32, int32=np.int32, sqrt=np.sqrt, exp=np.exp, round=np.round,
        reduce_all=np.all, reduce_any=np.any, where=np.where, argmax=np.argmax,
        concat=np.concatenate, cast=lambda values, kind: np.asarray(values).astype(kind),
        random=SimpleNamespace(uniform=lambda size, low=0, high=1: (
            low + np.reshape(next(left), size) * (high - low))),
        image=SimpleNamespace(extract_jpeg_shape=lambda data: np.array(shape)))


@pytest.mark.parametrize("areas, aspects, expected", [
    # Of 100 x 60 pixels. The first draw is 120 wide and so does not fit, the second is as asked.
    ([1.0, 0.5], [1.0, 0.5], None), ([1.0] * 2, [1.0] * 2, (0, 0, 100, 60))])
def test_the_window_of_tensorflow_is_drawn_as_ours(areas, aspects, expected, install, monkeypatch):
    monkeypatch.setattr(feeds, "CROP_TRIES", 2)
    install(tensorflow=numpy_as_tensorflow([areas, aspects, [0.999, 0.5]], (100, 60, 3)))
    if expected is None:
        area = (feeds.MIN_AREA + 0.5 * (1 - feeds.MIN_AREA)) * 6000
        side = round(math.sqrt(area))  # a square
        expected = (int(0.999 * (101 - side)), int(0.5 * (61 - side)), side, side)
    assert tuple(feeds._tensorflow_window(b"")) == expected


def test_tensorflow_reads_every_path_with_the_jobs_workers(job, install, monkeypatch):
    pipeline, options = Call("dataset"), SimpleNamespace(threading=SimpleNamespace())
    pipeline.__class__ = type("Dataset", (Call,), {"__iter__": lambda self: iter(["batch"])})
    steps = []

    def step(name):
        return lambda *args, **kwargs: steps.append((name, args, kwargs)) or name
    tf = SimpleNamespace(
        uint8="uint8", cast=step("cast"),
        data=SimpleNamespace(AUTOTUNE="auto", Options=lambda: options, Dataset=SimpleNamespace(
            from_tensor_slices=lambda paths: pipeline.from_tensor_slices(paths))),
        io=SimpleNamespace(read_file=step("read")),
        image=SimpleNamespace(decode_and_crop_jpeg=step("decode"), resize=step("resize"),
                              random_flip_left_right=step("flip")))
    install(tensorflow=vars(tf))
    monkeypatch.setattr(feeds, "_tensorflow_window", lambda data: f"window of {data}")
    assert list(FEEDS["tf.data"].batches(job)) == ["batch"]
    (_, _, _), shuffled, (name, (load,), mapped), *rest = pipeline.calls
    assert pipeline.calls[0] == ("from_tensor_slices", ([str(path) for path in job.paths],), {})
    assert shuffled == ("shuffle", (9,), {})
    assert (name, mapped) == ("map", dict(num_parallel_calls=3, deterministic=False))
    assert rest == [("batch", (2,), dict(drop_remainder=True)), ("prefetch", ("auto",), {}),
                    ("with_options", (options,), {})]
    assert options.threading.private_threadpool_size == 3
    assert load("path") == "cast"
    assert steps == [("read", ("path",), {}),
                     ("decode", ("read", "window of read"), dict(channels=3)),
                     ("resize", ("decode", (8, 8)), {}), ("flip", ("resize",), {}),
                     ("cast", ("flip", "uint8"), {})]


@pytest.mark.parametrize("row, kind", [(ADSL_FEED, "ImageFolderDataset"), (RECORDS, "MindDataset")])
def test_the_reports_feed_shuffles_crops_and_normalises_with_the_jobs_workers(
        row, kind, tmp_path, monkeypatch):
    make_folders_and_records(tmp_path / "data", 5, 1)
    job = FeedJob("", str(tmp_path / "data"), batch_size=2, image_size=16, workers=2, images=5,
                  skip=1)
    first_column, made = feeds._first_column, []
    monkeypatch.setattr(feeds, "MIN_AREA", 0.25)  # others than MindSpore's own
    monkeypatch.setattr(feeds, "MAX_ASPECT", 2.0)
    monkeypatch.setattr(feeds, "_first_column", lambda batches: (
        made.append(batches) or first_column(batches)))
    batches = [images.asnumpy() for images in FEEDS[row].batches(job)]
    assert [images.shape for images in batches] == [(2, 3, 16, 16)] * 2  # the fifth is left out
    assert all(images.dtype == np.float32 for images in batches)
    low, high = min(map(np.min, batches)), max(map(np.max, batches))
    assert -1 <= low < -0.3 and 0.3 < high <= 1
    mapped = made[0].children[0]
    read = mapped.children[0]
    assert type(read).__name__ == kind
    assert mapped.num_parallel_workers == 2 and read.num_parallel_workers == 2
    crop, flip, *_ = mapped.operations
    assert type(flip).__name__ == "RandomHorizontalFlip"
    assert (crop.size, crop.scale, crop.ratio) == ((16, 16), (0.25, 1.0), (0.5, 2.0))
    assert (read.shuffle_flag if kind == "ImageFolderDataset" else
            read.shuffle_option.value) in (2, "adaptive")
