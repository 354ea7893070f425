"""From record files to squares: rows in file order, prepared ahead by threads.

Every row is read exactly once: MindDataset's own sharding repeats rows to give all ranks
equally many, so it is not used here.
"""

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Iterator, NamedTuple, Optional

import mindspore.dataset as ds
import numpy as np
from PIL import Image

from common.cli import RequestError
from convert.records.reader import RecordSet
from evaluate.protocols import Protocol, resized_size, square_boxes
from evaluate.resampling import resize_bicubic

# What Pillow's readers raise for bytes that are no image, break off or are damaged.
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError)
COLUMNS = ["image", "label", "image_id", "blacklisted"]


class ImageRow(NamedTuple):
    image: bytes  # the encoded image
    label: int
    image_id: int
    blacklisted: bool


class ImageViews(NamedTuple):
    """A row whose image became squares: see ``cut_squares``."""

    row: ImageRow
    squares: list[np.ndarray]


def read_rows(records: RecordSet, part: Optional[range] = None) -> Iterator[ImageRow]:
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
        yield ImageRow(row["image"].tobytes(), int(row["label"]), int(row["image_id"]),
                       bool(row["blacklisted"]))


def prepared_rows(records: RecordSet, part: range, protocol: Protocol, workers: int,
                  ahead: int) -> Iterator[ImageViews]:
    """The rows in the same order, decoded and cut by ``workers`` threads (Pillow and the compiled
    resize let go of the interpreter lock), at most ``ahead`` + 1 of them in memory."""
    with ThreadPoolExecutor(workers) as threads:
        waiting: deque[Future[ImageViews]] = deque()
        for row in read_rows(records, part):
            waiting.append(threads.submit(_prepare, row, protocol, records))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _prepare(row: ImageRow, protocol: Protocol, records: RecordSet) -> ImageViews:
    try:
        image = decode_rgb(row.image)
    except UNDECODABLE as error:
        raise RequestError(
            f"image id {row.image_id} of {records.folder} cannot be decoded ({error}); see what is "
            f"damaged with: python -m convert verify --deep {records.folder}") from error
    return ImageViews(row._replace(image=b""), cut_squares(image, protocol))


def decode_rgb(encoded: bytes) -> Image.Image:
    """Any format that Pillow reads -> an RGB image; raises one of ``UNDECODABLE``.

    EXIF orientation is ignored, as in the programs that trained on ImageNet.
    """
    with Image.open(io.BytesIO(encoded)) as image:
        return image.convert("RGB")


def cut_squares(image: Image.Image, protocol: Protocol) -> list[np.ndarray]:
    """For each scale its squares: uint8 (squares, scale, scale, 3), the same for all images.

    The image is resized as Pillow's ``resize`` does it, bicubic; a small one is enlarged.
    """
    pixels = np.asarray(image)  # (height, width, 3)
    return [_squares_at(resize_bicubic(pixels, *resized_size(*image.size, scale)), protocol)
            for scale in protocol.scales]


def _squares_at(pixels: np.ndarray, protocol: Protocol) -> np.ndarray:
    height, width, _ = pixels.shape
    return np.stack([pixels[box.top:box.bottom, box.left:box.right]
                     for box in square_boxes(protocol, width, height)])
