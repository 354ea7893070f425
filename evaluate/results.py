"""``result.json``: what an evaluation was of and what came out, as the commands and the report use
it; and the claim that one result folder belongs to one evaluation."""

import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Mapping, Optional

from common.cli import RequestError
from common.files import describe_difference, read_json
from evaluate.scores import Curve, CurveErrors, Score

PREDICTIONS_NAME, JSON_NAME, PAGE_NAME = "predictions.npz", "result.json", "result.md"


@dataclass(frozen=True)
class EvaluationSpeed:
    """What the images took, without compiling and starting.

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
        records: folder of the record set.
        classes: number of classes.
        has_blacklist: whether the records or the command brought a blacklist.
        is_ilsvrc: whether the images are the ILSVRC2012 validation set, by their digests.
        blacklist_is_ilsvrc: whether the list is the one of ILSVRC2012, by its digest.
        sets: the scores of "full" and, where images are blacklisted, "filtered".
        versions: of Python and the libraries that computed the result, by name.
        argv: the command as it was typed.
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
    versions: dict[str, str] = field(default_factory=dict)
    argv: Optional[list[str]] = None
    speed: Optional[EvaluationSpeed] = None
    curve: Optional[Curve] = None

    @property
    def identity(self) -> dict[str, Any]:
        """Return what two results must have in common to be the same evaluation."""
        return {name: getattr(self, name) for name in (
            "crops", "image_size", "scales", "checkpoint_sha256", "mean", "std", "records_sha256",
            "blacklist_sha256")}

    def to_json(self) -> dict[str, Any]:
        """Return the values by key; there is no key for a curve that was not asked for."""
        values = asdict(self)
        if self.curve is None:
            del values["curve"]
        elif self.curve.filtered is None:
            del values["curve"]["filtered"]
        return values

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Result":
        """Return the result; keys of other versions are passed over.

        Raises:
            TypeError, KeyError: the values are not those of a result.
        """
        known = {item.name: values[item.name] for item in fields(Result) if item.name in values}
        known["sets"] = {name: _score(score) for name, score in values["sets"].items()}
        if known.get("speed"):
            known["speed"] = EvaluationSpeed(**known["speed"])
        if known.get("curve"):
            errors = {name: CurveErrors(**known["curve"][name])
                      for name in ("full", "filtered") if name in known["curve"]}
            known["curve"] = Curve(known["curve"]["crops"], **errors)
        return Result(**known)


def _score(values: Mapping[str, Any]) -> Score:
    intervals = {name: tuple(values[name]) for name in ("top1_ci95", "top5_ci95")}
    return Score(**{**values, **intervals})


def read_result(path: Path) -> Result:
    """Return the result that a ``result.json`` holds.

    Raises:
        RequestError: the file is damaged or something else.
    """
    values = read_json(path, "remove it")
    try:
        return Result.from_json(values)
    except (TypeError, KeyError, AttributeError):
        raise RequestError(f"{path} is not the result of an evaluation; choose another "
                           "folder") from None


def claim_result_folder(folder: Path, planned: Result) -> None:
    """Create ``folder``, unless it exists and may be written again for ``planned``.

    Raises:
        RequestError: the folder cannot be written or holds the result of another evaluation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise RequestError(f"{folder} cannot be written; choose another --out")
    path = folder / JSON_NAME
    if not path.exists():
        return
    difference = describe_difference(read_result(path).identity, planned.identity)
    if difference:
        raise RequestError(f"{path} is the result of another evaluation ({difference}); choose "
                           "another --out or remove that folder")
