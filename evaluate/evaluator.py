"""A network over a record set: every picture once, its probabilities averaged over the crops."""

from itertools import islice
from typing import Iterator, Optional, Sequence

import mindspore as ms
import numpy as np
from mindspore import nn

from common import RequestError, progress_bar
from convert import RecordSet, available_cores
from convert.manifest import RowsDigest
from evaluate.graphs import Classifier, ViewCutter
from evaluate.predictions import Predictions, gather_predictions
from evaluate.protocols import Protocol
from evaluate.reading import Prepared, Row, prepared_rows
from evaluate.steps import VIEWS_PER_STEP, step_shape


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
    """

    def __init__(self, network: nn.Cell, protocol: Protocol, mean: Sequence[float],
                 std: Sequence[float], views_per_step: int = VIEWS_PER_STEP,
                 workers: Optional[int] = None):
        self.network, self.protocol = network, protocol
        self.step = step_shape(protocol.crops, views_per_step)
        self.cutter = ViewCutter(protocol, *self.step)
        self.classifier = Classifier(network, mean, std)
        self.workers = workers or available_cores()

    def run(self, records: RecordSet) -> Predictions:
        """Predictions for every image of ``records``, with a progress bar.

        Raises:
            RequestError: a picture that cannot be decoded, outputs that are not numbers, or rows
                that differ from the manifest: missing, repeated or unknown ids.
        """
        was_training = self.network.training
        self.classifier.set_train(False)
        try:
            rows, probabilities = self._classify_all(records)
        finally:
            self.network.set_train(was_training)
        check_rows(records, rows)
        check_finite(rows, probabilities)
        return gather_predictions([row.image_id for row in rows], [row.label for row in rows],
                                  [row.blacklisted for row in rows], probabilities)

    def _classify_all(self, records: RecordSet) -> tuple[list[Row], np.ndarray]:
        rows, probabilities = [], []
        prepared = prepared_rows(records, self.protocol, self.workers,
                                 ahead=self.step.pictures + self.workers)
        with progress_bar(records.images, f"{self.protocol.crops} crops", "images") as bar:
            for group in _groups(prepared, self.step.pictures):
                rows.extend(picture.row for picture in group)
                probabilities.append(self._classify(group))
                bar.update(len(group))
        return rows, np.concatenate(probabilities)

    def _classify(self, group: list[Prepared]) -> np.ndarray:
        """Mean probabilities of a group of pictures, float32 (pictures, classes)."""
        steps = self.cutter(*self._squares(group))
        views = np.concatenate([self.classifier(step).asnumpy() for step in steps])
        views = views.reshape(self.step.pictures, self.protocol.crops, -1)
        return views[:len(group)].mean(axis=1, dtype=np.float32)

    def _squares(self, group: list[Prepared]) -> list[ms.Tensor]:
        """One tensor per scale; black pictures fill up the last group."""
        empty = self.step.pictures - len(group)
        squares = []
        for of_scale in zip(*(picture.squares for picture in group)):
            squares.append(ms.Tensor(np.concatenate(
                [*of_scale, *[np.zeros_like(of_scale[0])] * empty])))
        return squares


def _groups(prepared: Iterator[Prepared], pictures: int) -> Iterator[list[Prepared]]:
    while group := list(islice(prepared, pictures)):
        yield group


def check_rows(records: RecordSet, rows: Sequence[Row]) -> None:
    """RequestError unless ids, labels and flags are exactly those that were converted."""
    digest = RowsDigest()
    for row in rows:
        digest.add(row.image_id, row.label, int(row.blacklisted))
    if digest.sha256() != records.manifest.rows_sha256:
        raise RequestError(f"the {len(rows):,} rows read from {records.folder} are not the "
                           f"{records.images:,} of its manifest: ids, labels or blacklist flags "
                           "are missing, repeated or changed; see what is damaged with: "
                           f"python -m convert verify {records.folder}")


def check_finite(rows: Sequence[Row], probabilities: np.ndarray) -> None:
    """RequestError naming the images whose probabilities, (N, classes), are not numbers."""
    bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if bad.size:
        ids = ", ".join(str(rows[position].image_id) for position in bad[:5])
        raise RequestError(f"the network's outputs are not numbers for {bad.size:,} images "
                           f"(image id {ids}{' ...' if bad.size > 5 else ''}): the checkpoint's "
                           "weights are unusable, take an earlier one")
