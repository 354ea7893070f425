"""Accuracy from predictions alone, and ``result.json``: what an evaluation was of and what came
out, as the commands and the report use it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import numpy as np

from common.cli import RequestError
from common.files import PathLike, read_json
from common.forms import check_kinds, known_fields
from evaluate.predictions import TOP, Predictions, load_predictions
from evaluate.protocols import KEEP

PREDICTIONS_NAME, JSON_NAME, PAGE_NAME = "predictions.npz", "result.json", "result.md"
CLASSES_NAME, ROWS_NAME = "classes.csv", "result.csv"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Score:
    """Errors and the ends of their 95 % confidence intervals in percent."""

    images: int
    top1_correct: int
    top5_correct: int
    top1_error: float
    top5_error: float
    top1_ci95: list[float]
    top5_ci95: list[float]


@dataclass(frozen=True)
class CurveErrors:
    """Errors of one set in percent, one per point of the curve."""

    top1_error: list[float]
    top5_error: list[float]


@dataclass(frozen=True)
class Curve:
    """How the errors change as crops are added: the first ``crops[i]`` crops give point i."""

    crops: list[int]
    sets: dict[str, CurveErrors]


@dataclass(frozen=True)
class EvaluationSpeed:
    """How fast the images were classified, without compiling and starting.

    Attributes:
        seconds_of_all_ranks: the sum over the ranks; None in old files.
        waiting_for_data: share of that time, 0 to 1.
    """

    ranks: int
    images_per_second_per_rank: float
    waiting_for_data: float
    seconds_of_all_ranks: Optional[float] = None


@dataclass(frozen=True)
class Result:
    """The content of ``result.json``. Attributes with a default may be missing in old files.

    Attributes:
        image_size: side of the crops in pixels.
        scales: shorter sides of the resized images in pixels.
        mean, std: per channel, in 0..255 units, what the network was trained with.
        has_blacklist: whether the records or the command brought a blacklist.
        is_ilsvrc: whether the images are the ILSVRC2012 validation set, by their digests.
        blacklist_is_ilsvrc: whether the list is the one of ILSVRC2012, by its digest.
        sets: the scores of "full" and, where images are blacklisted, "filtered".
        precision: as it was asked for; arithmetic: what the device was made to do for it.
        versions: of Python and the libraries that computed the result, by name.
        class_names: of the network, in label order; their digest where --class-names gave them.
        class_words: what people call them, in label order, "" where the name says it; None where
            that is so for all.
        has_ilsvrc_names: see ``Manifest.has_ilsvrc_names``.
        param_count: trainable parameters of the network.
        interpolation, single_crop: see ``Protocol``.
        weights: of the checkpoint: "ema", averaged, or "raw".
        argv: the command as it was typed.
        made: date, commit and host, see ``origin``.
    """

    crops: int
    image_size: int
    scales: list[int]
    checkpoint: str
    checkpoint_sha256: str
    records: str
    records_sha256: str
    classes: int
    has_blacklist: bool
    sets: dict[str, Score]
    split: str = ""
    curve_crops: Optional[list[int]] = None
    mean: Optional[list[float]] = None
    std: Optional[list[float]] = None
    blacklist_sha256: Optional[str] = None
    is_ilsvrc: bool = False
    blacklist_is_ilsvrc: bool = False
    device: str = ""
    precision: str = "float32"
    arithmetic: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    argv: Optional[list[str]] = None
    speed: Optional[EvaluationSpeed] = None
    curve: Optional[Curve] = None
    class_names: Optional[list[str]] = None
    class_names_sha256: Optional[str] = None
    param_count: Optional[int] = None
    interpolation: str = "bicubic"
    single_crop: str = KEEP
    weights: str = "raw"
    class_words: Optional[list[str]] = None
    has_ilsvrc_names: bool = False
    made: dict[str, str] = field(default_factory=dict)

    @property
    def may_be_filtered(self) -> bool:
        """Return whether the images are, or are named like, those that ILSVRC's blacklist is of, or
        have a blacklist of their own; of other images the full set is all there is."""
        return self.has_ilsvrc_names or self.is_ilsvrc or self.has_blacklist

    @property
    def identity(self) -> dict[str, Any]:
        """Return what two results must have in common to be the same evaluation."""
        return {name: getattr(self, name) for name in (
            "crops", "image_size", "scales", "checkpoint_sha256", "mean", "std", "records_sha256",
            "blacklist_sha256", "precision", "interpolation", "single_crop",
            "class_names_sha256", "weights")}

    def to_json(self) -> dict[str, Any]:
        """Return the values by key; there is no key for a curve that was not asked for."""
        values = asdict(self)
        if self.curve is None:
            del values["curve"]
        else:  # in the file, the sets are keys next to "crops"
            values["curve"].update(values["curve"].pop("sets"))
        return values

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Result":
        """Return the result; keys of other versions are passed over.

        Raises:
            TypeError, KeyError: the values are not those of a result.
        """
        known = known_fields(Result, values)
        known["sets"] = {name: Score(**score) for name, score in values["sets"].items()}
        if known.get("speed"):
            known["speed"] = EvaluationSpeed(**known["speed"])
        if known.get("curve"):
            errors = dict(known["curve"])
            crops = errors.pop("crops")
            known["curve"] = Curve(crops, {name: CurveErrors(**of_set)
                                           for name, of_set in errors.items()})
        result = Result(**known)
        check_kinds(result)
        return result


def read_result(path: Path) -> Result:
    """Return the result that a ``result.json`` holds.

    Raises:
        RequestError: the file is damaged or something else.
    """
    values = read_json(path, "remove it")
    try:
        return Result.from_json(values)
    except (TypeError, KeyError, AttributeError) as error:
        raise RequestError(f"{path} is not the result of an evaluation ({error}); choose another "
                           "folder") from None


def load_result(folder: PathLike) -> tuple[Result, Predictions]:
    """Return what a finished evaluation wrote into ``folder``.

    Raises:
        RequestError: a file is missing, damaged or something else.
    """
    folder = Path(folder)
    for name in (JSON_NAME, PREDICTIONS_NAME):
        if not (folder / name).exists():
            raise RequestError(f"{folder} is not the result of an evaluation: it has no {name}")
    return read_result(folder / JSON_NAME), load_predictions(folder / PREDICTIONS_NAME)


def tops_of(classes: int) -> tuple[str, ...]:
    """Return which errors say something of so many classes: "top1" and, unless the five best are
    all classes, "top5"."""
    return ("top1", "top5") if classes > TOP else ("top1",)


def sets_of(predictions: Predictions) -> dict[str, np.ndarray]:
    """Return which rows, bool (N,), are in each set.

    "full" has all rows, "filtered" those that are not blacklisted; without a blacklisted row there
    is no "filtered".
    """
    sets = {"full": np.ones(predictions.images, bool)}
    if predictions.blacklisted.any():
        sets["filtered"] = ~predictions.blacklisted
    return sets


def score(predictions: Predictions) -> dict[str, Score]:
    """Return the score of each set.

    With five classes or fewer the five best are all classes, and the top-5 error is 0.

    Raises:
        RequestError: every image is blacklisted.
    """
    hits = predictions.top5 == predictions.label[:, None]  # (images, <= 5)
    return {name: score_hits(hits[chosen]) for name, chosen in sets_of(predictions).items()}


def score_hits(hits: np.ndarray) -> Score:
    """Return the score of images by which of their five best, bool (N, <= 5), is the label."""
    images = len(hits)
    if not images:
        raise RequestError("no image is left to score: every one is blacklisted")
    right1, right5 = int(hits[:, 0].sum()), int(hits.any(axis=1).sum())
    wrong1, wrong5 = images - right1, images - right5
    return Score(images, right1, right5, 100.0 * wrong1 / images, 100.0 * wrong5 / images,
                 wilson_interval(wrong1, images), wilson_interval(wrong5, images))


def score_curve(predictions: Predictions, crops: Sequence[int]) -> Curve:
    """Return the errors of each set after the first ``crops`` (``Protocol.curve``), from
    ``label_rank``, which the predictions must have."""
    assert predictions.label_rank is not None, "the predictions were made without a curve"
    errors = {}
    for name, chosen in sets_of(predictions).items():
        ranks = predictions.label_rank[chosen]  # (images, points)
        wrong1, wrong5 = (ranks != 0).sum(axis=0), (ranks == TOP).sum(axis=0)
        errors[name] = CurveErrors((100.0 * wrong1 / len(ranks)).tolist(),
                                   (100.0 * wrong5 / len(ranks)).tolist())
    return Curve(list(crops), errors)


def wilson_interval(events: int, trials: int) -> list[float]:
    """Return the 95 % interval of a share in percent (E. B. Wilson, JASA 22, 1927).

    It stays within 0 and 100 and is wider than 0 even where no or every trial is an event.
    """
    from scipy.stats import binomtest  # not above: it takes longer than a command's --help may
    interval = binomtest(events, trials).proportion_ci(CONFIDENCE, "wilson")
    return [100 * float(end) for end in interval]
