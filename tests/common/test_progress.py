"""Progress: a bar on a terminal, in a log lines that say something."""

import sys

import pytest

from common import progress
from common.progress import progress_bar


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The time that the progress reads, at ``clock[0]``."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_every_half_a_minute_and_one_at_the_end(clock, capsys):
    with progress_bar(2_000_000, "work", "images") as bar:
        assert capsys.readouterr().err == ""  # nothing says that nothing is done
        for second in range(0, 60, 10):
            clock[0] = second
            bar.set_postfix_str("loss 2.5", refresh=False)
            bar.update(20_000)
        clock[0] = 90
        bar.update(1_880_000)
    assert capsys.readouterr().err.splitlines() == [
        "work: 80,000 of 2,000,000 images (4 %), 2,667 images/s, 12 min left, loss 2.5",
        "work: 2,000,000 images in 1 min 30 s"]


def test_what_was_done_before_does_not_count_as_speed(clock, capsys):
    with progress_bar(1_000, "work", "images", initial=900) as bar:
        for clock[0], number in ((30, 3), (60, 0), (70, 97)):
            bar.update(number)
    assert capsys.readouterr().err.splitlines() == [
        "work: 903 of 1,000 images (90 %), 0.1 images/s, 16 min left",
        "work: 903 of 1,000 images (90 %), 0 images/s",
        "work: 100 images in 1 min 10 s, 900 were done before"]


@pytest.mark.parametrize("options, seconds, error, lines", [
    ({}, 2, None, 1), ({}, 1, None, 0), (dict(keep=False), 2, None, 0),
    (dict(shown=False), 90, None, 0), ({}, 2, KeyError, 0)])
def test_a_log_has_no_last_line_for_what_was_done_at_once_or_not_at_all(
        clock, capsys, options, seconds, error, lines):
    try:
        with progress_bar(3, "work", "runs", **options) as bar:
            clock[0] = seconds
            bar.update(1)
            bar.update(2)
            if error:
                raise error
    except KeyError:
        pass
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_one_is_no_plural(clock, capsys):
    for unit in ("runs", "MB"):
        with progress_bar(1, "work", unit) as bar:
            clock[0] += 2
            bar.update()
    assert capsys.readouterr().err == "work: 1 run in 2.0 s\nwork: 1 MB in 2.0 s\n"


def test_a_terminal_has_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_bar(1, "work", "images") as bar:
        bar.set_postfix_str("loss 2.5", refresh=False)
        bar.update(1)
    text = capsys.readouterr().err
    assert "\r" in text and "work: 100%" in text and "loss 2.5" in text and " 1/1 " in text
    with progress_bar(9, "work", "images", initial=2, keep=False) as bar:
        assert (bar.total, bar.n, bar.desc, bar.unit, bar.leave, bar.disable) == (
            9, 2, "work", " images", False, False)
        assert bar.dynamic_ncols, "a window that is made narrower"
    capsys.readouterr()
    with progress_bar(9, "work", "images", shown=False) as bar:
        bar.update(9)
    assert capsys.readouterr().err == ""
