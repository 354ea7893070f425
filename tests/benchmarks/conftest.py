"""Images that several benchmarks' tests read."""

from pathlib import Path
from typing import Callable

import pytest
from PIL import Image


@pytest.fixture
def class_folders(tmp_path) -> Callable[[int], Path]:
    """Make so many images of 40 x 30 pixels in two class folders of train/; return that folder."""
    def make(count: int) -> Path:
        train = tmp_path / "train"
        for number in range(count):
            folder = train / f"n{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (10 * number, 0, 200)).save(folder / f"{number}.JPEG")
        return train
    return make
