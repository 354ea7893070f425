"""What ``python -m evaluate rescore`` does: scores from stored predictions alone, against other
labels, on some of the images or among some of the classes; and ``rescored-NAME.json``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Mapping, Optional

import numpy as np

from blacklist.ids import read_image_ids
from common.cli import RequestError, typed_command
from common.files import describe_difference, read_bytes, read_json, sha256_of_file, write_json
from common.forms import check_kinds
from common.json_text import parse_json
from common.text import counted
from convert.sources.label_lists import read_class_names
from evaluate.predictions import TOP, Predictions
from evaluate.request import RescoreRequest
from evaluate.result_page import accuracy_table
from evaluate.results import PREDICTIONS_NAME, Result, Score, load_result, score_hits, sets_of

RESCORED_NAMES = "rescored-*.json"


@dataclass(frozen=True)
class RescoredResult:
    """The content of ``rescored-NAME.json``.

    Attributes:
        files: path and sha256 of the files of --real, --ids and --classes that were given.
        without: whether the images of --ids were left out, instead of all others.
        left_out: images of the predictions that were not scored.
        predictions_sha256: of the ``predictions.npz`` that was scored.
        sets: the scores of "full", all images that were scored, and, where some of these are
            blacklisted, of "filtered", the others.
        argv: the command as it was typed.
    """

    name: str
    files: dict[str, dict[str, str]]
    without: bool
    left_out: int
    predictions_sha256: str
    sets: dict[str, Score]
    argv: list[str]

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "RescoredResult":
        """Return the scores; TypeError or KeyError if the values are something else."""
        sets = {name: Score(**score) for name, score in values["sets"].items()}
        rescored = RescoredResult(**{**values, "sets": sets})
        check_kinds(rescored)
        return rescored


def rescore_result(request: RescoreRequest) -> str:
    """Write ``rescored-NAME.json`` into the result folder; return the scores for the terminal.

    Raises:
        RequestError: a file is damaged or does not fit the predictions, or no image is left.
    """
    result, predictions = load_result(request.result)
    classes = result.classes
    chosen = np.ones(predictions.images, bool)
    if request.ids:
        chosen = _rows_of_ids(request.ids, predictions) != request.without
    if request.real:
        hits, judged = _hits_of_real(request.real, predictions, result.classes)
        chosen &= judged
    elif request.classes:
        labels = _labels_to_choose_from(request.classes, predictions, result, request.result)
        hits, judged = _hits_among_classes(labels, predictions)
        chosen &= judged
        classes = len(labels)
    else:
        hits = predictions.top5 == predictions.label[:, None]
    if not chosen.any():
        raise RequestError(f"{request.result}: no image is left to score by {request.name}; check "
                           "that the files belong to these images")
    rows = {name: chosen & in_set for name, in_set in sets_of(predictions).items()}
    rescored = RescoredResult(
        request.name, _named_files(request), request.without, int((~chosen).sum()),
        sha256_of_file(request.result / PREDICTIONS_NAME),
        {name: score_hits(hits[of_set]) for name, of_set in _distinct(rows).items()},
        typed_command())
    return f"{_write(request.result, rescored)}\n\n{_describe(rescored, classes)}"


def _distinct(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the sets without a filtered one that is empty or the same as the full one."""
    return {name: of_set for name, of_set in rows.items()
            if name == "full" or 0 < of_set.sum() < rows["full"].sum()}


def _rows_of_ids(path: Path, predictions: Predictions) -> np.ndarray:
    """Return which images the file lists: bool (N,)."""
    ids = read_image_ids(path, int(predictions.image_id[-1]))
    unknown = sorted(ids.difference(predictions.image_id.tolist()))
    if unknown:
        raise RequestError(f"{path} lists image id {unknown[0]}, which is not in the predictions "
                           f"({len(unknown):,} such ids): it belongs to another set of images")
    return np.isin(predictions.image_id, np.fromiter(ids, np.int32))


def _hits_of_real(path: Path, predictions: Predictions, classes: int
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the best classes are right by ReaL's labels (L. Beyer and others, arXiv
    2006.07159), bool (N, <= 5), and which images have such labels, bool (N,)."""
    labels = _read_real(path, classes)
    images = int(predictions.image_id[-1])
    if len(labels) != images:
        raise RequestError(f"{path} has labels of {len(labels):,} images, but the predictions are "
                           f"of the images 1 to {images:,}: it belongs to other images")
    of_rows = [labels[image_id - 1] for image_id in predictions.image_id]
    hits = np.array([[label in right for label in best]
                     for right, best in zip(of_rows, predictions.top5.tolist())])
    return hits, np.array([bool(right) for right in of_rows])


def _read_real(path: Path, classes: int) -> list[list[int]]:
    try:
        labels = parse_json(read_bytes(path))
    except ValueError as error:
        raise RequestError(f"{path} is damaged ({error}); get it again") from None
    if not isinstance(labels, list):
        raise RequestError(f"{path} does not hold a list; give ReaL's real.json")
    for number, of_image in enumerate(labels, start=1):
        if not isinstance(of_image, list):
            raise RequestError(f"{path}: {of_image!r} of image {number} is not a list of labels; "
                               "give ReaL's real.json")
        for label in of_image:
            if type(label) is not int or not 0 <= label < classes:
                raise RequestError(f"{path}: label {label!r} of image {number} is not one of the "
                                   f"{classes:,} classes of the checkpoint, 0 to {classes - 1}")
    return labels


def _labels_to_choose_from(path: Path, predictions: Predictions, result: Result, folder: Path
                           ) -> np.ndarray:
    """Return the labels of the classes that the file lists, ascending; RequestError where the
    folder has no probabilities of all classes."""
    if predictions.probabilities is None or result.class_names is None:
        raise RequestError(f"{folder} does not hold what --classes needs, the probabilities of all "
                           "classes and their names: evaluate again with --keep-probabilities")
    columns = predictions.probabilities.shape[1:]
    if columns != (len(result.class_names),) or predictions.top5.max() >= columns[0]:
        raise RequestError(f"{folder}: its predictions are not of the {len(result.class_names):,} "
                           "classes that its result names; evaluate again")
    return _labels_of_names(path, result.class_names)


def _hits_among_classes(labels: np.ndarray, predictions: Predictions
                        ) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the five best of the classes ``labels`` are right, bool (N, <= 5), and which
    images are of these classes, bool (N,)."""
    assert predictions.probabilities is not None, "checked with the labels"
    scores = predictions.probabilities.astype(np.float32)
    # The stored ones are rounded. The order of the five best is known from before: numbers above
    # every probability keep it.
    best_first = np.arange(predictions.top5.shape[1], 0, -1, dtype=np.float32) + 1
    np.put_along_axis(scores, predictions.top5, best_first[None], axis=1)
    order = np.argsort(-scores[:, labels], axis=1, kind="stable")[:, :TOP]
    hits = labels[order] == predictions.label[:, None]
    return hits, np.isin(predictions.label, labels)


def _labels_of_names(path: Path, class_names: list[str]) -> np.ndarray:
    """Return the labels of the classes that the file lists, ascending."""
    positions = {name: label for label, name in enumerate(class_names)}
    names = read_class_names(path, with_spaces=True)
    for name in names:
        if name not in positions:
            raise RequestError(f"{path}: '{name[:80]}' is not one of the {len(class_names):,} "
                               f"classes of the result (the first is '{class_names[0]}'); give "
                               "names of its classes")
    return np.array(sorted({positions[name] for name in names}))


def _named_files(request: RescoreRequest) -> dict[str, dict[str, str]]:
    given: dict[str, Optional[Path]] = {
        "real": request.real, "ids": request.ids, "classes": request.classes}
    return {option: {"path": str(path), "sha256": sha256_of_file(path)}
            for option, path in given.items() if path}


def _write(folder: Path, rescored: RescoredResult) -> Path:
    """Write the scores, unless other files of the same names gave those that exist."""
    path = folder / RESCORED_NAMES.replace("*", rescored.name)
    if path.exists():
        difference = describe_difference(_made_by(read_rescored(path)), _made_by(rescored))
        if difference:
            raise RequestError(f"{path} was made by other files ({difference}); rename yours or "
                               "remove it")
    write_json(path, asdict(rescored))
    return path


def _made_by(rescored: RescoredResult) -> dict[str, Any]:
    return {"without": rescored.without,
            **{option: file["sha256"] for option, file in rescored.files.items()}}


def read_rescored(path: Path) -> RescoredResult:
    """Return the scores that a ``rescored-NAME.json`` holds.

    Raises:
        RequestError: the file is damaged or something else.
    """
    try:
        return RescoredResult.from_json(read_json(path, "remove it"))
    except (TypeError, KeyError, AttributeError) as error:
        raise RequestError(f"{path} was not written by rescore ({error}); remove it") from None


def _describe(rescored: RescoredResult, classes: int) -> str:
    return "\n".join([accuracy_table(rescored.sets, classes), "",
                      f"Left out: {counted(rescored.left_out, 'image')}. Errors in percent with "
                      "their 95 % confidence intervals (Wilson)."])
