"""How long a run takes, said after its first steps."""

import json
import re
from types import SimpleNamespace

import pytest

from common.forms import HistoryLine
from train import run_clock
from train.command import _describe_rest
from train.run_clock import RunClock, seconds_of_epoch


@pytest.fixture
def clock(monkeypatch):
    """Its first value is the time."""
    now = [100.0]
    monkeypatch.setattr(run_clock.time, "monotonic", lambda: now[0])
    return now


def plan(steps_per_epoch, epochs):
    return SimpleNamespace(steps_per_epoch=steps_per_epoch, steps=steps_per_epoch * epochs)


def said_at(run, clock, seconds, step=1):
    """Return what is said after how many steps, if each takes so many seconds, the first ten."""
    said = {}
    for done in range(step, run.plan.steps_per_epoch + 1, step):
        clock[0] = 110 + seconds * (done - 1)
        text = run.first_estimate(run.done_before + done)
        if text:
            said[done] = text
    return said


def test_it_is_said_once_without_the_first_step(clock):
    (done, text), = said_at(RunClock(plan(20, 3)), clock, 4).items()
    assert done == 6
    assert re.fullmatch(r"estimate from the first steps: 1 min 20 s per epoch, at least 3 min "
                        r"36 s to the end \((\d{4}-\d\d-\d\d )?\d\d:\d\d\): validating and "
                        "saving come on top", text)


@pytest.mark.parametrize("steps, step, done", [(3, 1, 2), (4, 1, 3), (2, 1, None), (1, 1, None),
                                               (300, 100, 200), (200, 100, None)])
def test_a_short_epoch_has_fewer_steps_and_its_own_line_comes_first(clock, steps, step, done):
    assert list(said_at(RunClock(plan(steps, 2)), clock, 20, step)) == ([done] if done else [])


@pytest.mark.parametrize("seconds, said", [(5.9, False), (6.1, True)])
def test_an_epoch_below_a_minute_says_itself_how_long_the_run_takes(clock, seconds, said):
    assert bool(said_at(RunClock(plan(10, 30)), clock, seconds)) is said


def test_the_time_of_an_epoch_has_its_share_of_validations_and_the_checkpoint():
    first = HistoryLine(1, 3, 1.0, 0.1, 2000.0, 16.0, seconds_validating=4.0, seconds_saving=2.0)
    slow = HistoryLine(2, 6, 1.0, 0.1, 90000.0, 1.0, seconds_since_last_epoch=6.5,
                       seconds_saving=1.0)
    third = HistoryLine(3, 9, 1.0, 0.1, 2000.0, 16.0, seconds_since_last_epoch=1.5,
                        seconds_saving=2.0)
    assert seconds_of_epoch([first], steps=3) == pytest.approx(12)
    assert seconds_of_epoch([first, slow, third], steps=3) == pytest.approx(6 + (4 + 2 + 1 + 2) / 3)


@pytest.mark.parametrize("key, value", [("ms_per_step", "NaN"), ("ms_per_step", "1e999"),
                                        ("ms_per_step", "null"), ("seconds_validating", '"x"')])
def test_a_history_with_what_is_no_time_is_resumed_without_an_estimate(tmp_path, key, value):
    line = {"epoch": 1, "step": 3, "loss": 1, "learning_rate": 1, "ms_per_step": 2,
            "images_per_second": 3, key: "?"}
    (tmp_path / "history.jsonl").write_text(json.dumps(line).replace('"?"', value) + "\n")
    of_three = SimpleNamespace(steps_per_epoch=3, epochs=3)
    assert _describe_rest(tmp_path, of_three, 1) == "epoch 1 is the last one saved"


def test_a_resumed_run_counts_its_own_steps(clock):
    run = RunClock(plan(10, 3), first_epoch=3)
    (done, text), = said_at(run, clock, 30).items()
    assert done == 6 and "5 min per epoch, at least 2 min to the end" in text
    clock[0] = 120
    assert run.left(25) == "20 s"


def test_another_day_is_named(clock):
    (_, text), = said_at(RunClock(plan(100, 95)), clock, 3600).items()
    assert re.search(r" 395\.\d days to the end \(20\d\d-\d\d-\d\d \d\d:\d\d\): ", text), text
