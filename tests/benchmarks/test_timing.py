"""Rows run in turns, their processes get their environment, and every process that decodes starts
with the decoder that the commands have."""

import json
import runpy
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks import timing
from benchmarks.conversion import peers
from benchmarks.feed import mindspore_feeds, row
from benchmarks.feed.job import FeedJob
from benchmarks.timing import in_turns, run_process, timed
from common import cli
from common.cli import CheckFailed, RequestError

ROOT = Path(__file__).parents[2]
JOB = FeedJob("a feed", "data", batch_size=2, image_size=4, min_area=0.1, max_aspect=1.3, workers=1,
              images=6, skip=1)
ENTRY_POINTS = ("benchmarks.__main__", "benchmarks.conversion.peers", "benchmarks.feed.row",
                "benchmarks.steps.bare_loop")


def test_rows_run_in_turns():
    order = []
    results = in_turns({name: lambda name=name: order.append(name) or len(order)
                        for name in ("a", "b")}, 3, "test")
    assert order == ["a", "b"] * 3 and results == {"a": [1, 3, 5], "b": [2, 4, 6]}


def test_a_time_is_that_of_the_action(monkeypatch):
    now = [5.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    assert timed(lambda: now.append(now.pop() + 2.5)) == 2.5


def test_a_process_has_its_environment_and_its_failure_is_quoted(monkeypatch):
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("CHANGED", "2")
    show = "import os; print(os.environ['KEPT'], os.environ['CHANGED'])"
    assert run_process(sys.executable, "-c", show, environment={"CHANGED": "3"}) == "1 3\n"
    fail = "import sys; sys.exit('x' * 1000 + 'the reason')"
    with pytest.raises(CheckFailed, match="ended with 1: x{289}the reason$"):
        run_process(sys.executable, "-c", fail, environment={})


@pytest.mark.parametrize("name, decoder", [
    (mindspore_feeds.SEED, "mindspore"), (mindspore_feeds.RECORDS, "mindspore"),
    (mindspore_feeds.OURS, None), (mindspore_feeds.OURS_BY_SHARD, None), ("tf.data", None)])
def test_rows_of_mindspore_as_installed_keep_its_decoder(name, decoder, monkeypatch):
    calls = []
    monkeypatch.setattr(row, "run_process", lambda *command, environment: (
        calls.append((command[2:], environment)) or "a warning\n1.5\n"))
    job = FeedJob(**{**asdict(JOB), "row": name})
    assert row.run_row(job) == 1.5
    (module, fields), environment = calls[0]
    assert module == "benchmarks.feed.row" and FeedJob(**json.loads(fields)) == job
    assert environment.get("JPEG_DECODER") == decoder


def test_a_row_loads_the_decoder_before_its_feed_starts(monkeypatch, capsys):
    order = []
    monkeypatch.setattr(cli, "prefer_pillows_libjpeg", lambda: order.append("decoder"))
    monkeypatch.setitem(mindspore_feeds.MINDSPORE_FEEDS, "a feed", lambda job: (
        order.append("feed") or iter([np.zeros((2, 4, 4, 3))] * 3)))
    monkeypatch.setattr(sys, "argv", ["row", json.dumps(asdict(JOB))])
    monkeypatch.delitem(sys.modules, "benchmarks.feed.row")
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("benchmarks.feed.row", run_name="__main__")
    assert order == ["decoder", "feed"] and 0 < float(capsys.readouterr().out) < 1


def test_the_bare_loop_loads_the_decoder_before_the_device(monkeypatch, tmp_path, capsys):
    order = []

    def no_device(name, seed):
        order.append(name)
        raise RequestError("stop here")
    monkeypatch.setattr(cli, "prefer_pillows_libjpeg", lambda: order.append("decoder"))
    monkeypatch.setattr("inceptionv4.device.setup_device", no_device)
    monkeypatch.setattr(sys, "argv", ["bare_loop", "--run", "run", "--images", str(tmp_path),
                                      "--device", "CPU"])
    monkeypatch.delitem(sys.modules, "benchmarks.steps.bare_loop", raising=False)
    with pytest.raises(SystemExit, match="2"):
        runpy.run_module("benchmarks.steps.bare_loop", run_name="__main__")
    assert order == ["decoder", "CPU"] and "error: stop here" in capsys.readouterr().err


def test_a_worker_loads_the_decoder_before_it_decodes(monkeypatch, tmp_path):
    order = []
    (tmp_path / "1.JPEG").write_bytes(b"one")
    monkeypatch.setattr(peers, "prefer_pillows_libjpeg", lambda: order.append("decoder"))
    monkeypatch.setitem(peers.DECODERS, "any", order.append)
    peers._decode_files("any", [tmp_path / "1.JPEG"] * 2)
    assert order == ["decoder", b"one", b"one"]


def test_entry_points_import_no_mindspore_before_they_run():
    code = f"import sys, {', '.join(ENTRY_POINTS)}; print('mindspore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True,
                          check=True)
    assert done.stdout == "False\n"
