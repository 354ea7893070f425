"""One conversion shared out by ranges of shards gives what one command gives."""

import os
import subprocess
import sys
import threading

import pytest
from reading import digests

from common.cli import RequestError
from convert import shards as shards_module
from convert.conversion import convert, convert_range, finish
from convert.request import Request
from convert.shards import build_shard
from convert.workspace import BUILDING


@pytest.fixture(scope="module")
def train(sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("train") / "records"
    convert(Request(sample, "train", out, shards=4))
    return out


def request(sample, out, **changes):
    return Request(**{"source": sample, "split": "train", "out": out, "shards": 4, **changes})


def test_ranges_and_finish_give_the_same_bytes(sample, train, tmp_path):
    out = tmp_path / "b"
    assert len(convert_range(request(sample, out), 2, 3)) == 2
    assert os.listdir(out) == [BUILDING]
    with pytest.raises(RequestError, match="2 of 4 shards are not finished \\(0, 1\\)"):
        finish(request(sample, out))
    convert_range(request(sample, out), 0, 1)
    finish(request(sample, out))
    assert digests(out) == digests(train)
    finish(request(sample, out))  # asked again it does nothing


def test_two_ranges_at_the_same_time(sample, train, tmp_path):
    """Overlapping ones, too: both processes build shard 1, whose bytes are the same."""
    command = [sys.executable, "-m", "convert", "run", "--source", sample, "--split", "train",
               "--out", tmp_path / "b", "--shards", "4", "--workers", "1", "--shard-range"]
    running = [subprocess.Popen([*command, part], stdout=subprocess.PIPE, text=True,
                                stderr=subprocess.PIPE) for part in ("0-1", "1-3")]
    for process in running:
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        assert "python -m convert finish" in output
    finish(request(sample, tmp_path / "b"))
    assert digests(tmp_path / "b") == digests(train)


def test_what_another_host_finished_meanwhile_stays(sample, train, tmp_path, monkeypatch):
    def twice(plan, workspace, keep_bad):
        build_shard(plan, workspace, keep_bad)
        return build_shard(plan, workspace, keep_bad)
    monkeypatch.setattr(shards_module, "build_shard", twice)
    convert(request(sample, tmp_path / "b"))
    assert digests(tmp_path / "b") == digests(train)


def test_a_range_and_a_whole_conversion_exclude_each_other(sample, tmp_path, monkeypatch):
    inside, go_on = threading.Event(), threading.Event()

    def wait(plan, workspace, keep_bad):
        inside.set()
        go_on.wait()
        return build_shard(plan, workspace, keep_bad)
    monkeypatch.setattr(shards_module, "build_shard", wait)
    running = threading.Thread(target=convert_range, args=(request(sample, tmp_path / "b"), 0, 0))
    running.start()
    inside.wait()
    try:
        for other in (convert, finish):
            with pytest.raises(RequestError, match="another conversion is writing there"):
                other(request(sample, tmp_path / "b"))
    finally:
        go_on.set()
        running.join()


def test_a_range_of_another_request_is_refused(sample, tmp_path):
    convert_range(request(sample, tmp_path / "b"), 0, 0)
    with pytest.raises(RequestError, match="half-done.*seed: was 0, now 5"):
        convert_range(request(sample, tmp_path / "b", seed=5), 1, 1)


@pytest.mark.parametrize("first, last", [(0, 4), (3, 2)])
def test_shards_that_are_not_there_are_refused(sample, tmp_path, first, last):
    with pytest.raises(RequestError, match=f"--shard-range {first}-{last}: the shards are 0 to 3"):
        convert_range(request(sample, tmp_path / "b"), first, last)


def test_a_range_that_is_none_is_refused(sample, tmp_path):
    done = subprocess.run([sys.executable, "-m", "convert", "run", "--source", sample, "--split",
                           "train", "--out", tmp_path / "b", "--shard-range", "3"],
                          capture_output=True, text=True)
    assert done.returncode == 2
    assert "'3' is not a range like 0-7" in done.stderr and done.stderr.count("\n") == 1
