"""What the sample's classes and images look like, in pixels.

The images are drawn, not photographed. A class is a texture of one colour on a background of
another; period, angle, colours, light, objects in front and noise differ from image to image. A
class can be recognised in a crop and in its mirror image, so training augmentation is safe.
"""

import math
from dataclasses import dataclass
from typing import Callable

import numpy as np

# The order was searched for: a colour and the fifth after it contrast, and the mean colours of the
# first ten classes lie far apart in hue, so that a network tells them apart within minutes.
COLOURS = {
    "red": (210, 25, 30), "green": (35, 150, 45), "teal": (20, 185, 185),
    "white": (240, 240, 235), "orange": (245, 130, 20), "pink": (250, 130, 190),
    "black": (25, 25, 30), "yellow": (250, 225, 40), "blue": (30, 60, 220),
    "brown": (120, 70, 35), "purple": (125, 40, 170),
}
FIRST_CONTRAST = 4  # plus 1: how many places apart in COLOURS texture and background are


def _blobs(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add waves of equal length from eight random directions: spots of irregular shape."""
    angles, phases = rng.uniform(0, 2 * math.pi, (2, 8))
    waves = sum(np.cos(math.cos(a) * u + math.sin(a) * v + p) for a, p in zip(angles, phases))
    return waves / 2 - 0.3


def _bricks(u: np.ndarray, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    odd_row = np.floor(v / math.pi) % 2
    return 0.8 - np.maximum(np.cos(2 * v), np.cos(u + math.pi * odd_row) - 0.1)


# Place (u, v in radians, shaped (H, W)) and random numbers -> positive where the texture's
# colour shows. In most it covers less than half, so that the mean colours of classes lie as far
# apart as their backgrounds, and not at the greys that two colours in equal parts make.
TEXTURES: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]] = {
    "stripes": lambda u, v, rng: np.sin(u) - 0.3,
    "checks": lambda u, v, rng: np.sin(u) * np.sin(v),
    "dots": lambda u, v, rng: np.cos(u) + np.cos(v) - 0.6,
    "grid": lambda u, v, rng: np.maximum(np.cos(u), np.cos(v)) - 0.75,
    "rings": lambda u, v, rng: np.sin(1.3 * np.hypot(u, v)) - 0.3,
    "waves": lambda u, v, rng: np.sin(u + 1.8 * np.sin(v)) - 0.3,
    "zigzags": lambda u, v, rng: np.sin(1.3 * u + 2 * np.arcsin(np.sin(v))) - 0.3,
    "blobs": _blobs,
    "bricks": _bricks,
    "rays": lambda u, v, rng: np.sin(12 * np.arctan2(v, u)) - 0.3,
}


@dataclass(frozen=True)
class ClassStyle:
    """What distinguishes a class: a texture, its colour, the colour of the background."""

    texture: str
    colour: str
    background: str

    @property
    def words(self) -> str:
        return f"{self.colour} {self.texture} on {self.background}"

    @property
    def name(self) -> str:
        """Return the words as one, as the devkit has them."""
        return self.words.replace(" ", "_")


def style_of(label: int) -> ClassStyle:
    """Return the style of class ``label`` (0 to 999), each different; the first ten share nothing.

    The digits of the label choose the texture, the background and the contrast to it.
    """
    hundreds, tens, ones = label // 100, label // 10 % 10, label % 10
    background = (ones + tens) % len(COLOURS)
    contrast = 1 + (FIRST_CONTRAST + hundreds) % (len(COLOURS) - 1)
    names = list(COLOURS)
    return ClassStyle(list(TEXTURES)[ones], names[(background + contrast) % len(COLOURS)],
                      names[background])


def draw_image(style: ClassStyle, rng: np.random.Generator) -> np.ndarray:
    """Return an image of that class, uint8 (H, W, 3), shorter side 90 to 200 px."""
    height, width = _size(rng)
    y, x = np.mgrid[:height, :width].astype(np.float32)                # (H, W) each
    cover = _cover(style, x, y, rng)[..., None]                        # (H, W, 1), 0 to 1
    pixels = cover * _shade(style.colour, rng) + (1 - cover) * _shade(style.background, rng)
    for _ in range(rng.integers(0, 3)):  # objects in front
        colour = rng.uniform(0, 255, 3)
        centre_y, centre_x = rng.uniform(0, 1, 2) * x.shape
        radius_y, radius_x = rng.uniform(0.06, 0.17, 2) * min(x.shape)
        pixels[((x - centre_x) / radius_x) ** 2 + ((y - centre_y) / radius_y) ** 2 < 1] = colour
    slope_x, slope_y = rng.uniform(-0.25, 0.25, 2)  # light falls off to one side
    light = 1 + slope_x * (x / x.shape[1] - 0.5) + slope_y * (y / x.shape[0] - 0.5)
    pixels *= light[..., None]
    pixels += rng.normal(0, rng.uniform(2, 14), (height, width, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Return height and width: two of three images landscape, as in ImageNet, up to 1 : 2."""
    shorter = rng.integers(90, 201)
    longer = round(shorter * rng.uniform(1, 2) ** rng.uniform(0, 1))
    return (shorter, longer) if rng.random() < 2 / 3 else (longer, shorter)


def _cover(style: ClassStyle, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
           ) -> np.ndarray:
    """Return the share of the texture's colour in each pixel, 0 to 1, (H, W)."""
    period = min(x.shape) * rng.uniform(0.14, 0.32)
    centre_y, centre_x = rng.uniform(0.2, 0.8, 2) * x.shape
    angle = rng.uniform(-0.4, 0.4)
    u = (math.cos(angle) * (x - centre_x) + math.sin(angle) * (y - centre_y)) / period
    v = (math.cos(angle) * (y - centre_y) - math.sin(angle) * (x - centre_x)) / period
    texture = TEXTURES[style.texture](2 * math.pi * u, 2 * math.pi * v, rng)
    sharpness = rng.uniform(1.5, 6)
    return np.clip(0.5 + sharpness * texture, 0, 1)


def _shade(colour: str, rng: np.random.Generator) -> np.ndarray:
    """Return the colour varied for one image, float (3,)."""
    return (COLOURS[colour] + rng.normal(0, 8, 3)) * rng.uniform(0.85, 1.1)
