"""Errors per class, confused pairs and the most confident mistakes, from predictions alone."""

from dataclasses import dataclass

import numpy as np

from evaluate.predictions import Predictions


@dataclass(frozen=True)
class ClassError:
    """A class's images, and how many of them are wrong in the first and in all five places."""

    label: int
    images: int
    wrong1: int
    wrong5: int

    @property
    def top1_error(self) -> float:
        return 100.0 * self.wrong1 / self.images

    @property
    def top5_error(self) -> float:
        return 100.0 * self.wrong5 / self.images


def class_errors(predictions: Predictions) -> list[ClassError]:
    """Return the error of each class that has an image, the worst first; of equal ones the lower
    label."""
    hits = predictions.top5 == predictions.label[:, None]
    classes = int(predictions.label.max()) + 1
    images, wrong1, wrong5 = (
        np.bincount(predictions.label, weights=weights, minlength=classes).astype(int)
        for weights in (None, ~hits[:, 0], ~hits.any(axis=1)))
    errors = [ClassError(label, int(images[label]), int(wrong1[label]), int(wrong5[label]))
              for label in range(classes) if images[label]]
    return sorted(errors, key=lambda error: (-error.top1_error, -error.top5_error, error.label))


@dataclass(frozen=True)
class Confusion:
    """``images`` of class ``label`` were predicted to be of class ``predicted``."""

    label: int
    predicted: int
    images: int
    of: int  # images of the class

    @property
    def share(self) -> float:
        return 100.0 * self.images / self.of


def confusions(predictions: Predictions, most: int) -> list[Confusion]:
    """Return the ``most`` frequent pairs of a true class and a wrong one."""
    predicted = predictions.top5[:, 0]
    wrong = predicted != predictions.label
    pairs, counts = np.unique(np.stack([predictions.label[wrong], predicted[wrong]], axis=1),
                              axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    images = np.bincount(predictions.label)
    return [Confusion(int(pairs[place, 0]), int(pairs[place, 1]), int(counts[place]),
                      int(images[pairs[place, 0]])) for place in order]


def confident_mistakes(predictions: Predictions, most: int) -> np.ndarray:
    """Return the rows of the ``most`` wrong images with the highest predicted probability, highest
    first."""
    wrong = np.flatnonzero(predictions.top5[:, 0] != predictions.label)
    order = np.argsort(-predictions.top5_prob[wrong, 0], kind="stable")
    return wrong[order[:most]]
