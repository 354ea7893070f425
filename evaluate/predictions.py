"""Predictions: what a network said about each image, as one file that NumPy alone can open.

``predictions.npz`` holds, rows in ``image_id`` order:

- ``image_id`` int32 (N,), from 1, each once;
- ``label`` int32 (N,), the true class, 0-based;
- ``blacklisted`` bool (N,);
- ``top5`` int32 (N, 5), classes, best first (fewer columns with fewer than five classes);
- ``top5_prob`` float32 (N, 5), their probabilities, averaged over the crops.
"""

import zipfile
from dataclasses import dataclass, fields
from typing import Sequence

import numpy as np

from common import RequestError, replaced_file
from common.files import PathLike

TOP = 5
DTYPES = {"image_id": np.int32, "label": np.int32, "blacklisted": np.bool_,
          "top5": np.int32, "top5_prob": np.float32}


@dataclass(frozen=True)
class Predictions:
    """The arrays described above; RequestError where they do not fit together."""

    image_id: np.ndarray
    label: np.ndarray
    blacklisted: np.ndarray
    top5: np.ndarray
    top5_prob: np.ndarray

    def __post_init__(self):
        for name, dtype in DTYPES.items():
            if getattr(self, name).dtype != dtype:
                raise RequestError(f"predictions: {name} is {getattr(self, name).dtype}, "
                                   f"not {np.dtype(dtype)}")
        rows = {name: getattr(self, name).shape[:1] for name in DTYPES}
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


def gather_predictions(image_ids: Sequence[int], labels: Sequence[int],
                       blacklisted: Sequence[bool], probabilities: np.ndarray) -> Predictions:
    """Bring rows of any order into image-id order and keep the five best classes of each.

    Args:
        probabilities: float32 (N, classes); of equal ones the lower class comes first.

    Raises:
        RequestError: a repeated image id.
    """
    order = np.argsort(image_ids, kind="stable")
    probabilities = probabilities[order]
    top5 = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    return Predictions(
        np.asarray(image_ids, np.int32)[order], np.asarray(labels, np.int32)[order],
        np.asarray(blacklisted, np.bool_)[order], top5.astype(np.int32),
        np.take_along_axis(probabilities, top5, axis=1))


def save_predictions(path: PathLike, predictions: Predictions) -> None:
    with replaced_file(path) as file:
        np.savez(file, **{item.name: getattr(predictions, item.name)
                          for item in fields(predictions)})


def load_predictions(path: PathLike) -> Predictions:
    """Read ``predictions.npz``; RequestError for any other file or for arrays that do not fit."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Predictions(**{name: arrays[name] for name in DTYPES})
    except (ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise RequestError(f"'{path}' is not a predictions.npz of this program ({error}); "
                           "evaluate again") from error
