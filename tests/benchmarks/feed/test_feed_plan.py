"""Every option of the feed benchmark reaches what it is for; all have values of their own."""

import dataclasses
import os
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.feed import feed_table as module
from benchmarks.feed.feed_table import FeedRequest, benchmark_feeds, cores_needed
from benchmarks.feed.feeds import (ADSL_FEED, FEEDS, MINDSPORE_ROWS, OURS, OURS_BY_SHARD, FeedJob)
from benchmarks.feed.storage import COLD, SLOW, WARM, Storage
from common.cli import RequestError
from common.forms import SpeedRow

OPTIONS = dict(images=200, repeats=5, workers=3, batch_size=16, image_size=80, skip=2, open_ms=7,
               read_ms=9)


@pytest.mark.parametrize("workers", [3, 0])
def test_every_option_reaches_images_rows_and_settings(workers, tmp_path, monkeypatch):
    made, placed, timed, mixed = [], [], [], []
    places = [Storage(title, None) for title in (WARM, COLD, SLOW)]
    used = workers or 6
    data = tmp_path / "work" / "data"

    def make(folder, images, processes):
        made.append((folder, images, processes))
        folder.mkdir(parents=True)

    def section(storage, names, job, repeats):
        timed.append((storage.title, tuple(names), job, repeats))
        return [SpeedRow(OURS, [2.0], section=storage.title)]
    monkeypatch.setattr(module, "available_cores", lambda: 6)
    monkeypatch.setattr(module, "make_folders_and_records", make)
    monkeypatch.setattr(module, "storages", lambda *given: placed.append(given) or places)
    monkeypatch.setattr(module, "time_section", section)
    monkeypatch.setattr(FeedJob, "records", lambda job: f"records of {job.data}")
    monkeypatch.setattr(module, "describe_mixes", lambda *given: mixed.append(given) or ["mix"])
    monkeypatch.setattr(module, "describe_machine", lambda folder: {"of": folder})
    table = benchmark_feeds(FeedRequest(tmp_path, **{**OPTIONS, "workers": workers}))
    job = FeedJob("", str(data), 16, 80, used, 200, 2)
    assert made == [(data, 200, used)] and placed == [(data, 7, 9)]
    assert timed == [(WARM, tuple(FEEDS), job, 5), (COLD, tuple(FEEDS), job, 5),
                     (SLOW, MINDSPORE_ROWS, job, 5)]
    assert mixed == [(f"records of {data}", 16, used)]
    assert (table.items, table.unit, table.ratio) == ((12 - 4) * 16, "images", "rate")
    assert [row.section for row in table.rows] == [WARM, COLD, SLOW]
    assert table.settings == {
        "repeats": 5, "workers": used, "images": 200, "batch": 16, "crop": "80 px",
        "not timed": "first and last 2 batches",
        "slow mount": "7 ms per open, 9 ms per 128 KB"}
    assert table.machine == {"of": tmp_path} and os.listdir(tmp_path) == []
    assert table.closing == [*cores_needed(table.rows, 128, used), "mix"]


def test_limits_of_the_request_are_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "available_cores", lambda: 6)
    request = FeedRequest(tmp_path, images=16 * 5, batch_size=16, skip=2, workers=6)
    for name, value, message in (("images", 79, "--images 79: .* give at least 80$"),
                                 ("workers", 7, "--workers 7: give at most 6,")):
        with pytest.raises(RequestError, match=message):
            dataclasses.replace(request, **{name: value})


def test_cores_are_named_for_each_of_three_feeds():
    rows = [SpeedRow(name, [seconds, 1e6, 0.0], section=WARM) for name, seconds in (
        (OURS_BY_SHARD, 1.0), (ADSL_FEED, 8.0), (OURS, 2.0), ("tf.data", 3.0))]
    assert cores_needed(rows, images=886, workers=3) == [  # 4430 / 886 = 5 times the rate, 3 cores
        f"{name}: {cores} such cores feed 8 x Ascend 910 at 4,430 images/s"
        for name, cores in ((ADSL_FEED, 120), (OURS, 30), (OURS_BY_SHARD, 15))]


def test_mixes_are_of_two_epochs_of_each_order(monkeypatch):
    asked = []

    def order(records, recipe, epoch):
        asked.append((records, recipe.ranks, recipe.batch_size, recipe.workers, recipe.shuffle,
                      epoch))
        ids = {("global", 1): [0, 1, 2, 3], ("global", 2): [0, 2, 1, 3],
               ("shard", 1): [0, 2, 1, 3], ("shard", 2): [2, 0, 3, 1]}[recipe.shuffle, epoch]
        return np.array([[number // 2, number] for number in ids])
    records = SimpleNamespace(images=12, files=["a", "b", "c"], class_names=["x", "y"])
    monkeypatch.setattr(module, "_order", order)
    assert module.describe_mixes(records, 2, 5) == [
        "global order (3 shards of about 4 images, 2 classes): 1.0 classes in a batch, the "
        "commonest with 100.0% of it; 0.00% of an image's batch is with it again in the next epoch",
        "shard order (3 shards of about 4 images, 2 classes): 2.0 classes in a batch, the "
        "commonest with 50.0% of it; 100.00% of an image's batch is with it again in the next "
        "epoch"]
    assert asked == [(records, 1, 2, 5, shuffle, epoch) for shuffle in ("global", "shard")
                     for epoch in (1, 2)]
