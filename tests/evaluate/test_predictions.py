"""The form of predictions, in memory and on disk; rows are shared out without loss, and parts are
whole, once and of one request."""

import gc
import resource

import numpy as np
import pytest

from common.cli import RequestError
from evaluate import predictions
from evaluate.predictions import (Part, gather_predictions, load_predictions, missing_rows,
                                  opened_parts, read_parts, remove_parts, rows_of_rank,
                                  save_predictions, saved_rows, write_parts)

PROBABILITIES = np.array([[.1, .2, .3, .05, .15, .2], [.6, .1, .1, .1, .05, .05]], np.float32)
REQUEST = {"crops": 1, "checkpoint_sha256": "c" * 64}


def two():
    return gather_predictions([9, 4], [2, 5], [False, True], PROBABILITIES)


def test_rows_come_in_image_id_order_with_the_best_five():
    predictions = two()
    assert predictions.image_id.tolist() == [4, 9]
    assert predictions.label.tolist() == [5, 2]
    assert predictions.blacklisted.tolist() == [True, False]
    # Of equal probabilities the lower class comes first.
    assert predictions.top5.tolist() == [[0, 1, 2, 3, 4], [2, 1, 5, 4, 0]]
    assert predictions.top5_prob[1].tolist() == PROBABILITIES[0][[2, 1, 5, 4, 0]].tolist()


def test_of_many_equal_probabilities_the_lowest_classes_come_first():
    equal = gather_predictions([1], [0], [False], np.full((1, 1000), 1e-3, np.float32))
    assert equal.top5.tolist() == [[0, 1, 2, 3, 4]]


def test_fewer_than_five_classes_give_fewer_columns():
    predictions = gather_predictions([1], [0], [False], np.array([[.2, .5, .3]], np.float32))
    assert predictions.top5.tolist() == [[1, 2, 0]]


def test_the_file_opens_in_numpy_alone_and_holds_what_was_saved(tmp_path):
    for name in ("a.npz", "b.npz"):
        save_predictions(tmp_path / name, two())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        found = {name: (arrays[name].dtype.str, arrays[name].shape) for name in arrays}
    assert found == {"image_id": ("<i4", (2,)), "label": ("<i4", (2,)),
                     "blacklisted": ("|b1", (2,)), "top5": ("<i4", (2, 5)),
                     "top5_prob": ("<f4", (2, 5))}
    loaded = load_predictions(tmp_path / "a.npz")
    for name, value in two().arrays.items():
        assert np.array_equal(getattr(loaded, name), value)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("change, message", [
    ({"image_id": np.array([4, 4], np.int32)}, "image id 4 is repeated"),
    ({"image_id": np.array([9, 4], np.int32)}, "image id 4 is repeated or out of order"),
    ({"image_id": np.array([4, 9, 10], np.int32)}, "different lengths"),
    ({name: array[[0, 1, 1, 1]] for name, array in two().arrays.items()} | {
        "image_id": np.array([4, 9, 12, 12], np.int32)}, "image id 12 is repeated"),
    ({"image_id": np.array([4., 9.])}, "image_id is float64, not int32"),
    ({"top5": np.zeros((2, 4), np.int32)}, "different lengths"),
    ({"label": np.array([[], 0], object)}, "not a predictions.npz")])
def test_arrays_that_do_not_fit_are_refused(tmp_path, change, message):
    np.savez(tmp_path / "p.npz", **{**two().arrays, **change})
    with pytest.raises(RequestError, match=message):
        load_predictions(tmp_path / "p.npz")


def test_another_file_is_refused(tmp_path):
    for content in (b"", b"PK\x03\x04torn", b"text"):
        (tmp_path / "p.npz").write_bytes(content)
        with pytest.raises(RequestError, match="p.npz' is not a predictions.npz"):
            load_predictions(tmp_path / "p.npz")
    np.savez(tmp_path / "p.npz", image_id=np.array([1], np.int32))
    with pytest.raises(RequestError, match="label"):
        load_predictions(tmp_path / "p.npz")


def part(start, stop, first_id=None):
    """Rows whose image ids count downwards from 100, or upwards from ``first_id``."""
    ids = [100 - row for row in range(start, stop)] if first_id is None else list(
        range(first_id, first_id + stop - start))
    probabilities = np.array([[.1 * (k % 7), .3, .2] for k in ids], np.float32)
    return Part(range(start, stop),
                gather_predictions(ids, [0] * len(ids), [False] * len(ids), probabilities),
                seconds=2.0, waiting=0.5)


def write(folder, *parts):
    for one in parts:
        write_parts(folder, [one])


@pytest.mark.parametrize("images", [0, 1, 7, 50_000])
@pytest.mark.parametrize("group", [1, 6, 72])
@pytest.mark.parametrize("ranks", [1, 3, 8])
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
    assert (whole.rows, whole.seconds, whole.waiting) == (range(0, 6), 4.0, 1.0)


@pytest.mark.parametrize("seconds_per_part, at_the_third, at_the_end", [
    (60, [], [range(0, 4), range(6, 8)]),
    (0, [range(0, 2), range(2, 4)], [range(0, 2), range(2, 4), range(6, 8)])])
def test_neighbours_are_joined_until_their_time_has_come_and_an_error_loses_nothing(
        tmp_path, monkeypatch, seconds_per_part, at_the_third, at_the_end):
    monkeypatch.setattr(predictions, "SECONDS_PER_PART", seconds_per_part)

    def groups():
        yield part(0, 2)
        yield part(2, 4)
        assert saved_rows(tmp_path) == at_the_third
        yield part(6, 8)
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        write_parts(tmp_path, groups())
    assert saved_rows(tmp_path) == at_the_end


def test_a_part_holds_a_minute_of_groups_from_the_last_one_on(tmp_path, monkeypatch):
    now = 0.0
    monkeypatch.setattr(predictions.time, "monotonic", lambda: now)

    def groups():
        nonlocal now
        for start in range(0, 14, 2):
            now += 25
            yield part(start, start + 2)
    write_parts(tmp_path, groups())
    assert saved_rows(tmp_path) == [range(0, 6), range(6, 12), range(12, 14)]


@pytest.mark.parametrize("parts, message", [
    ([part(0, 4), part(2, 6)], "hold 8 rows instead of 6"),
    ([part(0, 4, first_id=1), part(4, 6, first_id=4)], "image id 4 is repeated")])
def test_rows_that_are_there_twice_are_refused(tmp_path, parts, message):
    write(tmp_path, *parts)
    with pytest.raises(RequestError, match=message):
        read_parts(tmp_path, 6)


def test_a_damaged_part_or_one_of_another_length_is_named(tmp_path):
    write(tmp_path, part(0, 6))
    path = tmp_path / "rows-00000000-00000006.npz"
    content = path.read_bytes()
    for damaged in (content[:-30], b"", content.replace(b"times", b"tines")):
        path.write_bytes(damaged)
        with pytest.raises(RequestError, match=path.name):
            read_parts(tmp_path, 6)
    path.write_bytes(content)
    path.rename(tmp_path / "rows-00000000-00000007.npz")
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


def test_the_request_is_removed_last(tmp_path, monkeypatch):
    with opened_parts(tmp_path, REQUEST, alone=True) as folder:
        write(folder, part(0, 2))
        monkeypatch.setattr(predictions.shutil, "rmtree", lambda _: None)  # killed before it
        remove_parts(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "request.json"]


def test_a_folder_in_use_is_refused_except_to_a_rank_of_the_same_evaluation(tmp_path):
    with opened_parts(tmp_path, {}, alone=True):
        with pytest.raises(RequestError, match="another evaluation is writing there"):
            with opened_parts(tmp_path, {}, alone=True):
                pass
        with opened_parts(tmp_path, {}, alone=False):
            pass
    with opened_parts(tmp_path, {}, alone=True):
        pass


def test_waiting_ends_when_the_last_part_is_there(tmp_path, monkeypatch, capsys):
    write(tmp_path, part(0, 2))
    monkeypatch.setattr(predictions.time, "sleep", lambda seconds: write(tmp_path, part(2, 4)))
    assert read_parts(tmp_path, 4).rows == range(0, 4)
    assert "waiting for the parts of the other ranks" in capsys.readouterr().out


def test_a_full_disk_keeps_the_old_file_and_names_it(tmp_path, capfd):
    """A limit on the size of a file stands in for it."""
    path = tmp_path / "p.npz"
    save_predictions(path, two())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, before[1]))
    try:
        with pytest.raises(OSError, match="File too large: '.*p.npz'"):
            save_predictions(path, two())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    gc.collect()
    assert capfd.readouterr().err == ""
    assert np.array_equal(load_predictions(path).label, two().label)
    assert [each.name for each in tmp_path.iterdir()] == ["p.npz"]
