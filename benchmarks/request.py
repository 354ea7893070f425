"""What is asked of ``python -m benchmarks crops``. Needs no MindSpore, so that --help is quick."""

from dataclasses import dataclass
from pathlib import Path

from common.options import check_values, device_option, option


@dataclass(frozen=True)
class CropsRequest:
    """The arguments of ``python -m benchmarks crops``."""

    out: Path = option(help="result folder; also where the images are made and removed")
    images: int = option(40, "number of images that the host cuts", low=1)
    run_images: int = option(6, "number of images that the whole run evaluates", low=1)
    repeats: int = option(3, "repeats of each row, in turns with the others", low=1)
    image_size: int = option(75, "pixels of a side of the whole run's crops", low=75)
    device: str = device_option()

    def __post_init__(self) -> None:
        check_values(self)
