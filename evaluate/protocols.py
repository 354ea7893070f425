"""Crop protocols as plain data: which views of an image are classified and averaged.

An image is resized, once per scale, until its shorter side has that many pixels. From the
resized image one or three squares are taken that span the shorter side, from each square one
or more views, and each view may be mirrored as well. Everything is whole pixels and exact: the
first square, or corner, starts at pixel 0 and the last one ends with the last pixel.
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Optional, Sequence, Union

from common.cli import RequestError
from inceptionv4 import BICUBIC, IMAGE_SIZE

# Where a square or a view lies: offset = free pixels * position // 2.
START, CENTRE, END = 0, 1, 2
CORNERS_AND_CENTRE = ((START, START), (START, END), (END, START), (END, END), (CENTRE, CENTRE))

# C. Szegedy et al., "Going deeper with convolutions", arXiv 1409.4842, section 7, takes shorter
# sides of 256, 288, 320 and 352 pixels for crops of 224; these are the ones in use for IMAGE_SIZE.
REFERENCE_SCALES = (320, 352, 384, 448)
PAPER_SIZE = 224
PAPER_SCALES = (256, 288, 320, 352)
PAPER: Final = "paper"  # instead of scales: the paper's, for crops of another size
Scales = Union[Literal["paper"], Sequence[int]]

VIEWS_PER_STEP = 72  # crops on the device at a time, by default

# Share of the shorter side that a single centre crop covers: the evaluation of the Inception
# networks by their authors (TensorFlow models, slim, inception_preprocessing.py).
CENTRE_FRACTION = 0.875


KEEP, SQUASH = "keep", "squash"  # ways to take a single crop


class View(NamedTuple):
    """A square of ``side`` pixels of the image resized to the shorter side ``scale``.

    One that is larger than the image size is a whole square, to be resized to it.
    """

    scale: int
    left: int
    top: int
    side: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom, as Pillow counts them."""
        return self.left, self.top, self.left + self.side, self.top + self.side


class Pattern(NamedTuple):
    """Where the views of a resized image lie.

    Attributes:
        squares: positions along the longer side.
        views: (vertical, horizontal) positions within a square.
        whole_square: whether the square itself, resized, is one more view, the last one.
        mirrored: whether each view is also mirrored.
    """

    squares: Sequence[int]
    views: Sequence[tuple[int, int]]
    whole_square: bool
    mirrored: bool


MULTI_SCALE = 144
PROTOCOLS = {
    1: Pattern([CENTRE], [(CENTRE, CENTRE)], whole_square=False, mirrored=False),
    # A. Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    # NIPS 2012, section 4.1.
    10: Pattern([CENTRE], CORNERS_AND_CENTRE, whole_square=False, mirrored=True),
    # The Inception-v4 paper (arXiv 1602.07261, table 3) reports 12 crops without saying which;
    # this is what one square of the 144 crops gives.
    12: Pattern([CENTRE], CORNERS_AND_CENTRE, whole_square=True, mirrored=True),
    # 4 scales x 3 squares x 6 views x 2 mirrors: arXiv 1409.4842, section 7.
    MULTI_SCALE: Pattern([START, CENTRE, END], CORNERS_AND_CENTRE, whole_square=True,
                         mirrored=True),
}


@dataclass(frozen=True)
class Protocol:
    """A pattern at ``scales``: shorter sides in pixels, none below ``image_size``.

    Attributes:
        interpolation: one of ``inceptionv4.INTERPOLATIONS``; both are antialiased.
        single_crop: ``KEEP`` the aspect ratio, or ``SQUASH``: the only view is the central
            CENTRE_FRACTION of both sides, resized to a square, as the networks' authors do.
    """

    image_size: int
    scales: tuple[int, ...]
    pattern: Pattern
    interpolation: str = BICUBIC
    single_crop: str = KEEP

    @property
    def mirrors(self) -> int:
        """Return 2 if each view is classified plain and mirrored, else 1."""
        return 2 if self.pattern.mirrored else 1

    @property
    def crops_per_square(self) -> int:
        return (len(self.pattern.views) + self.pattern.whole_square) * self.mirrors

    @property
    def crops(self) -> int:
        return len(self.scales) * len(self.pattern.squares) * self.crops_per_square

    @property
    def curve(self) -> tuple[int, ...]:
        """Return the numbers of crops, in the order of ``views_of``, after which a curve has a
        point: each square, or each view if there is only one square."""
        several = self.crops > self.crops_per_square
        step = self.crops_per_square if several else self.mirrors
        return tuple(range(step, self.crops + 1, step))


def protocol_of(crops: int, image_size: int, scales: Optional[Scales] = None,
                interpolation: Optional[str] = None, single_crop: str = KEEP) -> Protocol:
    """Return the protocol with that number of crops.

    Args:
        scales: for 144 crops, four shorter sides in pixels, or ``PAPER`` for the paper's ratios to
            its crops; None for the ones in use for 299 pixels, in their ratios.
        interpolation: see ``Protocol``; None: bicubic.
        single_crop: see ``Protocol``.

    Raises:
        RequestError: a number that has no protocol, or scales that are not right or not for it.
    """
    if crops not in PROTOCOLS:
        known = ", ".join(map(str, PROTOCOLS))
        raise RequestError(f"there is no protocol of {crops} crops; take one of {known}")
    if single_crop == SQUASH and crops != 1:
        raise RequestError(f"--single-crop {SQUASH} is a way to take 1 crop, not {crops}; leave it "
                           "out")
    if crops == MULTI_SCALE:
        chosen = _multiple_scales(scales, image_size)
    elif scales is None:
        chosen = (round(image_size / CENTRE_FRACTION),)
    else:
        raise RequestError(f"scales can be chosen for {MULTI_SCALE} crops, not for {crops}, which "
                           "have one: leave --scales out")
    return Protocol(image_size, chosen, PROTOCOLS[crops], interpolation or BICUBIC, single_crop)


def _multiple_scales(scales: Optional[Scales], image_size: int) -> tuple[int, ...]:
    if scales is None:
        return tuple(round(scale * image_size / IMAGE_SIZE) for scale in REFERENCE_SCALES)
    if scales == PAPER:
        return tuple(round(scale * image_size / PAPER_SIZE) for scale in PAPER_SCALES)
    if len(scales) != len(REFERENCE_SCALES) or len(set(scales)) != len(scales):
        raise RequestError(f"scales {' '.join(map(str, scales))}: give {len(REFERENCE_SCALES)} "
                           f"different ones, or '{PAPER}'")
    if min(scales) < image_size:
        raise RequestError(f"scale {min(scales)} is below the image size of the checkpoint, "
                           f"{image_size} pixels: crops of that size would not fit")
    return tuple(scales)


def resized_size(width: int, height: int, scale: int) -> tuple[int, int]:
    """Return (width, height) with the shorter side ``scale``; the aspect ratio is kept."""
    if width < height:
        return scale, round(height * scale / width)
    return round(width * scale / height), scale


def views_of(protocol: Protocol, width: int, height: int) -> list[View]:
    """Return the views of an image of that size by scale, square (left to right, or top to bottom
    in a portrait) and place. Each gives one crop, or two: plain, then mirrored on the device."""
    size, pattern, views = protocol.image_size, protocol.pattern, []
    for scale in protocol.scales:
        resized_width, resized_height = resized_size(width, height, scale)
        for square in pattern.squares:
            left = (resized_width - scale) * square // 2
            top = (resized_height - scale) * square // 2
            views += [View(scale, left + (scale - size) * horizontal // 2,
                           top + (scale - size) * vertical // 2, size)
                      for vertical, horizontal in pattern.views]
            if pattern.whole_square:
                views.append(View(scale, left, top, scale))
    return views
