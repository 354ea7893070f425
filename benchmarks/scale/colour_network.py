"""Evaluation of the tiny images: a stand-in for InceptionV4, and one rank's share of the rows."""

from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from benchmarks.scale.tiny_imagenet import CLASSES, class_colours
from convert.records.reader import open_records
from evaluate.evaluator import Evaluator
from evaluate.predictions import rows_of_rank, write_parts
from evaluate.protocols import protocol_of
from inceptionv4.device import setup_device
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD

CROPS, IMAGE_SIZE = 1, 75


class ColourNetwork(nn.Cell):
    """Classifies the tiny images: the class whose colour is nearest to the mean pixel.

    Takes and gives what InceptionV4 does: float32 (N, 3, S, S), normalised, to logits
    float32 (N, 1000).
    """

    def __init__(self) -> None:
        super().__init__()
        mean, std = np.array(INCEPTION_MEAN), np.array(INCEPTION_STD)
        colours = ((class_colours() - mean) / std).astype(np.float32)  # (1000, 3)
        # -|x - c|^2 = 2 x.c - |c|^2 - |x|^2, and the last term is the same for all classes
        self.nearest = nn.Dense(3, CLASSES, weight_init=ms.Tensor(2 * colours),
                                bias_init=ms.Tensor(-(colours ** 2).sum(axis=1)))

    def construct(self, images: ms.Tensor) -> ms.Tensor:
        return self.nearest(images.mean((2, 3)))


def classify_share(folder: Path, parts: Path, rank: int, ranks: int) -> int:
    """Classify the rows of one rank of an evaluation of the record set ``folder``, as parts in the
    existing folder ``parts``; return how many they are."""
    setup_device("CPU")
    records = open_records(folder)
    evaluator = Evaluator(ColourNetwork(), protocol_of(CROPS, IMAGE_SIZE), INCEPTION_MEAN,
                          INCEPTION_STD, workers=1)
    rows = rows_of_rank(records.images, evaluator.step.images, rank, ranks)
    write_parts(parts, evaluator.classify(records, [rows]))
    return len(rows)
