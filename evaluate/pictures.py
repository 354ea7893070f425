"""The host's share: a picture is decoded once, resized once per scale, cut into squares."""

import io

import numpy as np
from PIL import Image

from evaluate.protocols import Protocol, resized_size, square_boxes
from evaluate.resampling import resize_bicubic

# What Pillow's readers raise for bytes that are no picture, break off or are damaged.
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError)


def decode_rgb(encoded: bytes) -> Image.Image:
    """Any format that Pillow reads -> an RGB picture; raises one of ``UNDECODABLE``.

    EXIF orientation is ignored, as in the programs that trained on ImageNet.
    """
    with Image.open(io.BytesIO(encoded)) as picture:
        return picture.convert("RGB")


def cut_squares(picture: Image.Image, protocol: Protocol) -> list[np.ndarray]:
    """For each scale its squares: uint8 (squares, scale, scale, 3), the same for all pictures.

    The picture is resized as Pillow's ``resize`` does it, bicubic; a small one is enlarged.
    """
    pixels = np.asarray(picture)  # (height, width, 3)
    return [_squares_at(resize_bicubic(pixels, *resized_size(*picture.size, scale)), protocol)
            for scale in protocol.scales]


def _squares_at(pixels: np.ndarray, protocol: Protocol) -> np.ndarray:
    height, width, _ = pixels.shape
    return np.stack([pixels[box.top:box.bottom, box.left:box.right]
                     for box in square_boxes(protocol, width, height)])
