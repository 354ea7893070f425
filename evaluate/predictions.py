"""Predictions: a network's output for each image, as one file that NumPy alone can open, and as
parts of it while the evaluation is unfinished.

``predictions.npz`` holds, rows in ``image_id`` order:

- ``image_id`` int32 (N,), from 1, each once;
- ``label`` int32 (N,), the true class, 0-based;
- ``blacklisted`` bool (N,);
- ``top5`` int32 (N, 5), classes, best first (fewer columns with fewer than five classes);
- ``top5_prob`` float32 (N, 5), their probabilities, averaged over the crops;
- ``label_rank`` uint8 (N, points), only where a curve was asked for: the place of the label among
  the five best (0 to 4; 5 where it is not among them) after the first crops (``Protocol.curve``);
- ``probabilities`` float16 (N, classes), only where they were asked for: those of all classes.

Finished rows of an unfinished evaluation are kept, so that a killed one can resume:

    out/parts/request.json                     what is evaluated, and how
    out/parts/rows-00000000-00004320.npz       predictions of the rows 0 to 4319, in file order
    out/parts/lock                             held by the process that will merge the parts

A part appears whole or not at all. Rows are classified in the same groups in every run, and a
part ends where a group ends: so neither a kill nor the number of ranks changes a bit of the
result. All ranks write into one folder; each row belongs to one of them.
"""

import contextlib
import io
import re
import shutil
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Optional, Sequence

import numpy as np

from common.cli import RequestError
from common.files import PathLike, claim_folder, locked_file, replaced_file

TOP = 5
DTYPES = {"image_id": np.int32, "label": np.int32, "blacklisted": np.bool_,
          "top5": np.int32, "top5_prob": np.float32, "label_rank": np.uint8,
          "probabilities": np.float16}
# What NumPy raises for a file that is no .npz, is torn, or has other arrays.
UNREADABLE = (ValueError, TypeError, KeyError, EOFError, AttributeError, zipfile.BadZipFile)

PARTS = "parts"  # in the result folder, until the evaluation is finished
REQUEST = "request.json"  # in it: what decides their bits
SECONDS_PER_PART = 60  # a killed run loses no more than this
POLL_SECONDS = 1  # between checks of what other ranks have finished
_PART_NAME = re.compile(r"rows-(\d{8})-(\d{8})\.npz")


@dataclass(frozen=True)
class Predictions:
    """The arrays described above; those that do not fit together raise RequestError."""

    image_id: np.ndarray
    label: np.ndarray
    blacklisted: np.ndarray
    top5: np.ndarray
    top5_prob: np.ndarray
    label_rank: Optional[np.ndarray] = None
    probabilities: Optional[np.ndarray] = None

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
        """Return the arrays by name, without those that were not asked for."""
        return {name: getattr(self, name) for name in DTYPES if getattr(self, name) is not None}


@dataclass(frozen=True)
class Part:
    """Predictions of the rows of a record set at ``rows``, positions in file order.

    ``seconds`` is how long they took, ``waiting`` how much of that passed without data.
    """

    rows: range
    predictions: Predictions
    seconds: float
    waiting: float


def gather_predictions(image_ids: Sequence[int], labels: Sequence[int],
                       blacklisted: Sequence[bool], probabilities: np.ndarray,
                       label_rank: Optional[np.ndarray] = None,
                       keep_probabilities: bool = False) -> Predictions:
    """Bring rows of any order into image-id order and keep the five best classes of each.

    Args:
        probabilities: float32 (N, classes).
        label_rank: uint8 (N, points), see above.

    Raises:
        RequestError: a repeated image id.
    """
    top5 = best_classes(probabilities)
    arrays = {"image_id": np.asarray(image_ids, np.int32), "label": np.asarray(labels, np.int32),
              "blacklisted": np.asarray(blacklisted, np.bool_), "top5": top5,
              "top5_prob": np.take_along_axis(probabilities, top5, axis=1)}
    if label_rank is not None:
        arrays["label_rank"] = label_rank
    if keep_probabilities:
        arrays["probabilities"] = probabilities.astype(np.float16)
    return in_id_order(arrays)


def in_id_order(arrays: dict[str, np.ndarray]) -> Predictions:
    order = np.argsort(arrays["image_id"], kind="stable")
    return Predictions(**{name: array[order] for name, array in arrays.items()})


def best_classes(probabilities: np.ndarray) -> np.ndarray:
    """Return int32 (N, 5) of (N, classes), best first; of equal ones the lower class is first."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP].astype(np.int32)


def label_ranks(probabilities: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Return the place of each label among the five best classes, 5 for none: uint8 (N,)."""
    hits = best_classes(probabilities) == np.asarray(labels)[:, None]
    return np.where(hits.any(axis=1), hits.argmax(axis=1), TOP).astype(np.uint8)


def join_parts(parts: Sequence[Part]) -> Part:
    """Return neighbouring parts, given in order, as one.

    Raises:
        RequestError: an image id is in two of them.
    """
    arrays = [part.predictions.arrays for part in parts]
    joined = {name: np.concatenate([each[name] for each in arrays]) for name in arrays[0]}
    return Part(range(parts[0].rows.start, parts[-1].rows.stop), in_id_order(joined),
                sum(part.seconds for part in parts), sum(part.waiting for part in parts))


def save_predictions(path: PathLike, predictions: Predictions) -> None:
    _write_npz(path, predictions.arrays)


def _write_npz(path: PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    content = io.BytesIO()  # a zip archive that a full disk cuts short prints a traceback
    np.savez(content, **arrays)
    with replaced_file(path) as file:
        file.write(content.getbuffer())


def load_predictions(path: PathLike) -> Predictions:
    """Read ``predictions.npz``; any other file, or arrays that do not fit, raise RequestError."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Predictions(**{name: arrays[name] for name in DTYPES if name in arrays})
    except UNREADABLE as error:
        raise RequestError(f"'{path}' is not a predictions.npz of this program ({error}); "
                           "evaluate again") from error


@contextlib.contextmanager
def opened_parts(out: Path, request: dict[str, Any], alone: bool) -> Iterator[Path]:
    """Give the folder of the parts of ``request``, for as long as this process works on them.

    Args:
        alone: whether this process is the one that will merge; a second one is refused.

    Raises:
        RequestError: the folder has parts of another request, or another process is working there.
    """
    folder = out / PARTS
    folder.mkdir(parents=True, exist_ok=True)
    refusal = f"{out}: another evaluation is writing there; wait for it or give another --out"
    with locked_file(folder / "lock", refusal) if alone else contextlib.nullcontext():
        claim_folder(folder / REQUEST, request,
                     f"{folder} holds parts of another evaluation",
                     f"ask for the same, give another --out, or remove {folder} to start over")
        yield folder


def saved_rows(folder: Path) -> list[range]:
    """Return the rows of the parts in the folder, in order."""
    found = (_PART_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted((range(int(match[1]), int(match[2])) for match in found if match),
                  key=lambda rows: rows.start)


def missing_rows(saved: Sequence[range], wanted: range) -> list[range]:
    """Return the ranges of ``wanted`` that are in none of ``saved``."""
    missing = np.setdiff1d(wanted, [row for rows in saved for row in rows])
    neighbours = np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1)
    return [range(int(rows[0]), int(rows[-1]) + 1) for rows in neighbours if rows.size]


def rows_of_rank(images: int, group: int, rank: int, ranks: int) -> range:
    """Return the rows of one rank: whole groups of ``group`` rows, shared as evenly as possible.

    MindDataset's own sharding repeats rows until all ranks have equally many; here each row is
    in exactly one range.
    """
    groups = -(-images // group)
    first, last = groups * rank // ranks, groups * (rank + 1) // ranks
    return range(min(first * group, images), min(last * group, images))


def write_parts(folder: Path, groups: Iterable[Part]) -> None:
    """Write groups as they come, neighbours together as one part every ``SECONDS_PER_PART``.

    What was finished before an exception or a signal is written, too.
    """
    unwritten: list[Part] = []
    since = time.monotonic()
    try:
        for group in groups:
            if unwritten and unwritten[-1].rows.stop != group.rows.start:
                _write_part(folder, unwritten)
                unwritten = []
            unwritten.append(group)
            if time.monotonic() - since >= SECONDS_PER_PART:
                _write_part(folder, unwritten)
                unwritten, since = [], time.monotonic()
    finally:
        if unwritten:
            _write_part(folder, unwritten)


def _write_part(folder: Path, groups: Sequence[Part]) -> None:
    part = join_parts(groups)
    _write_npz(_part_path(folder, part.rows),
               {"times": np.array([part.seconds, part.waiting]), **part.predictions.arrays})


def _part_path(folder: Path, rows: range) -> Path:
    return folder / f"rows-{rows.start:08d}-{rows.stop:08d}.npz"


def read_parts(folder: Path, images: int) -> Part:
    """Return the parts of all ranks as one, when they exist. A launcher ends all ranks when one
    fails.

    Raises:
        RequestError: a part is damaged, or a row or image id is in two parts.
    """
    if missing_rows(saved_rows(folder), range(images)):
        print("waiting for the parts of the other ranks", flush=True)
    while missing_rows(saved_rows(folder), range(images)):
        time.sleep(POLL_SECONDS)
    saved = saved_rows(folder)
    stored = sum(map(len, saved))
    if stored != images:
        raise RequestError(f"the parts in {folder} hold {stored:,} rows instead of {images:,}, "
                           "each once; remove that folder and evaluate again")
    return join_parts([_read_part(folder, rows) for rows in saved])


def _read_part(folder: Path, rows: range) -> Part:
    path = _part_path(folder, rows)
    predictions = load_predictions(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            seconds, waiting = arrays["times"].tolist()
    except UNREADABLE as error:
        raise RequestError(f"'{path}' is damaged ({error}); remove it and start again") from error
    if predictions.images != len(rows):
        raise RequestError(f"'{path}' holds {predictions.images} rows; remove it and start again")
    return Part(rows, predictions, seconds, waiting)


def remove_parts(folder: Path) -> None:
    """Remove what is no longer needed once the result is written; the request goes last."""
    for rows in folder.glob("rows-*"):
        rows.unlink()
    shutil.rmtree(folder)
