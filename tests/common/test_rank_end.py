"""What a rank notes for its launcher when its work is done."""

import pytest

from common.cli import RequestError, run_command
from common.rank_end import FOLDER_OF_ENDS, note_end, noted_ends, take_place_of_note


@pytest.fixture
def rank_3(tmp_path, monkeypatch):
    """A rank; returns where it notes its end."""
    for name, value in ((FOLDER_OF_ENDS, str(tmp_path)), ("MS_ROLE", "MS_WORKER"),
                        ("RANK_ID", "3")):
        monkeypatch.setenv(name, value)
    return tmp_path


def test_only_the_ranks_that_were_asked_for_are_read(rank_3):
    note_end(take_place_of_note(), 0)
    note_end(rank_3 / "4", 7)
    assert noted_ends(rank_3, [2, 3]) == {3: 0} and noted_ends(rank_3, [3, 4, 5]) == {3: 0, 4: 7}


@pytest.mark.parametrize("name, value", [(FOLDER_OF_ENDS, None), ("MS_ROLE", "MS_SCHED"),
                                         ("MS_ROLE", None)])
def test_what_is_no_rank_of_a_launcher_notes_nothing(rank_3, monkeypatch, name, value):
    monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    note_end(take_place_of_note(), 0)
    assert list(rank_3.iterdir()) == []


def test_a_process_that_a_rank_starts_notes_nothing(rank_3):
    noted = []

    def rank():
        assert run_command(lambda: 5) == 5  # what it starts has its environment
        noted.extend(rank_3.iterdir())

    assert run_command(rank) == 0
    assert noted == [] and noted_ends(rank_3, [3]) == {3: 0}


def test_work_that_is_done_is_not_lost_where_its_end_cannot_be_noted(rank_3):
    rank_3.rmdir()
    assert run_command(lambda: None) == 0


def end_with(error):
    def main():
        if error:
            raise error
    return main


@pytest.mark.parametrize("error, code", [(None, 0), (RequestError("x"), 2),
                                         (ZeroDivisionError("x"), 1)])
def test_every_command_notes_its_exit_code_whatever_it_ends_with(rank_3, capfd, error, code):
    if isinstance(error, ZeroDivisionError):
        with pytest.raises(ZeroDivisionError):
            run_command(end_with(error))
    else:
        assert run_command(end_with(error)) == code
    assert noted_ends(rank_3, [3]) == {3: code}
