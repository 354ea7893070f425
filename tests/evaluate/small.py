"""Small images, a record set made of them by the converter, a small network, the slow way.

As a program it is ``python -m evaluate`` with the small network in the place of InceptionV4. It
writes a part after every group; where the environment has GROUPS_TO_LIVE it kills itself after so
many, as an out-of-memory killer would.
"""

import io
import os
import signal
import sys
from pathlib import Path

import numpy as np
from mindspore import nn
from mindspore.common.initializer import Normal
from PIL import Image

import evaluate.command
import evaluate.predict
from common.cli import run_command
from convert.conversion import convert
from convert.records.reader import open_records
from convert.request import Request
from evaluate import predictions
from evaluate.__main__ import main
from evaluate.protocols import Protocol, views_of

# (width, height, mode): landscape, portrait, square, odd sizes, grayscale, CMYK, tiny, long.
IMAGES = [(120, 90, "RGB"), (91, 133, "RGB"), (77, 77, "RGB"), (131, 97, "L"),
          (90, 80, "CMYK"), (9, 5, "RGB"), (300, 60, "RGB")]
HUGE = [(2000, 1500, "RGB"), (900, 1400, "L")]
CLASSES = 3
BLACKLISTED_IDS = (2, 5)
# The keys without which a file is no result.
RESULT = {"crops": 1, "image_size": 75, "scales": [86], "checkpoint": "a.ckpt",
          "checkpoint_sha256": "c" * 64, "records": "records/val", "records_sha256": "d" * 64,
          "classes": 10, "has_blacklist": True, "sets": {}}
MEAN, STD = (120.0, 110.0, 100.0), (60.0, 50.0, 70.0)  # of the checkpoints


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
    crops = []
    resized = {scale: image.resize([round(side * scale / min(image.size)) for side in image.size],
                                   Image.Resampling.BICUBIC) for scale in protocol.scales}
    for scale, left, top, side in views_of(protocol, *image.size):
        crop = resized[scale].crop((left, top, left + side, top + side))
        if side != protocol.image_size:
            crop = crop.resize((protocol.image_size,) * 2, Image.Resampling.BICUBIC)
        crops.append(np.asarray(crop))
        if protocol.mirrors == 2:
            crops.append(np.asarray(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    return np.stack(crops)


def predictions_of(labels, top5, blacklisted=None, ids=None, shares=None, label_rank=None):
    """Predictions with these best classes, rows (N, 5 or fewer), of the images 1 to N."""
    top5 = np.asarray(top5, np.int32)
    return predictions.Predictions(
        np.asarray(ids or range(1, len(labels) + 1), np.int32), np.asarray(labels, np.int32),
        np.asarray(blacklisted or [False] * len(labels)), top5,
        np.full(top5.shape, .5, np.float32) if shares is None else shares, label_rank)


def four_images(third_is_listed=True, label_rank=None):
    """Predictions of images of the classes 5, 4, 0, 0; class 5 is always the best, then 4."""
    shares = np.tile(np.float32([.0, .1, .1, .1, .2, .5]), (4, 1))
    return predictions.gather_predictions(
        [1, 2, 3, 4], [5, 4, 0, 0], [False, False, third_is_listed, False], shares, label_rank)


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


def converted(source: Path, out: Path, split="val", **options):
    convert(Request(source=source, split=split, out=out, workers=1, **options))
    return open_records(out)


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


def words_of(records, checkpoint, out, **others):
    """The words of a command line that evaluates a checkpoint on CPU."""
    given = {"records": records.folder, "checkpoint": checkpoint, "out": out, "device": "CPU",
             **others}
    return [part for name, value in given.items()
            for part in (f"--{name.replace('_', '-')}", value)]


def write_and_die(folder, groups, write=predictions._write_part):
    write(folder, groups)
    if len(predictions.saved_rows(folder)) == int(os.environ.get("GROUPS_TO_LIVE", "-1")):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    predictions.SECONDS_PER_PART = 0
    predictions._write_part = write_and_die
    evaluate.command.InceptionV4 = evaluate.predict.InceptionV4 = SmallNetwork
    sys.exit(run_command(main))
