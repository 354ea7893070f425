"""The images of class folders are checked once before MindSpore reads them."""

import os
import re

import pytest

from common.cli import RequestError
from train import source
from train.source import check_jpegs, open_class_folders

CUT = b"\xff\xd8\xff\xdb"  # a JPEG that ends in its headers


@pytest.fixture
def folders(tmp_path):
    """Nine cut JPEGs in two classes."""
    for name in ("a/1", "a/2", "a/3", "a/4", "a/5", "b/1", "b/2", "b/3", "b/4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.JPEG").write_bytes(CUT)
    return open_class_folders(tmp_path)


@pytest.fixture
def lots_of_two(monkeypatch):
    monkeypatch.setattr(source, "LOT", 2)
    monkeypatch.setattr(source, "DAMAGED_SHOWN", 9)


def damaged(folders, *share):
    with pytest.raises(RequestError) as error:
        check_jpegs(folders, *share)
    return re.findall(r"([ab]/\d)\.JPEG", str(error.value))


def test_every_image_is_checked_by_one_rank(folders, lots_of_two):
    shares = [damaged(folders, rank, 3) for rank in range(3)]
    assert shares == [["a/1", "a/4", "b/2"], ["a/2", "a/5", "b/3"], ["a/3", "b/1", "b/4"]]
    assert damaged(folders) == sorted(sum(shares, []))


def test_the_first_of_many_are_named_in_one_line(folders):
    with pytest.raises(RequestError, match=r"a/1.JPEG .undecodable.*a/3.JPEG .*, … cannot be "
                                           r"decoded \(9 images\); repair") as error:
        check_jpegs(folders)
    assert "\n" not in str(error.value) and "a/4" not in str(error.value)


def test_what_is_no_folder_is_named_with_the_option(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RequestError, match="^--images .*fifo is not a folder; set --images to"):
        open_class_folders(tmp_path / "fifo")


def test_records_are_not_read(records):
    check_jpegs(records["train"])
