"""Rows run in turns, their processes get their environment, and every process that decodes starts
with the decoder that the commands have."""

import contextlib
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks import timing
from benchmarks.conversion import packers
from benchmarks.timing import in_turns, run_process, time_rows, timed
from common import cli, signals
from common.cli import CheckFailed
from common.forms import SpeedRow


class Bar(contextlib.AbstractContextManager):
    """A stand-in of a progress bar."""

    def __init__(self, started):
        self.started, self.n = started, 0

    def update(self, number):
        self.n += number

    def __exit__(self, *error):
        pass


def test_rows_run_in_turns_and_a_time_is_that_of_the_action(monkeypatch):
    order, now, bars = [], [5.0], []
    monkeypatch.setattr(timing, "progress_bar", lambda *given: bars.append(Bar(given)) or bars[-1])
    results = in_turns({name: lambda name=name: order.append(name) or len(order)
                        for name in ("a", "b")}, 3, "test")
    assert order == ["a", "b"] * 3 and results == {"a": [1, 3, 5], "b": [2, 4, 6]}
    assert len(bars) == 1 and bars[0].started == (6, "test", "runs") and bars[0].n == 6
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    assert timed(lambda: now.append(now.pop() + 2.5)) == 2.5


def test_rows_keep_the_order_the_section_and_the_reasons(monkeypatch):
    descriptions, run = [], timing.in_turns
    monkeypatch.setattr(timing, "in_turns", lambda actions, repeats, description: (
        descriptions.append(description) or run(actions, repeats, description)))
    actions = {"a": lambda: 1.5, "b": None, "c": lambda: 2.5}
    assert time_rows(actions, 2, "Warm CACHE", 7, {"b": "missing", "c": ""}) == [
        SpeedRow("a", [1.5, 1.5], "", "Warm CACHE", 7),
        SpeedRow("b", [], "missing", "Warm CACHE", 7),
        SpeedRow("c", [2.5, 2.5], "", "Warm CACHE", 7)]
    assert time_rows({"a": lambda: 1.5}, 1) == [SpeedRow("a", [1.5])]
    assert descriptions == ["time warm cache", "time rows"]


def test_a_process_has_its_environment_and_its_failure_is_quoted(monkeypatch):
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("CHANGED", "2")
    show = "import os; print(os.environ['KEPT'], os.environ['CHANGED'])"
    assert run_process(sys.executable, "-c", show, environment={"CHANGED": "3"}) == "1 3\n"
    fail = "import sys; print('y' * 280); sys.exit('the reason')"
    with pytest.raises(CheckFailed, match="python.* ended with 1: y{280}\nthe reason\n$"):
        run_process(sys.executable, "-c", fail)
    fail = "import sys; sys.exit('x' * 1000 + 'the reason')"
    with pytest.raises(CheckFailed, match="ended with 1: x{289}the reason$"):
        run_process(sys.executable, "-c", fail, environment={})


@pytest.mark.parametrize("module", ["benchmarks.__main__", "benchmarks.conversion.packers",
                                    "benchmarks.feed.feeds", "benchmarks.steps.training_runs"])
def test_programs_load_the_decoder_first(module, monkeypatch):
    def stop():
        raise InterruptedError("loading the decoder")
    monkeypatch.setattr(cli, "prefer_pillows_libjpeg", stop)
    monkeypatch.setattr(signals, "take_signals_from_mindspore", lambda: None)  # not pytest's
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(InterruptedError, match="loading the decoder"):
        runpy.run_module(module, run_name="__main__")


def test_a_worker_loads_the_decoder_before_it_decodes(monkeypatch, tmp_path):
    order = []
    (tmp_path / "1.JPEG").write_bytes(b"one")
    monkeypatch.setattr(packers, "prefer_pillows_libjpeg", lambda: order.append("decoder"))
    monkeypatch.setitem(packers.DECODERS, "any", order.append)
    packers._decode_files("any", [tmp_path / "1.JPEG"] * 2)
    assert order == ["decoder", b"one", b"one"]


def test_a_family_is_the_process_and_all_below_it():
    """A shell, its shell and the sleep of that."""
    code = "sh -c 'sh -c \"sleep 60; true\"; true'; true"
    with subprocess.Popen(["sh", "-c", code]) as root:
        while len(found := timing.family_of(root.pid)) < 4:
            assert root.poll() is None
        assert found[0].pid == root.pid
        timing.kill_all([psutil.Process(root.pid), *found])  # the first one twice, it has ended
    assert psutil.wait_procs(found)[1] == [] and timing.family_of(root.pid) == []


def test_an_interrupted_process_takes_along_what_it_would_leave(tmp_path):
    """A process that ends at SIGTERM leaves a child, which holds its output open."""
    code = ("import sys; from benchmarks.timing import run_process\n"
            "run_process(sys.executable, '-c', *sys.argv[1:])")
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    child = f"import time; time.sleep(30); open({str(tmp_path / 'end')!r}, 'w')"
    running = subprocess.Popen([sys.executable, "-c", code, parent, child],
                               stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    family = psutil.Process(running.pid)
    while len(started := family.children(recursive=True)) < 2:
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    running.wait()
    psutil.wait_procs(started)
    assert list(tmp_path.iterdir()) == []
