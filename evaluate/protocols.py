"""Crop protocols as plain data: which views of an image are classified and averaged.

An image is resized, once per scale, until its shorter side has that many pixels. From the
resized image one or three squares are taken that span the shorter side, from each square one
or more views, and each view may be mirrored as well. Everything is whole pixels and exact: the
first square, or corner, starts at pixel 0 and the last one ends with the last pixel.
"""

from dataclasses import dataclass
from typing import (Callable, Final, Literal, NamedTuple, Optional, Sequence,
                    Union)

from common.cli import RequestError

# Where a square or a view lies: offset = free pixels * position // 2.
START, CENTRE, END = 0, 1, 2
CORNERS_AND_CENTRE = ((START, START), (START, END), (END, START), (END, END), (CENTRE, CENTRE))

# C. Szegedy et al., "Going deeper with convolutions", arXiv 1409.4842, section 7, takes shorter
# sides of 256, 288, 320 and 352 pixels for crops of 224; these are the ones in use for 299.
REFERENCE_SIZE = 299
REFERENCE_SCALES = (320, 352, 384, 448)
PAPER_SIZE = 224
PAPER_SCALES = (256, 288, 320, 352)
PAPER: Final = "paper"  # instead of scales: the paper's, for crops of another size
Scales = Union[Literal["paper"], Sequence[int]]

VIEWS_PER_STEP = 72  # crops on the device at a time, by default

# Share of the shorter side that a single centre crop covers: the evaluation of the Inception
# networks by their authors (TensorFlow models, slim, inception_preprocessing.py).
CENTRE_FRACTION = 0.875


class Box(NamedTuple):
    """Pixels [left, right) x [top, bottom), as Pillow counts them."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def side(self) -> int:
        return self.right - self.left


class Crop(NamedTuple):
    """One view: ``box`` of the image resized to the shorter side ``scale``.

    A box larger than the image size stands for a whole square that is resized to it.
    """

    scale: int
    box: Box
    mirrored: bool


@dataclass(frozen=True)
class Protocol:
    """``scales`` x ``squares`` x (``views`` and the whole square) x mirrors.

    ``scales`` are the shorter sides in pixels, none below ``image_size``; ``squares`` positions
    along the longer side; ``views`` (vertical, horizontal) positions within a square.
    """

    image_size: int
    scales: tuple[int, ...]
    squares: tuple[int, ...]
    views: tuple[tuple[int, int], ...]
    whole_square: bool
    mirrored: bool

    @property
    def mirrors(self) -> int:
        """2 if each view is classified plain and mirrored, else 1."""
        return 2 if self.mirrored else 1

    @property
    def crops_per_square(self) -> int:
        return (len(self.views) + self.whole_square) * self.mirrors

    @property
    def crops(self) -> int:
        return len(self.scales) * len(self.squares) * self.crops_per_square

    @property
    def curve(self) -> tuple[int, ...]:
        """Return the numbers of crops, in the order of ``crop_boxes``, after which a curve has a
        point: each square, or each view if there is only one square."""
        several = self.crops > self.crops_per_square
        step = self.crops_per_square if several else self.mirrors
        return tuple(range(step, self.crops + 1, step))


def single_crop(image_size: int) -> Protocol:
    """Return the centre crop, shorter side ``image_size`` / 0.875."""
    return Protocol(image_size, (centre_scale(image_size),), (CENTRE,), ((CENTRE, CENTRE),),
                    whole_square=False, mirrored=False)


def ten_crops(image_size: int) -> Protocol:
    """Return corners and centre of the central square, and mirrors: A. Krizhevsky et al., "ImageNet
    Classification with Deep Convolutional Neural Networks", NIPS 2012, section 4.1."""
    return Protocol(image_size, (centre_scale(image_size),), (CENTRE,), CORNERS_AND_CENTRE,
                    whole_square=False, mirrored=True)


def twelve_crops(image_size: int) -> Protocol:
    """Return the ten crops, the whole central square, and its mirror image.

    The Inception-v4 paper (arXiv 1602.07261, table 3) reports 12 crops without saying which;
    this is what one square of the 144 crops gives.
    """
    return Protocol(image_size, (centre_scale(image_size),), (CENTRE,), CORNERS_AND_CENTRE,
                    whole_square=True, mirrored=True)


def multi_scale_crops(image_size: int, scales: Optional[Scales] = None) -> Protocol:
    """Return 4 scales x 3 squares x 6 views x 2 mirrors = 144: arXiv 1409.4842, section 7.

    Args:
        scales: four shorter sides in pixels, or ``PAPER`` for the paper's ratios to its crops;
            None for the ones in use for 299 pixels, in their ratios.

    Raises:
        RequestError: not four scales, one that appears twice, or one below ``image_size``.
    """
    if scales is None:
        chosen = _in_ratio(REFERENCE_SCALES, REFERENCE_SIZE, image_size)
    elif scales == PAPER:
        chosen = _in_ratio(PAPER_SCALES, PAPER_SIZE, image_size)
    else:
        chosen = _checked_scales(scales, image_size)
    return Protocol(image_size, chosen, (START, CENTRE, END), CORNERS_AND_CENTRE,
                    whole_square=True, mirrored=True)


def _in_ratio(scales: Sequence[int], size: int, image_size: int) -> tuple[int, ...]:
    return tuple(round(scale * image_size / size) for scale in scales)


def _checked_scales(scales: Sequence[int], image_size: int) -> tuple[int, ...]:
    if len(set(scales)) != len(REFERENCE_SCALES) or len(scales) != len(REFERENCE_SCALES):
        raise RequestError(f"scales {' '.join(map(str, scales))}: give {len(REFERENCE_SCALES)} "
                           f"different ones, or '{PAPER}'")
    if min(scales) < image_size:
        raise RequestError(f"scale {min(scales)} is below the image size of the checkpoint, "
                           f"{image_size} pixels: crops of that size would not fit")
    return tuple(scales)


MULTI_SCALE = 144
PROTOCOLS: dict[int, Callable[[int], Protocol]] = {
    1: single_crop, 10: ten_crops, 12: twelve_crops, MULTI_SCALE: multi_scale_crops,
}


def protocol_of(crops: int, image_size: int, scales: Optional[Scales] = None) -> Protocol:
    """Return the protocol with that number of crops.

    Raises:
        RequestError: a number that has no protocol, or scales that are not right or not for it.
    """
    if crops not in PROTOCOLS:
        known = ", ".join(map(str, PROTOCOLS))
        raise RequestError(f"there is no protocol of {crops} crops; take one of {known}")
    if scales is None:
        return PROTOCOLS[crops](image_size)
    if crops != MULTI_SCALE:
        raise RequestError(f"scales can be chosen for {MULTI_SCALE} crops, not for {crops}, which "
                           "have one: leave --scales out")
    return multi_scale_crops(image_size, scales)


def centre_scale(image_size: int) -> int:
    return round(image_size / CENTRE_FRACTION)


def resized_size(width: int, height: int, scale: int) -> tuple[int, int]:
    """Return (width, height) with the shorter side ``scale``; the aspect ratio is kept."""
    if width < height:
        return scale, round(height * scale / width)
    return round(width * scale / height), scale


def square_boxes(protocol: Protocol, width: int, height: int) -> list[Box]:
    """Return the squares of a resized image: left to right, or top to bottom in a portrait."""
    side = min(width, height)
    return [_square((width - side) * position // 2, (height - side) * position // 2, side)
            for position in protocol.squares]


def view_boxes(protocol: Protocol, side: int) -> list[Box]:
    """Return the views of a square of ``side`` pixels; the whole square, if it is one, is last."""
    size = protocol.image_size
    views = [_square((side - size) * horizontal // 2, (side - size) * vertical // 2, size)
             for vertical, horizontal in protocol.views]
    return [*views, _square(0, 0, side)] if protocol.whole_square else views


def crop_boxes(protocol: Protocol, width: int, height: int) -> list[Crop]:
    """Return every crop of an image of that size, in the order of the network's outputs."""
    return [Crop(scale, _square(square.left + view.left, square.top + view.top, view.side), mirror)
            for scale in protocol.scales
            for square in square_boxes(protocol, *resized_size(width, height, scale))
            for view in view_boxes(protocol, square.side)
            for mirror in (False, True)[:protocol.mirrors]]


def _square(left: int, top: int, side: int) -> Box:
    return Box(left, top, left + side, top + side)
