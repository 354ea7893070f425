"""Each row that can run gives whole batches of crops, with the decoder that it stands for; each
crop lies in its image."""

import json
import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.feed import feeds
from benchmarks.feed.feeds import (ADSL_FEED, FEEDS, MINDSPORE_ROWS, OURS, OURS_BY_SHARD, RECORDS,
                                   FeedJob, _crop_box, run_row, steady_seconds)
from benchmarks.synthetic import make_class_folders
from benchmarks.timing import not_installed
from common.cli import CheckFailed

JOB = FeedJob("a feed", "data", batch_size=2, image_size=75, workers=1, images=10, skip=1)
BATCH = np.zeros((2, 75, 75, 3))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "images"
    make_class_folders(folder, 12)
    return folder


@pytest.mark.parametrize("row", [name for name in FEEDS if name not in MINDSPORE_ROWS])
def test_a_peer_gives_the_batches_that_are_timed(row, data):
    if reason := not_installed(*FEEDS[row].modules):
        pytest.skip(reason)
    job = replace(JOB, row=row, data=str(data), batch_size=4, image_size=32, images=12)
    assert run_row(job) > 0  # checks the shape of each batch


def test_our_rows_read_in_the_order_that_they_are_named_after(monkeypatch):
    asked, rows = [], SimpleNamespace(create_tuple_iterator=lambda **_: iter([]))

    def feed(source, recipe, steps):
        asked.append((source, recipe.shuffle, recipe.ranks, recipe.batch_size, recipe.image_size,
                      recipe.workers, steps))
        return SimpleNamespace(epoch=lambda number: rows)
    monkeypatch.setattr("train.feed.TrainingFeed", feed)
    monkeypatch.setattr(FeedJob, "records", lambda job: "records")
    for row in (OURS, OURS_BY_SHARD):
        assert list(FEEDS[row].batches(JOB)) == []
    assert asked == [("records", order, 1, 2, 75, 1, 5) for order in ("global", "shard")]


def test_crops_lie_in_the_image_and_vary():
    random.seed(0)
    boxes = {_crop_box(500, 375) for _ in range(200)}
    assert len(boxes) > 150
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 500 and 0 <= top < bottom <= 375
        assert (right - left) * (bottom - top) > 0.07 * 500 * 375
        assert 0.7 < (right - left) / (bottom - top) < 1.4


def test_the_ends_of_the_epoch_are_not_timed(monkeypatch):
    now = 0
    monkeypatch.setattr("benchmarks.feed.feeds.time.perf_counter", lambda: now)

    def batches():
        nonlocal now
        for seconds in (1, 10, 100, 1000, 10_000):  # until each of the five batches is there
            now += seconds
            yield BATCH

    assert steady_seconds(batches(), JOB) == 10 + 100 + 1000 and JOB.timed_images == 6


@pytest.mark.parametrize("batches, message", [
    ([BATCH] * 3, "ended before batch 4"), ([BATCH, BATCH[:1]], r"shape \(1, 75, 75, 3\)")])
def test_a_feed_that_gives_less_is_not_timed(batches, message):
    with pytest.raises(CheckFailed, match=message):
        steady_seconds(iter(batches), JOB)


@pytest.mark.parametrize("name, decoder", [
    (ADSL_FEED, "mindspore"), (RECORDS, "mindspore"), (OURS, None), (OURS_BY_SHARD, None),
    ("tf.data", None)])
def test_rows_of_mindspore_as_installed_keep_its_decoder(name, decoder, monkeypatch):
    calls = []
    monkeypatch.setattr(feeds, "run_process", lambda *command, environment: (
        calls.append((command[2:], environment)) or "a warning\n1.5\n"))
    job = replace(JOB, row=name)
    assert run_row(job) == 1.5
    (module, fields), environment = calls[0]
    assert module == "benchmarks.feed.feeds" and FeedJob(**json.loads(fields)) == job
    assert environment.get("JPEG_DECODER") == decoder
