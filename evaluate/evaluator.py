"""A network over a record set: every image once, its probabilities averaged over the crops."""

import time
from itertools import islice
from typing import Iterator, Optional, Sequence

import mindspore as ms
import numpy as np
from mindspore import nn

from common.cli import RequestError, progress_bar
from common.host import available_cores
from convert.records.manifest import RowsDigest
from convert.records.reader import RecordSet
from evaluate.graphs import Classifier, ViewCutter
from evaluate.predictions import (Part, Predictions, gather_predictions,
                                  join_parts, label_ranks)
from evaluate.protocols import Protocol
from evaluate.steps import VIEWS_PER_STEP, step_shape
from evaluate.views import ImageViews, prepared_rows


class Evaluator:
    """Classifies record sets with one network, compiled at the first run and then kept.

    The parameters stay the network's own, so a trainer may call ``run`` after each epoch and
    finds the network in the mode (training or not) in which it was.

    Args:
        network: float32 (N, 3, S, S) -> logits (N, classes).
        protocol: which crops, and the image size S.
        mean, std: per channel, in 0..255 units, what the network was trained with.
        views_per_step: at most so many views pass through the network at a time.
        workers: threads that decode; default: one a core.
        curve: also keep where the label stands as crops are added.
    """

    def __init__(self, network: nn.Cell, protocol: Protocol, mean: Sequence[float],
                 std: Sequence[float], views_per_step: int = VIEWS_PER_STEP,
                 workers: Optional[int] = None, curve: bool = False):
        self.network, self.protocol, self.curve = network, protocol, curve
        self.step = step_shape(protocol.crops, views_per_step)
        self.cutter = ViewCutter(protocol, *self.step)
        self.classifier = Classifier(network, mean, std)
        self.workers = workers or available_cores()

    def run(self, records: RecordSet) -> Predictions:
        """Predictions for every image of ``records``, with a progress bar.

        Raises:
            RequestError: an image that cannot be decoded, outputs that are not numbers, or rows
                that differ from the manifest: missing, repeated or unknown ids.
        """
        groups = list(self.classify(records, [range(records.images)]))
        predictions = join_parts(groups).predictions
        check_rows(records, predictions)
        return predictions

    def classify(self, records: RecordSet, parts: Sequence[range]) -> Iterator[Part]:
        """The rows at the positions ``parts``, group by group, with a progress bar.

        Where parts start at multiples of ``step.images``, the same rows form a group whatever
        is asked for, and so get the same probabilities to the bit.

        Raises:
            RequestError: an image that cannot be decoded, or outputs that are not numbers.
        """
        was_training = self.network.training
        self.classifier.set_train(False)
        try:
            self._compile()
            with progress_bar(sum(map(len, parts)), f"{self.protocol.crops} crops",
                              "images") as bar:
                for part in parts:
                    for group in self._classify_rows(records, part):
                        bar.update(len(group.rows))
                        yield group
        finally:
            self.network.set_train(was_training)

    def view_probabilities(self, squares: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """float32 (images, crops, classes) of at most ``step.images`` images, each given
        by its squares (``cut_squares``); the network must not be in training mode."""
        steps = self.cutter(*self._fill_up(squares))
        views = np.concatenate([self.classifier(step).asnumpy() for step in steps])
        return views.reshape(self.step.images, self.protocol.crops, -1)[:len(squares)]

    def _compile(self) -> None:
        """Ahead, so that the first group's time is that of its images."""
        size, squares = self.protocol.image_size, self.step.images * len(self.protocol.squares)
        self.cutter.compile(*(ms.Tensor(np.zeros((squares, scale, scale, 3), np.uint8))
                              for scale in self.protocol.scales))
        self.classifier.compile(ms.Tensor(np.zeros((self.step.views, size, size, 3), np.uint8)))

    def _classify_rows(self, records: RecordSet, rows: range) -> Iterator[Part]:
        prepared = prepared_rows(records, rows, self.protocol, self.workers,
                                 ahead=self.step.images + self.workers)
        for first in range(rows.start, rows.stop, self.step.images):
            start = time.perf_counter()
            images = list(islice(prepared, self.step.images))
            waiting = time.perf_counter() - start
            predictions = self._predict(images)
            yield Part(range(first, first + len(images)), predictions,
                       time.perf_counter() - start, waiting)

    def _predict(self, images: Sequence[ImageViews]) -> Predictions:
        rows = [image.row for image in images]
        ids, labels = [row.image_id for row in rows], [row.label for row in rows]
        views = self.view_probabilities([image.squares for image in images])
        check_finite(ids, views)
        return gather_predictions(
            ids, labels, [row.blacklisted for row in rows],
            mean_of_views(views, self.protocol.crops),
            curve_ranks(views, labels, self.protocol.curve) if self.curve else None)

    def _fill_up(self, squares: Sequence[Sequence[np.ndarray]]) -> list[ms.Tensor]:
        """One tensor per scale; black images fill up the last group."""
        empty = self.step.images - len(squares)
        return [ms.Tensor(np.concatenate([*of_scale, *[np.zeros_like(of_scale[0])] * empty]))
                for of_scale in zip(*squares)]


def mean_of_views(views: np.ndarray, crops: int) -> np.ndarray:
    """float32 (images, crops, classes) -> the mean over the first ``crops``, as float32."""
    return views[:, :crops].mean(axis=1, dtype=np.float32)


def curve_ranks(views: np.ndarray, labels: Sequence[int], points: Sequence[int]) -> np.ndarray:
    """uint8 (images, points): ``label_ranks`` after the first ``points`` crops of ``views``."""
    return np.stack([label_ranks(mean_of_views(views, crops), labels) for crops in points], axis=1)


def check_rows(records: RecordSet, predictions: Predictions) -> None:
    """RequestError unless ids, labels and flags are exactly those that were converted."""
    digest = RowsDigest()
    for row in zip(predictions.image_id.tolist(), predictions.label.tolist(),
                   predictions.blacklisted.tolist()):
        digest.add(*row)
    if digest.sha256() != records.manifest.rows_sha256:
        raise RequestError(f"the {predictions.images:,} rows read from {records.folder} are not "
                           f"the {records.images:,} of its manifest: ids, labels or blacklist "
                           "flags are missing, repeated or changed; see what is damaged with: "
                           f"python -m convert verify {records.folder}")


def check_finite(ids: Sequence[object], probabilities: np.ndarray) -> None:
    """RequestError naming the images whose probabilities, (N, ...), are not numbers."""
    good = np.isfinite(probabilities).reshape(len(ids), -1).all(axis=1)
    if not good.all():
        named = ", ".join(str(ids[position]) for position in np.flatnonzero(~good)[:5])
        raise RequestError(f"the network's outputs are not numbers for image id {named}: the "
                           "checkpoint's weights are unusable, take an earlier one")
