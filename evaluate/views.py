"""From record files to views: rows in file order, decoded and cut ahead by threads.

Every row is read exactly once: MindDataset's own sharding repeats rows to give all ranks
equally many, so it is not used here.
"""

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from typing import Iterator, NamedTuple, Optional

import mindspore.dataset as ds
import numpy as np
from PIL import Image

from common.cli import RequestError
from common.jpeg import UNDECODABLE
from convert.records.reader import RecordSet
from evaluate.protocols import Protocol, resized_size, views_of

COLUMNS = ["image", "label", "image_id", "blacklisted"]


class ImageRow(NamedTuple):
    image: bytes  # the encoded image
    label: int
    image_id: int
    blacklisted: bool


def decode_rgb(encoded: bytes) -> Image.Image:
    """Decode any format that Pillow reads to an RGB image; raise one of ``UNDECODABLE``.

    EXIF orientation is ignored, as in the programs that trained on ImageNet.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        return image.convert("RGB")


def cut_views(image: Image.Image, protocol: Protocol) -> np.ndarray:
    """Return the pixels of ``views_of``: uint8 (views, S, S, 3). The image is resized once per
    scale, bicubic; a small one is enlarged."""
    size = protocol.image_size
    views = []
    for scale, of_scale in groupby(views_of(protocol, *image.size), lambda view: view.scale):
        resized = image.resize(resized_size(*image.size, scale), Image.Resampling.BICUBIC)
        pixels = np.asarray(resized)  # (height, width, 3): slices cost less than Pillow's crops
        for view in of_scale:
            left, top, right, bottom = view.box
            if view.side == size:
                views.append(pixels[top:bottom, left:right])
            else:
                # Not resize(box=...), which would mix pixels from outside the square into its
                # edges.
                square = resized.crop(view.box)
                views.append(np.asarray(square.resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(views)


def read_rows(records: RecordSet, part: Optional[range] = None) -> Iterator[ImageRow]:
    """Yield the rows of a record set, or those at the positions ``part``, in file order.

    Raises:
        RequestError: the files cannot be read, do not hold as many rows as the manifest says, or
            give fewer than they hold: other ranks would wait for the rest for ever.
    """
    part = range(records.images) if part is None else part
    stored = records.stored_rows()
    if stored != records.images:
        raise RequestError(f"{records.folder} holds {stored:,} rows, its manifest says "
                           f"{records.images:,}; see what is damaged with: "
                           f"python -m convert verify {records.folder}")
    read = 0
    for read, row in enumerate(records.rows(COLUMNS, ds.SequentialSampler(part.start, len(part))),
                               start=1):
        yield ImageRow(row["image"].tobytes(), int(row["label"]), int(row["image_id"]),
                       bool(row["blacklisted"]))
    if read != len(part):
        raise RequestError(f"{records.folder} gave {read:,} of the {len(part):,} rows from row "
                           f"{part.start:,} on; see what is damaged with: python -m convert verify "
                           f"{records.folder}")


def prepared_rows(records: RecordSet, part: range, protocol: Protocol, workers: int,
                  ahead: int) -> Iterator[tuple[ImageRow, np.ndarray]]:
    """Yield the rows in the same order with their views (``cut_views``), decoded and cut by
    ``workers`` threads.

    At most ``ahead`` + 1 images are in memory. Pillow releases the interpreter lock while it
    decodes and resizes, so threads are enough.

    Raises:
        RequestError: an image cannot be decoded, or see ``read_rows``.
    """
    with ThreadPoolExecutor(workers) as threads:
        waiting: deque[Future[tuple[ImageRow, np.ndarray]]] = deque()
        for row in read_rows(records, part):
            waiting.append(threads.submit(_prepare, row, protocol, records))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _prepare(row: ImageRow, protocol: Protocol,
             records: RecordSet) -> tuple[ImageRow, np.ndarray]:
    try:
        return row, cut_views(decode_rgb(row.image), protocol)
    except UNDECODABLE as error:
        raise RequestError(
            f"image id {row.image_id} of {records.folder} cannot be decoded ({error}); see what is "
            f"damaged with: python -m convert verify --deep {records.folder}") from error
