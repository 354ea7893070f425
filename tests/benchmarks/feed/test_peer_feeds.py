"""Each peer that is installed gives whole batches of crops; each crop lies in its image."""

import random

import pytest

from benchmarks.feed.job import FeedJob
from benchmarks.feed.peer_feeds import PEER_FEEDS, _crop_box
from benchmarks.feed.row import run_row
from benchmarks.synthetic import make_class_folders


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "images"
    make_class_folders(folder, 12)
    return folder


def job(row, data):
    return FeedJob(row, str(data), batch_size=4, image_size=32, min_area=0.08, max_aspect=4 / 3,
                   workers=1, images=12, skip=1)


@pytest.mark.parametrize("row", PEER_FEEDS)
def test_a_peer_gives_the_batches_that_are_timed(row, data):
    if unavailable_reason := PEER_FEEDS[row].unavailable_reason():
        pytest.skip(unavailable_reason)
    assert run_row(job(row, data)) > 0  # checks the shape of each batch


def test_crops_lie_in_the_image_and_vary():
    random.seed(0)
    boxes = {_crop_box(500, 375, job("", "data")) for _ in range(200)}
    assert len(boxes) > 150
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 500 and 0 <= top < bottom <= 375
        assert (right - left) * (bottom - top) > 0.07 * 500 * 375
        assert 0.7 < (right - left) / (bottom - top) < 1.4
