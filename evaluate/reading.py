"""From record files to squares: rows in file order, prepared ahead by threads.

Every row is read exactly once: MindDataset's own sharding repeats rows to give all ranks
equally many, so it is not used here.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Iterator, NamedTuple, Optional

import mindspore.dataset as ds
import numpy as np

from common import RequestError
from convert import RecordSet
from evaluate.pictures import UNDECODABLE, cut_squares, decode_rgb
from evaluate.protocols import Protocol

COLUMNS = ["image", "label", "image_id", "blacklisted"]


class Row(NamedTuple):
    image: bytes  # the encoded picture
    label: int
    image_id: int
    blacklisted: bool


class Prepared(NamedTuple):
    """A row whose picture became squares: see ``cut_squares``."""

    row: Row
    squares: list[np.ndarray]


def read_rows(records: RecordSet, part: Optional[range] = None) -> Iterator[Row]:
    """The rows of a record set, or those at the positions ``part``, in file order.

    Raises:
        RequestError: the files cannot be read or do not hold as many rows as the manifest says.
    """
    part = range(records.images) if part is None else part
    stored = records.stored_rows()
    if stored != records.images:
        raise RequestError(f"{records.folder} holds {stored:,} rows, its manifest says "
                           f"{records.images:,}; see what is damaged with: "
                           f"python -m convert verify {records.folder}")
    for row in records.rows(COLUMNS, ds.SequentialSampler(part.start, len(part))):
        yield Row(row["image"].tobytes(), int(row["label"]), int(row["image_id"]),
                  bool(row["blacklisted"]))


def prepared_rows(records: RecordSet, part: range, protocol: Protocol, workers: int,
                  ahead: int) -> Iterator[Prepared]:
    """The rows in the same order, decoded and cut by ``workers`` threads (Pillow and the compiled
    resize let go of the interpreter lock), at most ``ahead`` + 1 of them in memory."""
    with ThreadPoolExecutor(workers) as threads:
        waiting: deque[Future[Prepared]] = deque()
        for row in read_rows(records, part):
            waiting.append(threads.submit(_prepare, row, protocol, records))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _prepare(row: Row, protocol: Protocol, records: RecordSet) -> Prepared:
    try:
        picture = decode_rgb(row.image)
    except UNDECODABLE as error:
        raise RequestError(
            f"image id {row.image_id} of {records.folder} cannot be decoded ({error}); see what is "
            f"damaged with: python -m convert verify --deep {records.folder}") from error
    return Prepared(row._replace(image=b""), cut_squares(picture, protocol))
