"""Small images, a record set made of them by the converter, a small network, the slow way."""

import io
import os
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from mindspore.common.initializer import Normal
from PIL import Image

import evaluate.command
import evaluate.predict
from common.cli import run_command
from convert.conversion import convert
from convert.records.reader import open_records
from convert.request import Request
from evaluate.__main__ import main
from evaluate.evaluator import Evaluator
from evaluate.predictions import saved_rows
from evaluate.protocols import Protocol, crop_boxes
from evaluate.results import EvaluationSpeed, Result
from inceptionv4.checkpoint import CheckpointMeta, network_parameters, save_checkpoint

HERE = Path(__file__).parent

# (width, height, mode): landscape, portrait, square, odd sizes, grayscale, CMYK, tiny, long.
IMAGES = [(120, 90, "RGB"), (91, 133, "RGB"), (77, 77, "RGB"), (131, 97, "L"),
          (90, 80, "CMYK"), (9, 5, "RGB"), (300, 60, "RGB")]
HUGE = [(2000, 1500, "RGB"), (900, 1400, "L")]
CLASSES = 3
BLACKLISTED_IDS = (2, 5)


def draw_image(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """A smooth image without symmetry, so that a wrong crop or mirror shows."""
    random = np.random.default_rng([seed, width, height])
    coarse = random.integers(0, 256, (max(2, height // 8), max(2, width // 8), 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return image.convert(mode)


def encode_image(image: Image.Image, image_format: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def cut_one_by_one(image: Image.Image, protocol: Protocol) -> np.ndarray:
    """The obvious way, each crop on its own: uint8 (crops, S, S, 3)."""
    views = []
    resized = {scale: image.resize([round(side * scale / min(image.size)) for side in image.size],
                                   Image.Resampling.BICUBIC) for scale in protocol.scales}
    for scale, box, mirrored in crop_boxes(protocol, *image.size):
        view = resized[scale].crop(box)
        if view.width != protocol.image_size:
            view = view.resize((protocol.image_size,) * 2, Image.Resampling.BICUBIC)
        if mirrored:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        views.append(np.asarray(view))
    return np.stack(views)


def write_source(folder: Path, images=IMAGES) -> None:
    """Flat validation images, ILSVRC's names, with a devkit beside them."""
    (folder / "val").mkdir(parents=True)
    for number, (width, height, mode) in enumerate(images, start=1):
        image = encode_image(draw_image(width, height, mode, seed=number), quality=95)
        (folder / "val" / f"ILSVRC2012_val_{number:08}.JPEG").write_bytes(image)
    devkit = folder / "devkit" / "data"
    devkit.mkdir(parents=True)
    (devkit / "ILSVRC2012_validation_ground_truth.txt").write_text(
        "".join(f"{number % CLASSES + 1}\n" for number in range(len(images))))
    (devkit / "map_clsloc.txt").write_text(
        "".join(f"n0000000{label} {label} class_{label}\n" for label in range(1, CLASSES + 1)))
    (folder / "blacklist.txt").write_text("".join(f"{number}\n" for number in BLACKLISTED_IDS))


@pytest.fixture(scope="session")
def draw():
    return draw_image


@pytest.fixture(scope="session")
def encode():
    return encode_image


@pytest.fixture(scope="session")
def slow_views():
    return cut_one_by_one


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    write_source(folder)
    return folder


def converted(source: Path, out: Path, **options):
    convert(Request(source=source, split="val", out=out, workers=1, **options))
    return open_records(out)


@pytest.fixture(scope="session")
def convert_source():
    return converted


@pytest.fixture(scope="session")
def records(source, tmp_path_factory):
    """Seven images of three classes in two shards, two of them blacklisted."""
    return converted(source, tmp_path_factory.mktemp("records") / "val", shards=2,
                     blacklist=source / "blacklist.txt")


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory):
    """The seven images and two huge ones."""
    folder = tmp_path_factory.mktemp("every_kind")
    write_source(folder, IMAGES + HUGE)
    return converted(folder, folder / "records", shards=1)


class SmallNetwork(nn.Cell):
    """A stand-in for InceptionV4 at 75 pixels that compiles in a second."""

    def __init__(self, num_classes: int, batch_norm_decay: float = 0.9):
        super().__init__()
        self.features = nn.SequentialCell(
            nn.Conv2d(3, 8, 15, stride=15, pad_mode="valid"),
            nn.BatchNorm2d(8, momentum=batch_norm_decay), nn.ReLU(), nn.Flatten(),
            nn.Dropout(p=0.5))
        # Weights so large that crops differ in their probabilities.
        self.classifier = nn.Dense(8 * 5 * 5, num_classes, weight_init=Normal(0.2))

    def construct(self, inputs):
        return self.classifier(self.features(inputs))


@pytest.fixture(scope="session")
def small_network():
    return SmallNetwork


@pytest.fixture(scope="module")
def network():
    ms.set_seed(0)
    return SmallNetwork(CLASSES)


MEAN, STD = (120.0, 110.0, 100.0), (60.0, 50.0, 70.0)


@pytest.fixture(scope="session")
def planned():
    """A result before anything was scored: 144 crops, two ranks."""
    return Result(crops=144, image_size=75, scales=[80, 88, 96, 112], curve_crops=[1, 2],
                  checkpoint="a.ckpt", checkpoint_sha256="c" * 64, mean=[127.5] * 3,
                  std=[127.5] * 3, records="records/val", records_sha256="d" * 64, split="val",
                  classes=6, has_blacklist=True, blacklist_sha256="b" * 64, sets={},
                  argv=["python", "-m", "evaluate"], speed=EvaluationSpeed(2, 4.0, 0.25, 0.5))


@pytest.fixture(scope="session")
def statistics():
    """Mean and standard deviation of the checkpoints that ``save`` writes."""
    return MEAN, STD


@pytest.fixture(scope="module")
def save(network):
    """Writes the network as a checkpoint whose meta says what the test asks for."""
    def save_as(path, **meta):
        told = {"num_classes": 3, "image_size": 75, "mean": MEAN, "std": STD,
                "batch_norm_decay": 0.9, "class_names_sha256": "", "epoch": 1, "step": 2, **meta}
        save_checkpoint(path, network_parameters(network), CheckpointMeta(**told))
        return path
    return save_as


@pytest.fixture
def checkpoint(save, records, tmp_path):
    return save(tmp_path / "a.ckpt", class_names_sha256=records.class_names_sha256)


@pytest.fixture
def call(monkeypatch, capsys, small_network):
    """Calls the command in this process: its exit code, what it printed, its error line."""
    for module in (evaluate.command, evaluate.predict):
        monkeypatch.setattr(module, "InceptionV4", small_network)

    def called(*arguments):
        monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
        code = run_command(main)
        printed = capsys.readouterr()
        errors = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        return code, printed.out, errors
    return called


def words_of(records, checkpoint, out, others=()):
    given = {"records": records.folder, "checkpoint": checkpoint, "out": out, "device": "CPU"}
    given.update(others)
    return [part for name, value in given.items()
            for part in (f"--{name.replace('_', '-')}", value)]


@pytest.fixture(scope="session")
def options():
    """The words of a command line that evaluates a checkpoint on CPU."""
    return words_of


# Seven images in groups of two: four groups, the last one with one image.
CHOICE = {"crops": 12, "views_per_step": 12}


@pytest.fixture
def words(options, records, checkpoint, tmp_path):
    """The command line of an evaluation with a curve, in groups of two images."""
    def words_for(name, **others):
        return [*options(records, checkpoint, tmp_path / name, {**CHOICE, **others}), "--curve"]
    return words_for


@pytest.fixture
def interrupted(call, words, monkeypatch, tmp_path):
    """The parts folder of an evaluation that was stopped after its first group."""
    predict = Evaluator._predict
    done = []

    def stop_at_the_second(self, rows, images):
        if done:
            raise KeyboardInterrupt
        done.append(images)
        return predict(self, rows, images)
    with monkeypatch.context() as patched:
        patched.setattr(Evaluator, "_predict", stop_at_the_second)
        assert call(*words("out"))[0] == 130
    parts = tmp_path / "out" / "parts"
    assert saved_rows(parts) == [range(0, 2)]
    return parts


@pytest.fixture(scope="session")
def stand_in():
    """Runs tests/evaluate/stand_in.py as a process, with changes to its environment."""
    def run(words, **environment):
        return subprocess.run([sys.executable, HERE / "stand_in.py", *map(str, words)],
                              cwd=HERE.parents[1], capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": str(HERE.parents[1]),
                                   **environment})
    return run
