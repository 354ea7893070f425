"""Published figures of Inception-v4 on ILSVRC2012's validation images, each with its source.

They are shown only next to results of the same number of images and of crops.
"""

from typing import NamedTuple

PAPER = "Inception-v4 paper, arXiv 1602.07261"
SEED_REPORT = "ADSL lab's report"
IMAGE_SIZE = 299  # pixels, of all crops below


class Published(NamedTuple):
    """Errors in percent, of crops of IMAGE_SIZE."""

    source: str
    where: str
    images: int
    crops: int
    top1_error: float
    top5_error: float


FULL, FILTERED = 50_000, 48_238
MODEL_ZOO_IMAGES = 49_920  # it drops the last batch, so nothing here compares with it

PUBLISHED = (
    Published(PAPER, "table 2: without the blacklisted images", FILTERED, 1, 20.0, 5.0),
    Published(PAPER, "table 3", FULL, 12, 18.7, 4.2),
    Published(PAPER, "table 4", FULL, 144, 17.7, 3.8),
    Published(SEED_REPORT, "all validation images", FULL, 144, 17.22, 3.79),
    Published(SEED_REPORT, "without the blacklisted images", FILTERED, 144, 16.59, 3.45),
    Published("mindcv", "inception_v4 recipe", FULL, 1, 19.0, 4.8),
    Published("MindSpore model zoo", "InceptionV4", MODEL_ZOO_IMAGES, 1, 20.2, 5.4),
)


def published_for(images: int, crops: int) -> list[Published]:
    """Return what was published for exactly that many images and crops."""
    return [row for row in PUBLISHED if (row.images, row.crops) == (images, crops)]
