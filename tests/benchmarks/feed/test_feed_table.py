"""The feed benchmark runs every row that can run here and says why the others cannot."""

import contextlib
import math
import os
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.feed import feed_table as feeds
from benchmarks.feed import storage
from benchmarks.feed.feeds import (ADSL_FEED, FEEDS, MINDSPORE_ROWS, OURS, Feed, FeedJob,
                                   steady_seconds)
from benchmarks.feed.feed_table import (FeedRequest, benchmark_feeds, cores_needed, mix_of,
                                        time_section)
from benchmarks.feed.storage import COLD, SLOW, WARM, Storage
from common.forms import SpeedRow

JOB = FeedJob("a feed", "data", batch_size=2, image_size=4, workers=1, images=10, skip=1)


def test_every_mindspore_row_is_timed_and_nothing_is_left(tmp_path, monkeypatch):
    jobs, recipes, orders, mounts = [], [], [], []
    run_row, order = feeds.run_row, feeds._order
    data, slow = tmp_path / "work" / "data", tmp_path / "work" / "slow"

    def run(job):
        """Only one row in a process of its own, since each loads MindSpore; none from the mount."""
        jobs.append(job)
        if job.data == str(slow):
            return 1.0
        return (run_row(job) if job.row == OURS else
                steady_seconds(FEEDS[job.row].batches(job), job))

    def mount(*arguments):
        mounts.append(arguments)
        return contextlib.nullcontext()
    monkeypatch.setattr(storage, "slow_mount", mount)
    monkeypatch.setattr(feeds, "FEEDS", {name: FEEDS[name] for name in MINDSPORE_ROWS})
    monkeypatch.setattr(storage, "_why_no_cold_cache", lambda: "not asked for")
    monkeypatch.setattr(feeds, "run_row", run)
    monkeypatch.setattr(feeds, "_order", lambda records, recipe, epoch: (
        recipes.append((recipe.shuffle, recipe.batch_size, epoch))
        or orders.append(order(records, recipe, epoch)) or orders[-1]))
    table = benchmark_feeds(FeedRequest(tmp_path, images=64, repeats=1, workers=1, batch_size=16,
                                        image_size=75, skip=1, open_ms=1, read_ms=0))
    assert recipes == [("global", 16, 1), ("global", 16, 2), ("shard", 16, 1), ("shard", 16, 2)]
    for rows in orders:  # two classes, in the order of the ids
        assert sorted(map(tuple, rows)) == [(number // 32, number + 1) for number in range(64)]
    assert len({rows.tobytes() for rows in orders}) == 4
    assert jobs[0] == FeedJob(ADSL_FEED, str(data), batch_size=16, image_size=75, workers=1,
                              images=64, skip=1)
    rows = len(MINDSPORE_ROWS)
    assert [job.data for job in jobs] == [str(data)] * rows + [str(slow)] * rows
    assert mounts == [(data, slow, 0, 0)] + [(data, slow, 1, 0)] * rows  # the first is a trial
    assert (table.items, table.ratio) == (32, "rate") and os.listdir(tmp_path) == []
    assert [(row.section, row.name) for row in table.rows] == [
        (section, name) for section in (WARM, COLD, SLOW) for name in MINDSPORE_ROWS]
    for row in table.rows:
        assert bool(row.note) != bool(row.seconds)
    assert all(row.seconds[0] > 0 for row in table.rows if row.section in (WARM, SLOW))
    assert all(row.note == "not asked for" for row in table.rows if row.section == COLD)
    assert any("such cores feed" in line for line in table.closing)
    assert [line.split()[0] for line in table.closing if "classes in a batch" in line] == [
        "global", "shard"]


def test_a_missing_peer_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(FEEDS, "other", Feed(None, ("no_such_package", "no_such_package.module")))
    monkeypatch.setitem(FEEDS, "compiled", Feed(None, ("os", "no_such_package"), "make it"))
    place = Storage("any", lambda: contextlib.nullcontext(tmp_path))
    other, compiled = time_section(place, ["other", "compiled"], JOB, 1)
    assert other.seconds == [] and other.note == "not installed: pip install '.[bench]'"
    assert compiled.note == "not installed: make it"


def test_each_run_of_a_section_is_prepared_and_the_cache_is_full_before(tmp_path, monkeypatch):
    seen = []

    @contextlib.contextmanager
    def reading():
        seen.append("prepared")
        yield tmp_path / "elsewhere"
    seconds = iter([1.0, 10.0, 2.0, 20.0])
    monkeypatch.setattr(feeds, "fill_cache", seen.append)
    monkeypatch.setattr(feeds, "run_row",
                        lambda job: (seen.append((job.row, job.data)), next(seconds))[1])
    rows = time_section(Storage("any", reading), [OURS, ADSL_FEED],
                        replace(JOB, data=str(tmp_path)), 2)
    folder = str(tmp_path / "elsewhere")
    assert seen == [tmp_path, *2 * ["prepared", (OURS, folder), "prepared", (ADSL_FEED, folder)]]
    assert [(row.name, row.seconds, row.section) for row in rows] == [
        (OURS, [1.0, 2.0], "any"), (ADSL_FEED, [10.0, 20.0], "any")]
    unavailable, = time_section(Storage("any", reading, "no root"), [OURS], JOB, 2)
    assert (unavailable.seconds, unavailable.note) == ([], "no root")


def test_the_cores_that_feed_eight_cards():
    rows = [SpeedRow(OURS, [2.0], section=WARM), SpeedRow(OURS, [9.0], section=COLD),
            SpeedRow(ADSL_FEED, [], "why", WARM), SpeedRow("tf.data", [1.0], section=WARM)]
    line, = cores_needed(rows, images=1000, workers=4)  # 500 images/s, 125 a core
    assert line.startswith(f"{OURS}: {math.ceil(4430 / 125)} such cores")


def epoch(labels, ids):
    return np.stack([labels, ids], axis=1)


def test_classes_and_largest_share_of_batches():
    order = epoch([0, 0, 0, 1, 2, 3, 2, 3, 9], range(9))  # the ninth is in no whole batch
    mix = mix_of(order, order, batch_size=4)
    assert mix.classes == 2 and mix.largest_share == (3 / 4 + 2 / 4) / 2


@pytest.mark.parametrize("second, batch_size, repeated", [
    ([0, 1, 2, 3], 2, 1), ([2, 3, 1, 0], 2, 1), ([0, 2, 1, 3], 2, 0), ([0, 2, 3, 1], 2, 0),
    ([0, 1, 3, 4, 5, 2], 3, (2 + 2) / (6 * 2))])
def test_batch_fellows_of_the_next_epoch(second, batch_size, repeated):
    labels = [0] * len(second)
    mix = mix_of(epoch(labels, range(len(second))), epoch(labels, second), batch_size)
    assert mix.repeated == pytest.approx(repeated)
