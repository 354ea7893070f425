"""Which checkpoints stay, and which one a run resumes from."""

import mindspore as ms
import pytest

from inceptionv4.checkpoint import CheckpointMeta
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
from train.checkpoints import (add_checkpoint, best_checkpoint, checkpoints, newest_complete,
                               remove_after, remove_unfinished)


def add(folder, epoch, error=None, keep=2):
    meta = CheckpointMeta(3, 75, INCEPTION_MEAN, INCEPTION_STD, 0.9, "", epoch, 9 * epoch, error)
    add_checkpoint(folder, {"x": ms.Parameter(ms.Tensor([float(epoch)]), "x")}, meta, keep)


def epochs(folder):
    assert {path.stem for path in folder.glob("*.ckpt")} == {
        path.stem for path in folder.glob("*.meta")}
    return [int(path.stem.split("-")[1].split("_")[0]) for path in checkpoints(folder)]


def test_the_last_ones_stay_in_order_of_steps(tmp_path):
    """Steps 9, 18, 108 and 270, which as text would be 108, 18, 270, 9."""
    for epoch in (1, 2, 12, 30):
        add(tmp_path, epoch, keep=10)
    assert epochs(tmp_path) == [1, 2, 12, 30]
    assert newest_complete(tmp_path).meta.step == 270
    remove_after(tmp_path, 12)
    assert newest_complete(tmp_path).path.name == "inceptionv4-12_108.ckpt"
    add(tmp_path, 13, keep=2)
    assert epochs(tmp_path) == [12, 13]
    assert best_checkpoint(tmp_path) is None


def test_the_best_one_stays_too(tmp_path):
    for epoch, error in enumerate((50.0, 20.0, 30.0, 20.0, 40.0), start=1):
        add(tmp_path, epoch, error)
    assert epochs(tmp_path) == [2, 4, 5]


def test_torn_ones_are_passed_over_with_a_warning(tmp_path, capfd):
    for epoch in (1, 2, 3):
        add(tmp_path, epoch, keep=3)
    (tmp_path / "inceptionv4-3_27.meta").unlink()
    ckpt = tmp_path / "inceptionv4-2_18.ckpt"
    ckpt.chmod(0o600)
    data = bytearray(ckpt.read_bytes())
    data[-1] ^= 1
    ckpt.write_bytes(data)
    found = newest_complete(tmp_path)
    assert (found.meta.epoch, found.state["x"].asnumpy().tolist()) == (1, [1.0])
    warnings = capfd.readouterr().err.splitlines()
    assert len(warnings) == 2
    assert "inceptionv4-3_27.ckpt" in warnings[0] and "inceptionv4-2_18.ckpt" in warnings[1]


def test_a_file_of_another_name_is_none_of_the_runs(tmp_path):
    (tmp_path / "inceptionv4-3_27_backup.ckpt").write_text("")
    add(tmp_path, 1)
    assert [path.name for path in checkpoints(tmp_path)] == ["inceptionv4-1_9.ckpt"]


def test_damaged_ones_after_the_resumed_epoch_do_not_count_as_the_last(tmp_path):
    for epoch in (1, 2, 3):
        add(tmp_path, epoch, keep=3)
    remove_after(tmp_path, 1)
    add(tmp_path, 2, keep=2)
    assert epochs(tmp_path) == [1, 2]


def test_none_is_found_where_there_is_none(tmp_path):
    assert newest_complete(tmp_path) is None


@pytest.mark.parametrize("left", [".inceptionv4-3_27.x1", ".inceptionv4-3_27.meta.7.tmp",
                                  "inceptionv4-3_27.meta"])
def test_what_a_kill_left_is_removed(tmp_path, left):
    add(tmp_path, 2)
    if left.endswith("x1"):
        (tmp_path / left).mkdir()
    else:
        (tmp_path / left).write_text("")
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inceptionv4-2_18.ckpt",
                                                                "inceptionv4-2_18.meta"]
