"""Progress in a log file: lines, none of which is written over."""

from common.cli import progress_bar


def test_a_log_file_gets_lines(capsys):
    with progress_bar(2, "work", "images") as bar:
        bar.update(1)
        bar.update(1)
    text = capsys.readouterr().err
    assert "\r" not in text and text.endswith("\n")
    first, *_, last = text.splitlines()
    assert first.startswith("work:   0%") and last.startswith("work: 100%") and "2/2" in last


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    import sys
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress_bar(1, "work", "images") as bar:
        bar.update(1)
    assert "\r" in capsys.readouterr().err
