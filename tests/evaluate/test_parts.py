"""Rows are shared out without loss, and parts on the disk are whole, once and of one request."""

import subprocess
import sys

import numpy as np
import pytest

from common.cli import RequestError
from evaluate import parts
from evaluate.parts import (PartWriter, missing_rows, opened_parts, read_parts,
                            remove_parts, rows_of_rank, saved_rows,
                            wait_for_all)
from evaluate.predictions import Part, gather_predictions

REQUEST = {"crops": 1, "checkpoint_sha256": "c" * 64}


def part(start, stop, first_id=None):
    """Rows whose image ids count downwards from 100, or upwards from ``first_id``."""
    ids = [100 - row for row in range(start, stop)] if first_id is None else list(
        range(first_id, first_id + stop - start))
    probabilities = np.array([[.1 * (k % 7), .3, .2] for k in ids], np.float32)
    return Part(range(start, stop),
                gather_predictions(ids, [0] * len(ids), [False] * len(ids), probabilities),
                seconds=2.0, waiting=0.5)


def write(folder, *written):
    for one in written:
        with PartWriter(folder) as writer:
            writer.add(one)


@pytest.mark.parametrize("images", [0, 1, 7, 50_000])
@pytest.mark.parametrize("group", [1, 6, 72])
@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_every_row_belongs_to_one_rank_and_groups_stay_whole(images, group, ranks):
    shares = [rows_of_rank(images, group, rank, ranks) for rank in range(ranks)]
    assert [row for share in shares for row in share] == list(range(images))
    assert all(share.start % group == 0 or not share for share in shares)
    assert max(map(len, shares)) - min(map(len, shares)) <= 2 * group


@pytest.mark.parametrize("saved, expected", [
    ([], [range(4, 12)]), ([range(0, 20)], []), ([range(4, 12)], []),
    ([range(0, 6)], [range(6, 12)]), ([range(10, 20)], [range(4, 10)]),
    ([range(0, 2), range(5, 7), range(9, 10)], [range(4, 5), range(7, 9), range(10, 12)])])
def test_missing_rows_are_what_no_part_holds(saved, expected):
    assert missing_rows(saved, range(4, 12)) == expected


def test_parts_come_back_as_one_in_image_id_order(tmp_path):
    write(tmp_path, part(4, 6), part(0, 4))
    assert saved_rows(tmp_path) == [range(0, 4), range(4, 6)]
    whole = read_parts(tmp_path, 6)
    assert whole.predictions.image_id.tolist() == [95, 96, 97, 98, 99, 100]
    assert np.array_equal(whole.predictions.top5_prob, part(0, 6).predictions.top5_prob)
    assert (whole.seconds, whole.waiting) == (4.0, 1.0)


def test_a_writer_joins_neighbours_and_keeps_strangers_apart(tmp_path):
    with PartWriter(tmp_path) as writer:
        for one in (part(0, 2), part(2, 4), part(6, 8)):
            writer.add(one)
        assert saved_rows(tmp_path) == [range(0, 4)]
    assert saved_rows(tmp_path) == [range(0, 4), range(6, 8)]


def test_a_part_is_written_when_its_time_has_come(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "SECONDS_PER_PART", 0)
    with PartWriter(tmp_path) as writer:
        writer.add(part(0, 2))
        assert saved_rows(tmp_path) == [range(0, 2)]


def test_what_was_finished_before_an_error_is_kept(tmp_path):
    with pytest.raises(KeyError):
        with PartWriter(tmp_path) as writer:
            writer.add(part(0, 2))
            raise KeyError
    assert saved_rows(tmp_path) == [range(0, 2)]


@pytest.mark.parametrize("written, message", [
    ([part(0, 4)], "hold 4 rows instead of 6"),
    ([part(0, 4), part(2, 6)], "hold 8 rows instead of 6"),
    ([part(0, 4, first_id=1), part(4, 6, first_id=4)], "image id 4 is repeated")])
def test_rows_that_are_missing_or_twice_are_refused(tmp_path, written, message):
    write(tmp_path, *written)
    with pytest.raises(RequestError, match=message):
        read_parts(tmp_path, 6)


@pytest.mark.parametrize("damage", [lambda content: content[:-30], lambda content: b"",
                                    lambda content: content.replace(b"times", b"tines")])
def test_a_damaged_part_is_named(tmp_path, damage):
    write(tmp_path, part(0, 6))
    path = tmp_path / "rows-00000000-00000006.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RequestError, match=path.name):
        read_parts(tmp_path, 6)


def test_a_part_of_another_length_than_its_name_says_is_named(tmp_path):
    write(tmp_path, part(0, 6))
    (tmp_path / "rows-00000000-00000006.npz").rename(tmp_path / "rows-00000000-00000007.npz")
    with pytest.raises(RequestError, match="rows-00000000-00000007.npz' holds 6 rows"):
        read_parts(tmp_path, 7)


@pytest.mark.parametrize("alone", [True, False])
def test_parts_of_another_request_are_kept_and_named(tmp_path, alone):
    with opened_parts(tmp_path, REQUEST, alone=True) as folder:
        write(folder, part(0, 2))
    with pytest.raises(RequestError, match="parts of another evaluation .crops: was 1, now 144"):
        with opened_parts(tmp_path, {**REQUEST, "crops": 144}, alone):
            pass
    with opened_parts(tmp_path, REQUEST, alone) as folder:
        assert saved_rows(folder) == [range(0, 2)]
        remove_parts(folder)
    assert not folder.exists()


HOLD = ("import sys, pathlib; from evaluate.parts import opened_parts\n"
        "with opened_parts(pathlib.Path(sys.argv[1]), {}, True):\n"
        "    print('held', flush=True); sys.stdin.read()")


def test_a_folder_in_use_is_refused_and_is_free_when_its_user_was_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(RequestError, match="another evaluation is writing there"):
        with opened_parts(tmp_path, {}, alone=True):
            pass
    with opened_parts(tmp_path, {}, alone=False):  # a rank of the same evaluation
        pass
    holder.kill()
    holder.communicate()
    with opened_parts(tmp_path, {}, alone=True):
        pass


def test_waiting_ends_when_the_last_part_is_there(tmp_path, monkeypatch, capsys):
    write(tmp_path, part(0, 2))
    monkeypatch.setattr(parts.time, "sleep", lambda seconds: write(tmp_path, part(2, 4)))
    wait_for_all(tmp_path, 4)
    assert saved_rows(tmp_path) == [range(0, 2), range(2, 4)]
    assert "waiting for the parts of the other ranks" in capsys.readouterr().out
