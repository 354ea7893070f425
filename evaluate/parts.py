"""An unfinished evaluation: its finished rows on the disk, so that a killed one can resume.

    out/parts/request.json                     what is evaluated, and how
    out/parts/rows-00000000-00004320.npz       predictions of the rows 0 to 4319, in file order
    out/parts/lock                             held by the process that will merge the parts

A part appears whole or not at all. Rows are classified in the same groups in every run, and a
part ends where a group ends: so neither a kill nor the number of ranks changes a bit of the
result. All ranks write into one folder; each row belongs to one of them.
"""

import contextlib
import re
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any, Iterator, Sequence

import numpy as np

from common.cli import RequestError
from common.files import claim_folder, locked_file, replaced_file
from evaluate.predictions import Part, join_parts, load_predictions

PARTS, REQUEST, LOCK = "parts", "request.json", "lock"
SECONDS_PER_PART = 60  # a killed run loses no more than this
POLL_SECONDS = 1  # between checks of what other ranks have finished

_NAME = re.compile(r"rows-(\d{8})-(\d{8})\.npz")


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
    with locked_file(folder / LOCK, refusal) if alone else contextlib.nullcontext():
        claim_folder(folder / REQUEST, request, f"{folder} holds parts of another evaluation",
                     f"ask for the same, give another --out, or remove {folder} to start over")
        yield folder


def saved_rows(folder: Path) -> list[range]:
    """Return the rows of the parts in the folder, in order."""
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted((range(int(match[1]), int(match[2])) for match in found if match),
                  key=lambda rows: rows.start)


def missing_rows(saved: Sequence[range], wanted: range) -> list[range]:
    """Return the ranges of ``wanted`` that are in none of ``saved``, which are in order."""
    missing, position = [], wanted.start
    for rows in saved:
        end = min(rows.start, wanted.stop)
        if position < end:
            missing.append(range(position, end))
        position = max(position, rows.stop)
    if position < wanted.stop:
        missing.append(range(position, wanted.stop))
    return missing


def rows_of_rank(images: int, group: int, rank: int, ranks: int) -> range:
    """Return the rows of one rank: whole groups of ``group`` rows, shared as evenly as possible.

    MindDataset's own sharding repeats rows until all ranks have equally many; here each row is
    in exactly one range.
    """
    groups = -(-images // group)
    first, last = groups * rank // ranks, groups * (rank + 1) // ranks
    return range(min(first * group, images), min(last * group, images))


class PartWriter:
    """Collects neighbouring groups and writes them as a part every ``SECONDS_PER_PART``.

    As a context manager it writes what is finished on leaving, also through an exception.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._groups: list[Part] = []
        self._since = time.monotonic()

    def add(self, group: Part) -> None:
        if self._groups and self._groups[-1].rows.stop != group.rows.start:
            self.flush()
        self._groups.append(group)
        if time.monotonic() - self._since >= SECONDS_PER_PART:
            self.flush()

    def flush(self) -> None:
        if self._groups:
            _write_part(self.folder, join_parts(self._groups))
        self._groups, self._since = [], time.monotonic()

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()


def _write_part(folder: Path, part: Part) -> None:
    with replaced_file(folder / f"rows-{part.rows.start:08d}-{part.rows.stop:08d}.npz") as file:
        np.savez(file, times=np.array([part.seconds, part.waiting]), **part.predictions.arrays)


def read_parts(folder: Path, images: int) -> Part:
    """Return all parts as one.

    Raises:
        RequestError: a part is damaged, rows are missing or an image id appears twice.
    """
    saved = saved_rows(folder)
    missing = missing_rows(saved, range(images))
    if missing or sum(map(len, saved)) != images:
        raise RequestError(f"the parts in {folder} hold {sum(map(len, saved)):,} rows instead of "
                           f"{images:,}, each once; remove that folder and evaluate again")
    return join_parts([_read_part(folder, rows) for rows in saved])


def _read_part(folder: Path, rows: range) -> Part:
    path = folder / f"rows-{rows.start:08d}-{rows.stop:08d}.npz"
    predictions = load_predictions(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            seconds, waiting = arrays["times"].tolist()
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RequestError(f"'{path}' is damaged ({error}); remove it and start again") from error
    if predictions.images != len(rows):
        raise RequestError(f"'{path}' holds {predictions.images} rows; remove it and start again")
    return Part(rows, predictions, seconds, waiting)


def wait_for_all(folder: Path, images: int) -> None:
    """Return when the parts of all ranks exist. A launcher ends all when one rank fails."""
    if missing_rows(saved_rows(folder), range(images)):
        print("waiting for the parts of the other ranks", flush=True)
    while missing_rows(saved_rows(folder), range(images)):
        time.sleep(POLL_SECONDS)


def remove_parts(folder: Path) -> None:
    """Remove what is no longer needed once the result is written; the request goes last."""
    for rows in folder.glob("rows-*"):
        rows.unlink()
    shutil.rmtree(folder)
