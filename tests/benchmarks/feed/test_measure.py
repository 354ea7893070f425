"""The feed benchmark runs every row that can run here and says why the others cannot."""

import contextlib
import math
import os
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.feed import job as feed_job
from benchmarks.feed import measure as feeds
from benchmarks.feed import mixing
from benchmarks.feed.job import FeedJob, steady_seconds
from benchmarks.feed.measure import (COLD, SLOW, WARM, FeedRequest, FeedSection, benchmark_feeds,
                                     cores_needed)
from benchmarks.feed.mindspore_feeds import MINDSPORE_FEEDS, OURS, SEED
from benchmarks.feed.peer_feeds import PEER_FEEDS, Peer
from benchmarks.feed.row import unavailable_reason_of
from benchmarks.feed.slow_mount import NoMount
from common.cli import CheckFailed, RequestError
from common.forms import SpeedRow

JOB = FeedJob("a feed", "data", batch_size=2, image_size=4, min_area=0.1, max_aspect=1.3, workers=1,
              images=10, skip=1)
BATCH = np.zeros((2, 4, 4, 3))


def request(tmp_path, **values):
    defaults = dict(out=tmp_path, images=64, repeats=1, workers=1, batch_size=16,
                    image_size=75, skip=1, open_ms=1, read_ms=0)
    return FeedRequest(**{**defaults, **values})


def test_every_mindspore_row_is_timed_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "PEER_FEEDS", {})
    monkeypatch.setattr(feeds, "_why_no_cold_cache", lambda: "not asked for")
    jobs, run_row = [], feeds.run_row
    monkeypatch.setattr(feeds, "run_row", lambda job: jobs.append(job) or run_row(job))
    recipes, mix_of_feed = [], mixing.mix_of_feed
    monkeypatch.setattr(mixing, "mix_of_feed", lambda records, recipe: (
        recipes.append((recipe.shuffle, recipe.batch_size)) or mix_of_feed(records, recipe)))
    table = benchmark_feeds(request(tmp_path))
    assert recipes == [("global", 16), ("shard", 16)]
    assert jobs[0] == FeedJob(SEED, str(tmp_path / "work" / "data"), batch_size=16, image_size=75,
                              min_area=0.08, max_aspect=4 / 3, workers=1, images=64, skip=1)
    assert (table.items, table.ratio) == (32, "rate") and os.listdir(tmp_path) == []
    assert [(row.section, row.name) for row in table.rows] == [
        (section, name) for section in (WARM, COLD, SLOW) for name in MINDSPORE_FEEDS]
    for row in table.rows:
        assert bool(row.note) != bool(row.seconds)
    assert all(row.seconds[0] > 0 for row in table.rows if row.section == WARM)
    assert all(row.note == "not asked for" for row in table.rows if row.section == COLD)
    assert any("such cores feed" in line for line in table.closing)
    assert [line.split()[0] for line in table.closing if "classes in a batch" in line] == [
        "global", "shard"]


def test_the_ends_of_the_epoch_are_not_timed(monkeypatch):
    now = 0
    monkeypatch.setattr(feed_job.time, "perf_counter", lambda: now)

    def batches():
        nonlocal now
        for seconds in (1, 10, 100, 1000, 10_000):  # until each of the five batches is there
            now += seconds
            yield BATCH

    assert steady_seconds(batches(), JOB) == 10 + 100 + 1000 and JOB.timed_images == 6


@pytest.mark.parametrize("batches, message", [
    ([BATCH] * 3, "ended before batch 4"), ([BATCH, BATCH[:1]], r"shape \(1, 4, 4, 3\)")])
def test_a_feed_that_gives_less_is_not_timed(batches, message):
    with pytest.raises(CheckFailed, match=message):
        steady_seconds(iter(batches), JOB)


def test_a_missing_peer_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(PEER_FEEDS, "other", Peer(None, ("no_such_package.module",)))
    section = FeedSection("any", ["other"], contextlib.nullcontext)
    row, = feeds._time_section(section, JOB, 1)
    assert row.seconds == [] and "not installed" in row.note and "[bench]" in row.note
    assert unavailable_reason_of(SEED) == ""


def test_without_root_or_fuse_rows_say_why(tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "DROP_CACHES", tmp_path / "missing")
    assert "only root" in feeds._why_no_cold_cache()

    def no_mount(*arguments):
        raise NoMount("no FUSE")
    monkeypatch.setattr(feeds, "slow_mount", no_mount)
    assert feeds._why_no_mount(tmp_path) == "no FUSE"


def test_a_section_prepares_each_run_and_a_cold_one_drops_the_caches(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setattr(feeds, "DROP_CACHES", tmp_path / "drop_caches")
    seen = []

    @contextlib.contextmanager
    def reading(job):
        with feeds._cold(job) as prepared:
            seen.append((job.row, (tmp_path / "drop_caches").read_text()))
            yield replace(prepared, data="elsewhere")
        (tmp_path / "drop_caches").unlink()
    seconds = iter([1.0, 10.0, 2.0, 20.0])
    monkeypatch.setattr(feeds, "run_row", lambda job: (seen.append(job.data), next(seconds))[1])
    section = FeedSection("any", [OURS, SEED], reading)
    rows = feeds._time_section(section, replace(JOB, data=str(tmp_path)), 2)
    assert seen == 2 * [(OURS, "3"), "elsewhere", (SEED, "3"), "elsewhere"]
    assert [(row.name, row.seconds, row.section) for row in rows] == [
        (OURS, [1.0, 2.0], "any"), (SEED, [10.0, 20.0], "any")]


def test_the_cores_that_feed_eight_cards():
    rows = [SpeedRow(OURS, [2.0], section=WARM), SpeedRow(OURS, [9.0], section=COLD),
            SpeedRow(SEED, [], "why", WARM), SpeedRow("tf.data", [1.0], section=WARM)]
    line, = cores_needed(rows, images=1000, workers=4)  # 500 images/s, 125 a core
    assert line.startswith(f"{OURS}: {math.ceil(4430 / 125)} such cores")


@pytest.mark.parametrize("values, message", [
    ({"images": 47}, "--images 47.*at least 48"), ({"workers": -1}, "--workers -1"),
    ({"workers": 1000}, "--workers 1000"), ({"repeats": 0}, "--repeats 0"),
    ({"read_ms": -1}, "--read-ms -1"), ({"skip": 0}, "--skip 0")])
def test_a_value_out_of_range_is_refused_before_anything_is_made(tmp_path, values, message):
    with pytest.raises(RequestError, match=message):
        benchmark_feeds(request(tmp_path, **values))
    assert not (tmp_path / "work").exists()


def test_images_of_a_broken_run_are_not_measured(tmp_path):
    (tmp_path / "work" / "data").mkdir(parents=True)
    with pytest.raises(RequestError, match="interrupted run"):
        benchmark_feeds(request(tmp_path))
