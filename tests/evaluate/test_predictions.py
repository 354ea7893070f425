"""The form of predictions, in memory and on disk."""

import numpy as np
import pytest

from common.cli import RequestError
from evaluate.predictions import gather_predictions, load_predictions, save_predictions

PROBABILITIES = np.array([[.1, .2, .3, .05, .15, .2], [.6, .1, .1, .1, .05, .05]], np.float32)


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


def test_fewer_than_five_classes_give_fewer_columns():
    predictions = gather_predictions([1], [0], [False], np.array([[.2, .5, .3]], np.float32))
    assert predictions.top5.tolist() == [[1, 2, 0]]


def test_a_repeated_id_is_named():
    with pytest.raises(RequestError, match="image id 4 is repeated"):
        gather_predictions([4, 4], [0, 0], [False, False], PROBABILITIES)


def test_the_file_opens_in_numpy_alone_with_the_documented_arrays(tmp_path):
    save_predictions(tmp_path / "p.npz", two())
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        found = {name: (arrays[name].dtype.str, arrays[name].shape) for name in arrays}
    assert found == {"image_id": ("<i4", (2,)), "label": ("<i4", (2,)),
                     "blacklisted": ("|b1", (2,)), "top5": ("<i4", (2, 5)),
                     "top5_prob": ("<f4", (2, 5))}


def test_what_is_loaded_is_what_was_saved(tmp_path):
    save_predictions(tmp_path / "p.npz", two())
    loaded = load_predictions(tmp_path / "p.npz")
    for name, value in two().arrays.items():
        assert np.array_equal(getattr(loaded, name), value)


def test_the_same_predictions_give_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        save_predictions(tmp_path / name, two())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("change, message", [
    ({"image_id": np.array([4, 4], np.int32)}, "image id 4 is repeated"),
    ({"image_id": np.array([9, 4], np.int32)}, "image id 4 is repeated or out of order"),
    ({"image_id": np.array([4, 9, 10], np.int32)}, "different lengths"),
    ({"image_id": np.array([4., 9.])}, "image_id is float64, not int32"),
    ({"top5": np.zeros((2, 4), np.int32)}, "different lengths"),
    ({"label": np.array([[], 0], object)}, "not a predictions.npz")])
def test_arrays_that_do_not_fit_are_refused(tmp_path, change, message):
    np.savez(tmp_path / "p.npz", **{**two().arrays, **change})
    with pytest.raises(RequestError, match=message):
        load_predictions(tmp_path / "p.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04torn", b"text"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "p.npz").write_bytes(content)
    with pytest.raises(RequestError, match="p.npz' is not a predictions.npz"):
        load_predictions(tmp_path / "p.npz")


def test_a_lacking_array_is_refused(tmp_path):
    np.savez(tmp_path / "p.npz", image_id=np.array([1], np.int32))
    with pytest.raises(RequestError, match="label"):
        load_predictions(tmp_path / "p.npz")
