"""Predictions: a network's output for each image, as one file that NumPy alone can open.

``predictions.npz`` holds, rows in ``image_id`` order:

- ``image_id`` int32 (N,), from 1, each once;
- ``label`` int32 (N,), the true class, 0-based;
- ``blacklisted`` bool (N,);
- ``top5`` int32 (N, 5), classes, best first (fewer columns with fewer than five classes);
- ``top5_prob`` float32 (N, 5), their probabilities, averaged over the crops;
- ``label_rank`` uint8 (N, points), only where a curve was asked for: the place of the label among
  the five best (0 to 4; 5 where it is not among them) after the first crops (``Protocol.curve``).
"""

import zipfile
from dataclasses import dataclass
from typing import Optional, Sequence

import numpy as np

from common.cli import RequestError
from common.files import PathLike, replaced_file

TOP = 5
DTYPES = {"image_id": np.int32, "label": np.int32, "blacklisted": np.bool_,
          "top5": np.int32, "top5_prob": np.float32, "label_rank": np.uint8}
OPTIONAL = "label_rank"


@dataclass(frozen=True)
class Predictions:
    """The arrays described above; RequestError where they do not fit together."""

    image_id: np.ndarray
    label: np.ndarray
    blacklisted: np.ndarray
    top5: np.ndarray
    top5_prob: np.ndarray
    label_rank: Optional[np.ndarray] = None

    def __post_init__(self):
        arrays = self.arrays
        for name, array in arrays.items():
            if array.dtype != DTYPES[name]:
                raise RequestError(f"predictions: {name} is {array.dtype}, "
                                   f"not {np.dtype(DTYPES[name])}")
        rows = {name: array.shape[:1] for name, array in arrays.items()}
        if len(set(rows.values())) != 1 or self.top5.shape != self.top5_prob.shape:
            raise RequestError(f"predictions: the arrays have different lengths, {rows}")
        steps = np.diff(self.image_id)
        if (steps <= 0).any():
            where = int(np.argmax(steps <= 0)) + 1
            raise RequestError(f"predictions: image id {self.image_id[where]} is repeated or "
                               "out of order")

    @property
    def images(self) -> int:
        return len(self.image_id)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name; without ``label_rank`` where there is none."""
        return {name: getattr(self, name) for name in DTYPES if getattr(self, name) is not None}


def gather_predictions(image_ids: Sequence[int], labels: Sequence[int],
                       blacklisted: Sequence[bool], probabilities: np.ndarray,
                       label_rank: Optional[np.ndarray] = None) -> Predictions:
    """Bring rows of any order into image-id order and keep the five best classes of each.

    Args:
        probabilities: float32 (N, classes); of equal ones the lower class comes first.
        label_rank: uint8 (N, points), see above.

    Raises:
        RequestError: a repeated image id.
    """
    top5 = best_classes(probabilities)
    return _in_id_order({
        "image_id": np.asarray(image_ids, np.int32), "label": np.asarray(labels, np.int32),
        "blacklisted": np.asarray(blacklisted, np.bool_), "top5": top5,
        "top5_prob": np.take_along_axis(probabilities, top5, axis=1),
        **({} if label_rank is None else {OPTIONAL: label_rank})})


def best_classes(probabilities: np.ndarray) -> np.ndarray:
    """Return int32 (N, 5) of (N, classes), best first; of equal ones the lower class is first."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP].astype(np.int32)


def label_ranks(probabilities: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Return the place of each label among the five best classes, 5 for none: uint8 (N,)."""
    hits = best_classes(probabilities) == np.asarray(labels)[:, None]
    return np.where(hits.any(axis=1), hits.argmax(axis=1), TOP).astype(np.uint8)


def merge_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Return the rows of all parts, which have the same arrays.

    Raises:
        RequestError: an image id is in two of them.
    """
    return _in_id_order({name: np.concatenate([part.arrays[name] for part in parts])
                         for name in parts[0].arrays})


@dataclass(frozen=True)
class Part:
    """Predictions of the rows of a record set at ``rows``, positions in file order.

    ``seconds`` is how long they took, ``waiting`` how much of that passed without data.
    """

    rows: range
    predictions: Predictions
    seconds: float
    waiting: float


def join_parts(parts: Sequence[Part]) -> Part:
    """Return neighbouring parts, given in order, as one; raise as ``merge_predictions`` does."""
    return Part(range(parts[0].rows.start, parts[-1].rows.stop),
                merge_predictions([part.predictions for part in parts]),
                sum(part.seconds for part in parts), sum(part.waiting for part in parts))


def _in_id_order(arrays: dict[str, np.ndarray]) -> Predictions:
    order = np.argsort(arrays["image_id"], kind="stable")
    return Predictions(**{name: array[order] for name, array in arrays.items()})


def save_predictions(path: PathLike, predictions: Predictions) -> None:
    with replaced_file(path) as file:
        np.savez(file, **predictions.arrays)


def load_predictions(path: PathLike) -> Predictions:
    """Read ``predictions.npz``; RequestError for any other file or for arrays that do not fit."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Predictions(**{name: arrays[name] for name in DTYPES
                                  if name in arrays or name != OPTIONAL})
    except (ValueError, TypeError, KeyError, EOFError, AttributeError,
            zipfile.BadZipFile) as error:
        raise RequestError(f"'{path}' is not a predictions.npz of this program ({error}); "
                           "evaluate again") from error
