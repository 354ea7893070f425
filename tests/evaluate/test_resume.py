"""Killed and started again an evaluation goes on, and its result is the same to the bit."""

import json
import signal

import mindspore as ms
import numpy as np
import pytest

import evaluate.command
from evaluate.predictions import saved_rows


def sets_and_arrays(folder):
    with np.load(folder / "predictions.npz") as arrays:
        return (json.loads((folder / "result.json").read_text())["sets"],
                {name: arrays[name].tobytes() for name in arrays})


def test_a_killed_evaluation_resumes_and_ends_with_the_same_bits(call, words, stand_in, tmp_path):
    assert call(*words("whole"))[0] == 0
    killed = stand_in(words("killed"), GROUPS_TO_LIVE="2")
    assert killed.returncode == -signal.SIGKILL
    parts = tmp_path / "killed" / "parts"
    assert saved_rows(parts) == [range(0, 2), range(2, 4)]
    assert not (tmp_path / "killed" / "result.json").exists()
    before = [np.load(path)["times"][0] for path in parts.glob("rows-*")]
    assert len(before) == 2 and min(before) > 0
    code, printed, _ = call(*words("killed"))
    assert code == 0 and "4 of 7 images are in" in printed
    assert "label_rank" in sets_and_arrays(tmp_path / "killed")[1]  # --curve was asked for
    assert sets_and_arrays(tmp_path / "killed") == sets_and_arrays(tmp_path / "whole")
    assert not parts.exists()
    speed = json.loads((tmp_path / "killed" / "result.json").read_text())["speed"]
    assert speed["ranks"] == 1 and speed["seconds_of_all_ranks"] > sum(before)
    assert speed["images_per_second_per_rank"] == pytest.approx(
        7 / speed["seconds_of_all_ranks"])


def test_an_interrupted_evaluation_keeps_what_was_finished(call, words, interrupted, tmp_path):
    part, = interrupted.glob("rows-*")
    with np.load(part) as arrays:  # as if these two images had taken 1,000 s, half without data
        np.savez(part, **{**arrays, "times": np.array([1000.0, 500.0])})
    code, printed, _ = call(*words("out"))
    assert code == 0 and "2 of 7 images are in" in printed
    assert not interrupted.exists()
    speed = json.loads((tmp_path / "out" / "result.json").read_text())["speed"]
    assert speed["seconds_of_all_ranks"] == pytest.approx(1000, abs=20)
    assert speed["images_per_second_per_rank"] == pytest.approx(0.007, rel=0.02)
    assert speed["waiting_for_data"] == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("change, said", [
    ({"crops": 10, "views_per_step": 10}, "crops: was 12, now 10"),
    ({"views_per_step": 6}, "images_per_step: was 2, now 1")])
def test_parts_of_another_protocol_are_refused_and_kept(call, words, interrupted, change, said):
    code, _, errors = call(*words("out", **change))
    assert code == 2 and len(errors) == 1 and said in errors[0] and str(interrupted) in errors[0]
    assert saved_rows(interrupted) == [range(0, 2)]


def test_parts_of_other_statistics_are_refused_and_kept(call, words, save, records, interrupted,
                                                        tmp_path):
    """The weights are the same; mean and std stand in the meta file alone."""
    other = save(tmp_path / "b.ckpt", class_names_sha256=records.class_names_sha256,
                 mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    code, _, errors = call(*words("out", checkpoint=other))
    assert code == 2 and "mean: was [120.0, 110.0, 100.0], now [1.0, 2.0, 3.0]" in errors[0]
    assert "std: was [60.0, 50.0, 70.0], now [4.0, 5.0, 6.0]" in errors[0]
    assert saved_rows(interrupted) == [range(0, 2)]


@pytest.mark.parametrize("failing", ["save_predictions", "write_text", "write_json"])
def test_parts_stay_until_the_result_is_written(call, words, monkeypatch, tmp_path, failing):
    def full_disk(*_):
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr(evaluate.command, failing, full_disk)
        assert call(*words("out"))[0] == 2
    assert not (tmp_path / "out" / "result.json").exists()
    assert sum(map(len, saved_rows(tmp_path / "out" / "parts"))) == 7
    code, printed, _ = call(*words("out"))
    assert code == 0 and "7 of 7 images are in" in printed
    assert not (tmp_path / "out" / "parts").exists()


def test_parts_of_another_checkpoint_are_refused_and_kept(call, words, save, network, interrupted,
                                                          tmp_path):
    bias = network.classifier.bias
    kept = bias.asnumpy()
    bias.set_data(ms.Tensor(kept + 1))
    other = save(tmp_path / "b.ckpt")
    bias.set_data(ms.Tensor(kept))
    code, _, errors = call(*words("out", checkpoint=other))
    assert code == 2 and "checkpoint_sha256" in errors[0]
    assert saved_rows(interrupted) == [range(0, 2)]


def test_parts_of_other_records_are_refused_and_kept(call, words, source, convert_source,
                                                     interrupted, tmp_path):
    other = convert_source(source, tmp_path / "other", shards=3)
    code, _, errors = call(*words("out", records=other.folder))
    assert code == 2 and "records_sha256" in errors[0]
    assert saved_rows(interrupted) == [range(0, 2)]


def test_merged_rows_are_compared_with_the_manifest(call, words, interrupted, tmp_path):
    """A label that changed in a finished part is noticed before a result is written."""
    part, = interrupted.glob("rows-*")
    with np.load(part) as arrays:
        np.savez(part, **{**arrays, "label": (arrays["label"] + 1) % 3})
    code, _, errors = call(*words("out"))
    assert code == 2 and "ids, labels or blacklist flags" in errors[0]
    assert not (tmp_path / "out" / "result.json").exists()
