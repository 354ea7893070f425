"""The card waits as long as its step; what it waits for data follows from known times."""

import sys
import threading

import numpy as np
import pytest

from benchmarks.steps import simulated_card
from benchmarks.steps.steps_plan import VARIANTS
from benchmarks.steps.simulated_card import (QUEUE_BATCHES, fed_by_a_queue, fed_by_the_host,
                                             figures_of, run_simulated)
from benchmarks.steps.training_runs import Workload
from benchmarks.synthetic import make_folders_and_records
from common.cli import RequestError

RUN = Workload("simulated", "float32", 1, 2, 75, steps_per_epoch=2, warmup_epochs=1, epochs=2)
STEP = 10.0  # seconds


class Batch:
    """A stand-in of a tensor."""

    def __init__(self, number: int):
        self.number = number

    def asnumpy(self) -> np.ndarray:
        return np.full((2, 3), self.number)


class Clock:
    """Time passes in sleeps, which end late, and where a test adds to it."""

    now, late = 100.0, 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self.late


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(simulated_card.time, "sleep", found.sleep)
    monkeypatch.setattr(simulated_card.time, "perf_counter", lambda: found.now)
    return found


def test_the_host_fetches_a_batch_when_the_last_step_has_ended(clock):
    def batches():
        for number, seconds in enumerate((30, 2, 5)):
            clock.now += seconds
            yield Batch(number), None
    assert list(fed_by_the_host(batches(), STEP)) == [140, 152, 167]


def test_a_step_from_the_queue_starts_when_card_and_batch_are_ready(clock, monkeypatch):
    """However late the thread that takes the batch wakes up. The second batch is there during the
    first step, the third one five seconds after the second step."""
    def fill(batches, free, filled):
        for item in [(100.0, "a"), (104.0, "b"), (125.0, "c"), (None, None)]:
            filled.put(item)
    monkeypatch.setattr(simulated_card, "_fill", fill)
    clock.late = 1.0
    assert list(fed_by_a_queue([], STEP)) == [110, 120, 135]


def test_the_queue_is_filled_during_a_step_and_never_more(monkeypatch):
    copied, at_each_step, arrays = [], [], []
    copy, wait = simulated_card._copy, threading.Event().wait

    def copying(images, memory):
        copied.append(images.number)
        arrays.append(copy(images, memory))
        assert (arrays[-1] == images.number).all()
        return arrays[-1]

    def step(seconds):
        for _ in range(10_000):
            if len(copied) >= min(len(at_each_step) + QUEUE_BATCHES, 5):
                break
            wait(0.001)
        at_each_step.append(len(copied))
    monkeypatch.setattr(simulated_card, "_copy", copying)
    monkeypatch.setattr(simulated_card.time, "sleep", step)
    assert len(list(fed_by_a_queue(((Batch(number), None) for number in range(5)), STEP))) == 5
    assert copied == [0, 1, 2, 3, 4] and at_each_step == [2, 3, 4, 5, 5]
    assert len({id(array) for array in arrays}) == QUEUE_BATCHES  # made once


@pytest.mark.parametrize("run", [fed_by_the_host, fed_by_a_queue])
def test_a_feed_that_fails_ends_the_run(clock, run):
    def batches():
        yield Batch(0), None
        raise RequestError("no more images")
    ends = run(batches(), STEP)
    assert next(ends) >= 110
    with pytest.raises(RequestError, match="no more images"):
        next(ends)


def test_a_run_that_fails_is_not_kept_alive_by_its_queue(monkeypatch):
    threads, thread = [], threading.Thread
    monkeypatch.setattr(simulated_card.threading, "Thread", lambda **given: (
        threads.append(thread(**given)) or threads[-1]))
    assert next(fed_by_a_queue([(Batch(0), None)], 0.0)) > 0
    assert [each.daemon for each in threads] == [True]


def test_figures_follow_from_the_ends_of_the_steps():
    """Of three epochs of two steps the first is the warm-up; 40 of the 50 s after it are steps."""
    ends = [50.0, 100.0, 110.0, 120.0, 135.0, 150.0]
    seconds, waiting, cores = figures_of(ends, 90, RUN, STEP)
    assert seconds == [10, 15] and waiting == pytest.approx(0.2)
    assert cores == 90 / 6 / STEP  # of all six steps, the warm-up's too
    never = [STEP * number for number in range(1, 7)]
    assert figures_of(never, 90, RUN, STEP + 1e-9).waiting == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "images"
    make_folders_and_records(folder, 12, 1)
    return folder


@pytest.mark.parametrize("variant", [VARIANTS[1], VARIANTS[4]])
def test_a_feed_of_the_trainer_is_timed(variant, data, tmp_path, monkeypatch, capsys):
    runs, cpu_seconds = [], iter([5.0, 8.0])  # before and after the run
    monkeypatch.setattr(simulated_card.time, "process_time", lambda: next(cpu_seconds))

    def in_this_process(python, flag, module, *words, environment):
        assert (python, flag, module) == (sys.executable, "-m", "benchmarks.steps.simulated_card")
        assert environment == {"A": "b"}
        monkeypatch.setattr(sys, "argv", [module, *map(str, words)])
        simulated_card.main()
        return capsys.readouterr().out
    for name in ("fed_by_a_queue", "fed_by_the_host"):
        monkeypatch.setattr(simulated_card, name,
                            lambda *given, name=name, run=getattr(simulated_card, name): (
                                runs.append(name) or run(*given)))
    monkeypatch.setattr(simulated_card, "run_process", in_this_process)
    source = ["--images", data] if variant.source == "images" else ["--records", data / "records"]
    flags = [*source, "--normalize-on", variant.normalize_on,
             "--sink" if variant.sink else "--no-sink"]
    found = run_simulated(RUN, 20.0, flags, tmp_path, {"A": "b"})
    assert runs == ["fed_by_a_queue" if variant.sink else "fed_by_the_host"]
    assert len(found.seconds) == 2 and min(found.seconds) > 0.02 * 0.999
    assert 0 <= found.waiting < 1 and found.cores == pytest.approx(3.0 / 6 / 0.02)
    assert list(tmp_path.iterdir()) == []
