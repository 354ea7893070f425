"""The run folder's way to OBS after each save, and back from there before a run goes on."""

import json
import shutil
from pathlib import Path

import pytest
from reading import digests

from common.cli import RequestError
from train.mirror import Mirror

TARGET = "obs://bucket/run"


def save(run: Path, epoch: int, keep: int = 2, loss: float = 1.0) -> None:
    """What the trainer writes at the end of an epoch, in small; epoch 0 is the start."""
    folder = run / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    if epoch == 0:
        for name in ("config.json", "plan.json"):
            (run / name).write_text("{}")
        return
    for suffix in (".ckpt", ".meta"):
        (folder / f"inceptionv4-{epoch}_{9 * epoch}{suffix}").write_text(f"{epoch} {loss}")
        (folder / f"inceptionv4-{epoch - keep}_{9 * (epoch - keep)}{suffix}").unlink(
            missing_ok=True)
    with open(run / "history.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"epoch": epoch, "loss": loss}) + "\n")


def train(mirror: Mirror, first: int, last: int, loss: float = 1.0) -> None:
    for epoch in range(first, last + 1):
        save(mirror.run, epoch, loss=loss)
        mirror.after_save(mirror.run)


def sent(obs) -> list[str]:
    """Files that were copied to the run on OBS, in order."""
    return [target.removeprefix(f"{TARGET}/") for _, target in obs.calls("copy")
            if target.startswith("obs://")]


@pytest.fixture
def mirror(obs, tmp_path) -> Mirror:
    return Mirror(tmp_path / "host" / "run", TARGET)


@pytest.fixture
def other_host(mirror, tmp_path) -> Mirror:
    return Mirror(tmp_path / "other-host" / "run", TARGET)


def test_after_each_save_obs_holds_what_the_run_folder_holds(obs, mirror):
    for epoch in range(5):
        train(mirror, epoch, epoch)
        assert digests(obs.bucket / "run") == digests(mirror.run)
    mirror.finish()


def test_only_what_is_new_is_sent_and_the_checkpoint_last(obs, mirror):
    train(mirror, 0, 1)
    assert sent(obs) == ["config.json", "plan.json", "history.jsonl",
                         "checkpoints/inceptionv4-1_9.ckpt", "checkpoints/inceptionv4-1_9.meta"]
    before = len(sent(obs))
    train(mirror, 2, 2)
    assert sent(obs)[before:] == ["history.jsonl", "checkpoints/inceptionv4-2_18.ckpt",
                                  "checkpoints/inceptionv4-2_18.meta"]


def test_an_old_checkpoint_goes_only_when_the_new_one_is_there(obs, mirror):
    train(mirror, 0, 2)
    obs.spoil("copy", "raise")
    train(mirror, 3, 3)
    assert (obs.bucket / "run" / "checkpoints" / "inceptionv4-1_9.ckpt").exists()
    train(mirror, 4, 4)
    assert digests(obs.bucket / "run") == digests(mirror.run)


def test_unfinished_files_are_not_sent(obs, mirror):
    save(mirror.run, 0)
    (mirror.run / ".config.json.7.tmp").write_text("{")
    mirror.after_save(mirror.run)
    assert sorted(sent(obs)) == ["config.json", "plan.json"]


def test_a_failed_copy_is_a_warning_and_made_up_for_after_the_next_save(obs, mirror, capsys):
    train(mirror, 0, 1)
    obs.spoil("copy", "raise")
    train(mirror, 2, 2)
    warning, = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: ") and TARGET in warning and "does not answer" in warning
    assert digests(obs.bucket / "run") != digests(mirror.run)
    train(mirror, 3, 3)
    mirror.finish()
    assert capsys.readouterr().err == ""
    assert digests(obs.bucket / "run") == digests(mirror.run)


def test_what_failed_at_the_last_save_is_tried_again_at_the_end(obs, mirror):
    obs.spoil("list_directory", "raise")
    train(mirror, 0, 1)
    obs.spoil("copy", "raise")
    train(mirror, 2, 2)
    mirror.finish()
    assert digests(obs.bucket / "run") == digests(mirror.run)


def test_what_fails_to_the_end_is_an_error_and_kept(obs, mirror):
    train(mirror, 0, 1)
    obs.spoil("copy", "raise", times=2)
    train(mirror, 2, 2)
    with pytest.raises(RequestError, match=f"kept in {mirror.run} .*does not answer"):
        mirror.finish()
    assert (mirror.run / "checkpoints" / "inceptionv4-2_18.ckpt").exists()


def test_a_run_in_use_is_refused(obs, mirror):
    mirror.check_unused()
    save(mirror.run, 0)
    (mirror.run / "config.json").unlink()
    mirror.after_save(mirror.run)
    mirror.check_unused()  # a plan
    train(mirror, 0, 0)
    with pytest.raises(RequestError, match="config.json.*--resume"):
        mirror.check_unused()


def test_another_host_goes_on_with_the_run(obs, mirror, other_host):
    train(mirror, 0, 3)
    other_host.bring_back()
    assert digests(other_host.run) == digests(mirror.run)
    before = len(sent(obs))
    train(other_host, 4, 4)
    assert [name for name in sent(obs)[before:] if name.startswith("checkpoints/")] == [
        "checkpoints/inceptionv4-4_36.ckpt", "checkpoints/inceptionv4-4_36.meta"]
    assert digests(obs.bucket / "run") == digests(other_host.run)


def test_a_host_that_is_behind_catches_up(mirror, other_host):
    train(mirror, 0, 2)
    other_host.bring_back()
    train(other_host, 3, 5)
    mirror.bring_back()
    assert digests(mirror.run) == digests(other_host.run)


def test_a_host_that_is_ahead_keeps_its_epochs(obs, mirror, tmp_path):
    """Its last copies to OBS had failed; they are sent after the next save."""
    train(mirror, 0, 2)
    for epoch in (3, 4, 5):
        save(mirror.run, epoch)
    before = digests(mirror.run)
    again = Mirror(mirror.run, TARGET)
    again.bring_back()
    assert digests(mirror.run) == before
    train(again, 6, 6)
    assert digests(obs.bucket / "run") == digests(mirror.run)


def test_a_run_folder_that_a_faster_rank_works_in_is_left_alone(obs, mirror):
    """It shortened its history to the checkpoint it goes on from."""
    train(mirror, 0, 3)
    history = mirror.run / "history.jsonl"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:-1]))
    before = digests(mirror.run)
    Mirror(mirror.run, TARGET).bring_back()
    assert digests(mirror.run) == before


def test_another_run_on_the_host_is_not_overwritten(mirror, other_host):
    train(mirror, 0, 2)
    train(Mirror(other_host.run, "obs://bucket/other"), 0, 3, loss=2.0)
    before = digests(other_host.run)
    with pytest.raises(RequestError, match="holds another run than obs://bucket/run"):
        other_host.bring_back()
    assert digests(other_host.run) == before


def test_a_checkpoint_without_its_meta_is_not_brought(obs, mirror, other_host):
    train(mirror, 0, 2)
    save(mirror.run, 3)
    shutil.copy(mirror.run / "checkpoints" / "inceptionv4-3_27.ckpt",
                obs.bucket / "run" / "checkpoints")
    other_host.bring_back()
    assert "checkpoints/inceptionv4-2_18.ckpt" in digests(other_host.run)
    assert "checkpoints/inceptionv4-3_27.ckpt" not in digests(other_host.run)


def test_nothing_is_brought_before_an_epoch_is_finished(mirror, other_host):
    other_host.bring_back()
    train(mirror, 0, 0)
    other_host.bring_back()
    assert not other_host.run.exists()


@pytest.mark.parametrize("copies", range(8))  # history to compare, 2 x 2, config, plan, history
def test_a_copy_that_fails_on_the_way_back_leaves_nothing(obs, mirror, other_host, copies):
    train(mirror, 0, 2)
    obs.spoil("copy", "raise", after=copies)
    with pytest.raises(RequestError, match="does not answer"):
        other_host.bring_back()
    assert not digests(other_host.run.parent).keys() - {".run.lock"}
    other_host.bring_back()
    assert digests(other_host.run) == digests(mirror.run)
