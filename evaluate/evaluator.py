"""A network over a record set: every image once, its probabilities averaged over the crops."""

import contextlib
import time
from itertools import islice
from typing import Iterator, NamedTuple, Optional, Sequence

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from common.cli import RequestError
from common.deadline import reading_deadline
from common.host import available_cores
from common.progress import progress_bar
from common.text import counted
from convert.records.manifest import sha256_of_rows
from convert.records.reader import RecordSet
from evaluate.predictions import (DTYPES, TOP, Part, Predictions, gather_predictions, in_id_order,
                                  label_ranks, rows_of_rank)
from evaluate.protocols import VIEWS_PER_STEP, Protocol
from evaluate.views import ImageRow, prepared_rows
from inceptionv4.device import Device, sum_over_ranks, texts_of_ranks
from inceptionv4.preprocess import Preprocess


class StepShape(NamedTuple):
    """A group of ``images`` images is classified in steps of ``views`` views: plain, mirrored."""

    images: int
    views: int


def step_shape(views_per_image: int, views_per_step: int) -> StepShape:
    """Return the largest step of at most ``views_per_step`` views that is always full: several
    whole images, or a divisor of one image's views."""
    if views_per_step >= views_per_image:
        images = views_per_step // views_per_image
        return StepShape(images, images * views_per_image)
    return StepShape(1, max(views for views in range(1, views_per_step + 1)
                            if views_per_image % views == 0))


class Classifier(nn.Cell):
    """uint8 views (N, S, S, 3) -> probabilities float32 (N, classes); the arguments are those of
    ``Evaluator``. The network's parameters keep their names."""

    def __init__(self, network: nn.Cell, mean: Sequence[float], std: Sequence[float]):
        super().__init__(auto_prefix=False)
        self.preprocess = Preprocess(mean, std)
        self.network = network

    def construct(self, views: ms.Tensor, columns: ms.Tensor) -> ms.Tensor:
        """``columns``, int32 (S,), is the order of the pixels in a line: reversed, it mirrors."""
        # A gather takes a tenth of the time of ops.flip on CPU, and one graph serves both orders.
        images = self.preprocess(ops.gather(views, columns, 2))
        return ops.softmax(self.network(images).astype(ms.float32), axis=-1)


class Evaluator:
    """Classifies record sets with one network, compiled at the first run and then kept.

    The parameters stay the network's own, so a trainer may call ``run`` after each epoch and
    finds the network in the mode (training or not) in which it was.

    Args:
        network: float32 (N, 3, S, S) -> logits (N, classes).
        protocol: which crops, and the image size S.
        mean, std: per channel, in 0..255 units, what the network was trained with.
        views_per_step: at most so many crops pass through the network at a time.
        workers: threads that decode; default: one per core.
        curve: also keep the label's rank as crops are added.
        keep_probabilities: also keep the probabilities of all classes.
        device: ``run`` shares the images among its ranks; None: this process takes all.
    """

    def __init__(self, network: nn.Cell, protocol: Protocol, mean: Sequence[float],
                 std: Sequence[float], views_per_step: int = VIEWS_PER_STEP,
                 workers: Optional[int] = None, curve: bool = False,
                 keep_probabilities: bool = False, device: Optional[Device] = None):
        self.network, self.protocol, self.curve = network, protocol, curve
        self.keep_probabilities = keep_probabilities
        self.device = device or Device("CPU", supports_sink=False, rank=0, ranks=1)
        self.step = step_shape(protocol.crops // protocol.mirrors, views_per_step)
        self.classifier = Classifier(network, mean, std)
        self.workers = workers or available_cores()
        columns = np.arange(protocol.image_size, dtype=np.int32)
        orders = [columns, columns[::-1].copy()][:protocol.mirrors]
        self._orders = [ms.Tensor(order) for order in orders]

    def compile(self) -> None:
        """Compile the network for this protocol's steps ahead of ``run``, which otherwise does it
        first."""
        size = self.protocol.image_size
        views = ms.Tensor(np.zeros((self.step.views, size, size, 3), np.uint8))
        with self._not_training():
            self.classifier.compile(views, self._orders[0])

    @contextlib.contextmanager
    def _not_training(self) -> Iterator[None]:
        """Take the network out of training mode, and restore its mode afterwards."""
        was_training = self.network.training
        self.classifier.set_train(False)
        try:
            yield
        finally:
            self.network.set_train(was_training)

    def run(self, records: RecordSet) -> Predictions:
        """Return predictions for every image of ``records``, the same to the bit on every rank
        and on any number of ranks; show a progress bar. All ranks have to call this.

        Raises:
            RequestError: an image that cannot be decoded, outputs that are not numbers, or rows
                that differ from the manifest: missing, repeated or unknown ids. What one rank
                meets is raised on all.
        """
        device = self.device
        share = rows_of_rank(records.images, self.step.images, device.rank, device.ranks)
        arrays, failure = self._empty_arrays(records), ""
        try:
            for part in self.classify(records, [share], keep_bar=False):
                for name, array in part.predictions.arrays.items():
                    arrays[name][part.rows.start:part.rows.stop] = array
        except (RequestError, OSError) as error:
            failure = str(error) or repr(error)
        # A rank that failed comes here, too: the others would wait for it in the sum.
        for text in texts_of_ranks(device, failure):
            if text:
                raise RequestError(text)
        predictions = in_id_order({name: sum_over_ranks(device, array).astype(DTYPES[name])
                                   for name, array in arrays.items()})
        check_rows(records, predictions)
        return predictions

    def _empty_arrays(self, records: RecordSet) -> dict[str, np.ndarray]:
        """Return the arrays of ``Predictions`` for all images, 0 and, to be summed, float32, which
        holds each of their values exactly."""
        best = min(TOP, len(records.class_names))
        columns = {"image_id": (), "label": (), "blacklisted": (), "top5": (best,),
                   "top5_prob": (best,)}
        if self.curve:
            columns["label_rank"] = (len(self.protocol.curve),)
        if self.keep_probabilities:
            columns["probabilities"] = (len(records.class_names),)
        return {name: np.zeros((records.images, *shape), np.float32)
                for name, shape in columns.items()}

    def classify(self, records: RecordSet, parts: Sequence[range], keep_bar: bool = True
                 ) -> Iterator[Part]:
        """Yield the rows at the positions ``parts``, group by group; show a progress bar.

        Where parts start at multiples of ``step.images``, the same rows form a group whatever
        is asked for, and so get the same probabilities to the bit.

        Args:
            keep_bar: whether the finished bar stays to be read.

        Raises:
            RequestError: an image that cannot be decoded, or outputs that are not numbers.
        """
        self.compile()  # ahead, so that the first group's time is that of its images
        with self._not_training(), progress_bar(
                sum(map(len, parts)), f"evaluate ({counted(self.protocol.crops, 'crop')})",
                "images", keep=keep_bar) as bar:
            for part in parts:
                for group in self._classify_rows(records, part):
                    bar.update(len(group.rows))
                    yield group

    def view_probabilities(self, ids: Sequence[object],
                           images: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 (images, crops, classes), in the order of ``views_of``, mirrored after
        plain.

        Args:
            ids: what errors call the images.
            images: at most ``step.images``, each as its views (``cut_views``).

        The network must not be in training mode.

        Raises:
            RequestError: outputs that are not numbers.
        """
        missing = self.step.images - len(images)  # black images fill up the last group
        views = np.concatenate([*images, *[np.zeros_like(images[0])] * missing])
        crops = []
        for first in range(0, len(views), self.step.views):
            step = ms.Tensor(views[first:first + self.step.views])
            orders = [self.classifier(step, order).asnumpy() for order in self._orders]
            crops.append(np.stack(orders, axis=1))  # (views, plain and mirrored, classes)
        probabilities = np.concatenate(crops).reshape(
            self.step.images, self.protocol.crops, -1)[:len(images)]
        check_finite(ids, probabilities)
        return probabilities

    def _classify_rows(self, records: RecordSet, rows: range) -> Iterator[Part]:
        prepared = prepared_rows(records, rows, self.protocol, self.workers,
                                 ahead=self.step.images + self.workers)
        for first in range(rows.start, rows.stop, self.step.images):
            start = time.perf_counter()
            with reading_deadline(f"{records.folder} gave no image", f"from row {first} on"):
                group = list(islice(prepared, self.step.images))
            waiting = time.perf_counter() - start
            predictions = self._predict(*zip(*group))
            yield Part(range(first, first + len(group)), predictions,
                       time.perf_counter() - start, waiting)

    def _predict(self, rows: Sequence[ImageRow], images: Sequence[np.ndarray]) -> Predictions:
        ids, labels = [row.image_id for row in rows], [row.label for row in rows]
        views = self.view_probabilities(ids, images)
        ranks = None
        if self.curve:
            ranks = np.stack([label_ranks(mean_of_views(views, crops), labels)
                              for crops in self.protocol.curve], axis=1)
        return gather_predictions(ids, labels, [row.blacklisted for row in rows],
                                  mean_of_views(views, self.protocol.crops), ranks,
                                  self.keep_probabilities)


def mean_of_views(views: np.ndarray, crops: int) -> np.ndarray:
    """Return the mean of (images, crops, classes) over the first ``crops``, in float32."""
    return views[:, :crops].mean(axis=1, dtype=np.float32)


def check_rows(records: RecordSet, predictions: Predictions) -> None:
    """Raise RequestError unless ids, labels and flags are exactly those that were converted."""
    rows = zip(*(column.tolist() for column in (predictions.image_id, predictions.label,
                                                predictions.blacklisted)))
    if sha256_of_rows(rows) != records.manifest.rows_sha256:
        raise RequestError(f"the {predictions.images:,} rows read from {records.folder} are not "
                           f"the {records.images:,} of its manifest: ids, labels or blacklist "
                           "flags are missing, repeated or changed; see what is damaged with: "
                           f"python -m convert verify {records.folder}")


def check_finite(ids: Sequence[object], probabilities: np.ndarray) -> None:
    """Raise RequestError, which names the images, if probabilities (N, ...) are not numbers."""
    good = np.isfinite(probabilities).reshape(len(ids), -1).all(axis=1)
    if not good.all():
        named = ", ".join(str(ids[position]) for position in np.flatnonzero(~good)[:5])
        raise RequestError(f"the network's outputs are not numbers for image id {named}: the "
                           "checkpoint's weights are unusable, take an earlier one")
