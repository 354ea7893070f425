"""One conversion shared out by ranges of shards gives what one command gives."""

import os
import subprocess
import threading

import pytest
from reading import command, digests

from common.cli import RequestError
from convert import shards as shards_module
from convert.conversion import convert, convert_range, finish
from convert.request import Request
from convert.shards import build_shard
from convert.workspace import BUILDING


@pytest.fixture
def request_of(sample, tmp_path):
    """A request for three shards in the folder b."""
    def make(**changes):
        return Request(sample, "train", tmp_path / "b", shards=3, **changes)
    return make


def test_ranges_and_finish_give_the_same_bytes(request_of, train):
    request = request_of()
    for first, last in (0, 3), (2, 1):
        with pytest.raises(RequestError, match=f"-range {first}-{last}: the shards are 0 to 2"):
            convert_range(request, first, last)
    assert len(convert_range(request, 1, 2)) == 2
    assert os.listdir(request.out) == [BUILDING]
    with pytest.raises(RequestError, match="1 of 3 shards not finished \\(0\\)"):
        finish(request)
    convert_range(request, 0, 0)
    finish(request)
    assert digests(request.out) == digests(train)
    with pytest.raises(RequestError, match="holds a finished record set already"):
        convert_range(request, 0, 0)


def test_two_ranges_at_the_same_time(request_of, sample, train):
    """Overlapping ones, too: both processes build shard 1, whose bytes are the same."""
    request = request_of()
    running = [subprocess.Popen(command(sample, request.out, "--workers", 1, "--shard-range", part),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for part in ("0-1", "1-2")]
    for process in running:
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        assert " -m convert finish --source " in errors
    finish(request)
    assert digests(request.out) == digests(train)


def test_what_another_host_finished_meanwhile_stays(request_of, train, monkeypatch):
    def twice(plan, workspace, keep_bad):
        build_shard(plan, workspace, keep_bad)
        return build_shard(plan, workspace, keep_bad)
    monkeypatch.setattr(shards_module, "build_shard", twice)
    convert(request_of())
    assert digests(request_of().out) == digests(train)


def test_another_range_may_run_meanwhile_but_no_whole_conversion(request_of, monkeypatch):
    inside, go_on = threading.Event(), threading.Event()

    write = shards_module._write

    def wait(plan, data_file):
        if plan.index == 0 and not inside.is_set():  # a second builder would wait for ever
            inside.set()
            go_on.wait()
        return write(plan, data_file)
    monkeypatch.setattr(shards_module, "_write", wait)
    running = threading.Thread(target=convert_range, args=(request_of(), 0, 0))
    running.start()
    inside.wait()
    try:
        convert_range(request_of(), 1, 1)
        for other in (convert, finish):
            with pytest.raises(RequestError, match="another conversion is writing there"):
                other(request_of())
    finally:
        go_on.set()
        running.join()
    with pytest.raises(RequestError, match="1 of 3 shards not finished \\(2\\)"):
        finish(request_of())


def test_another_request_for_a_half_done_output_is_refused(request_of):
    convert_range(request_of(), 0, 0)
    for other in (convert, finish, lambda request: convert_range(request, 1, 1)):
        with pytest.raises(RequestError, match="half-done.*seed: was 0, now 5"):
            other(request_of(seed=5))
