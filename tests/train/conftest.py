"""Small record sets, made by the sample and the converter."""

from pathlib import Path

import pytest

from convert import RecordSet, Request, convert, make_sample, open_records

CLASSES, TRAIN, VAL = 3, 7, 2  # 21 and 6 pictures


def make_records(folder: Path, classes: int, seed: int) -> dict[str, RecordSet]:
    make_sample(folder / "pictures", classes, TRAIN, VAL, seed)
    for split in ("train", "val"):
        convert(Request(folder / "pictures", split, folder / split, shards=2))
    return {split: open_records(folder / split) for split in ("train", "val")}


@pytest.fixture(scope="session")
def records(tmp_path_factory) -> dict[str, RecordSet]:
    """``train`` (21 images) and ``val`` (6 images) of three classes."""
    return make_records(tmp_path_factory.mktemp("records"), CLASSES, seed=0)


@pytest.fixture(scope="session")
def other_records(tmp_path_factory) -> dict[str, RecordSet]:
    """Of two classes, and so none that a run on ``records`` may be validated with."""
    return make_records(tmp_path_factory.mktemp("other"), 2, seed=1)
