"""Record sets from OBS to a host's disk; the run folder's way to OBS after each save, and back from
there before a run resumes."""

import json
import shutil
import sys
import threading
from pathlib import Path

import pytest
from reading import digests

from common.cli import RequestError
from convert.records.reader import open_records
from train import obs as obs_module
from train.obs import RunOnObs, call_moxing, fetch_records

URL = "obs://bucket/run"
STEPS = 9  # an epoch; 9, 18, ... 108 do not sort as text as they do as numbers


@pytest.fixture
def source(obs, records) -> str:
    return obs.put(records["train"].folder, "data/train")


@pytest.mark.parametrize("damage", ["cut", "removed", "manifest", "other set"])
def test_a_damaged_or_stale_copy_is_made_again(obs, source, records, other_records, tmp_path,
                                               damage):
    fetch_records(source, tmp_path / "train")
    wanted, shard = records["train"].folder, Path(open_records(tmp_path / "train").files[-1])
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif damage == "other set":
        wanted = other_records["train"].folder
        obs.put(wanted, "data/train")
    else:
        (shard if damage == "removed" else tmp_path / "train" / "manifest.json").unlink()
    fetch_records(source, tmp_path / "train")
    assert digests(tmp_path / "train") == digests(wanted)


@pytest.mark.parametrize("how, named", [("half", "is not whole"), ("raise", "does not answer")])
def test_a_failed_copy_is_made_again_and_a_whole_one_used(obs, source, records, tmp_path,
                                                          how, named):
    place = tmp_path / "host" / "train"
    obs.spoil("copy_parallel", how)
    with pytest.raises(RequestError, match=named):
        fetch_records(source, place)
    for _ in range(2):
        fetch_records(source, place)
        assert digests(place) == digests(records["train"].folder)
    assert len(obs.calls("copy_parallel")) == 2


def test_a_record_set_that_does_not_fit_is_not_begun(obs, source, tmp_path):
    path = obs.bucket / "data" / "train" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["shards"][0]["bytes"] = shutil.disk_usage(tmp_path).total + 1
    path.write_text(json.dumps(manifest))
    with pytest.raises(RequestError, match="--local_dir"):
        fetch_records(source, tmp_path / "train")
    assert not obs.calls("copy_parallel")


def test_a_folder_without_a_manifest_is_named(obs, tmp_path):
    with pytest.raises(RequestError, match="obs://bucket/nowhere is not a record set"):
        fetch_records("obs://bucket/nowhere", tmp_path / "train")


def test_without_moxing_the_path_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "moxing", None)
    with pytest.raises(RequestError, match="obs://bucket/data: .* package moxing"):
        call_moxing("exists", "obs://bucket/data")


def save(run: Path, epoch: int, keep: int = 2) -> None:
    """What the trainer writes at the end of an epoch, in small; epoch 0 is the start."""
    folder = run / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    if epoch == 0:
        for name in ("config.json", "plan.json"):
            (run / name).write_text("{}")
        return
    for suffix in (".ckpt", ".meta"):
        (folder / f"inceptionv4-{epoch}_{STEPS * epoch}{suffix}").write_text(f"{epoch}")
        old = epoch - keep
        (folder / f"inceptionv4-{old}_{STEPS * old}{suffix}").unlink(missing_ok=True)
    with open(run / "history.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"epoch": epoch}) + "\n")


def train(run: RunOnObs, first: int, last: int) -> None:
    """Save epochs, each one uploaded before the next one is written."""
    for epoch in range(first, last + 1):
        save(run.folder, epoch)
        run.start_upload()
        run._wait()


def uploads(obs) -> list[str]:
    """Files that were copied to the run on OBS, in order."""
    return [target.removeprefix(f"{URL}/") for _, target in obs.calls("copy")
            if target.startswith("obs://")]


@pytest.fixture
def run(obs, tmp_path) -> RunOnObs:
    return RunOnObs(tmp_path / "host" / "run", URL)


@pytest.fixture
def elsewhere(run, tmp_path) -> RunOnObs:
    """The same run on another host."""
    return RunOnObs(tmp_path / "other-host" / "run", URL)


def test_each_save_uploads_what_may_have_grown_and_the_new_checkpoint_last(obs, run):
    train(run, 0, 2)
    notes, before = obs.bucket / "run" / "checkpoints" / "notes", len(uploads(obs))
    notes.write_text("the user's")
    train(run, 3, 3)  # which removes epoch 1
    notes.unlink()  # is there
    assert uploads(obs)[before:] == ["config.json", "history.jsonl", "plan.json",
                                     "checkpoints/inceptionv4-3_27.ckpt",
                                     "checkpoints/inceptionv4-3_27.meta"]
    assert digests(obs.bucket / "run") == digests(run.folder)


def test_uploads_run_while_training_continues_and_one_at_a_time(obs, run, monkeypatch):
    """The trainer continues while OBS is slow, and may remove what is being uploaded; the end waits
    for the last upload."""
    may_copy, uploading = threading.Event(), []

    def slow(operation, *paths):
        uploading.append(threading.current_thread())
        may_copy.wait(10)
        return call_moxing(operation, *paths)
    monkeypatch.setattr(obs_module, "call_moxing", slow)
    save(run.folder, 0)
    run.start_upload()
    save(run.folder, 1)
    assert not uploads(obs)
    threading.Timer(0.2, may_copy.set).start()
    run.start_upload()  # waits for the first one
    assert {"config.json", "plan.json"} <= digests(obs.bucket / "run").keys()
    run.finish()
    assert digests(obs.bucket / "run") == digests(run.folder)
    assert threading.main_thread() not in uploading and len(set(uploading)) == 2


def test_what_is_written_after_the_save_waits_for_the_next(obs, run, monkeypatch):
    """Neither is a newer checkpoint uploaded in part, nor the last whole one removed for it."""
    def copy_then_save(operation, *paths):
        result = call_moxing(operation, *paths)
        if paths[0].endswith("inceptionv4-3_27.meta"):
            save(run.folder, 4)  # which removes epoch 2 here
        return result
    train(run, 0, 2)
    monkeypatch.setattr(obs_module, "call_moxing", copy_then_save)
    train(run, 3, 3)
    names = {path.name for path in (obs.bucket / "run" / "checkpoints").glob("*.ckpt")}
    assert names == {"inceptionv4-2_18.ckpt", "inceptionv4-3_27.ckpt"}


def test_unfinished_files_are_not_uploaded(obs, run):
    save(run.folder, 0)
    (run.folder / ".config.json.7.tmp").write_text("{")
    half = run.folder / "checkpoints" / ".inceptionv4-1_9.x" / "inceptionv4-1_9.ckpt"
    half.parent.mkdir()
    half.write_text("half")
    run.start_upload()
    run.finish()
    assert sorted(uploads(obs)) == ["config.json", "plan.json"]


def test_a_failed_upload_is_a_warning_and_made_up_for_after_the_next_save(obs, run, capsys):
    train(run, 0, 2)
    obs.spoil("copy", "raise")
    train(run, 3, 3)
    warning, = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: ") and URL in warning and "does not answer" in warning
    # An old checkpoint goes only when the new one is there.
    assert (obs.bucket / "run" / "checkpoints" / "inceptionv4-1_9.ckpt").exists()
    train(run, 4, 4)
    run.finish()
    assert capsys.readouterr().err == ""
    assert digests(obs.bucket / "run") == digests(run.folder)


@pytest.mark.parametrize("operation, after", [("copy", 0), ("copy", 4), ("remove", 0)])
def test_what_failed_at_the_last_save_is_tried_again_at_the_end(obs, run, operation, after):
    train(run, 0, 2)
    obs.spoil(operation, "raise", after=after)
    train(run, 3, 3)
    if after:  # the .meta is missing, so the checkpoint may be torn
        (obs.bucket / "run" / "checkpoints" / "inceptionv4-3_27.ckpt").write_text("to")
    run.finish()
    assert digests(obs.bucket / "run") == digests(run.folder)


# Of one run, as text 10_90 comes before 9_81.
@pytest.mark.parametrize("first, last", [(2, 5), (9, 10), (3, 12)])
def test_another_host_resumes_the_run_and_the_first_one_catches_up(obs, run, elsewhere, first,
                                                                   last):
    train(run, 0, first)
    elsewhere.fetch()
    assert digests(elsewhere.folder) == digests(run.folder)
    train(elsewhere, first + 1, last)
    assert digests(obs.bucket / "run") == digests(elsewhere.folder)
    run.fetch()
    assert digests(run.folder) == digests(elsewhere.folder)


def test_a_host_that_is_ahead_keeps_its_epochs(obs, run):
    """Its last uploads had failed; they are repeated after the next save."""
    train(run, 0, 9)
    for epoch in (10, 11, 12):
        save(run.folder, epoch)
    before = digests(run.folder)
    again = RunOnObs(run.folder, URL)
    again.fetch()
    assert digests(run.folder) == before
    train(again, 13, 13)
    assert digests(obs.bucket / "run") == digests(run.folder)
    # A faster rank shortened its history to the checkpoint that it resumes from.
    history = run.folder / "history.jsonl"
    history.write_text("".join(history.read_text().splitlines(keepends=True)[:-1]))
    before = digests(run.folder)
    again.fetch()
    assert digests(run.folder) == before


def test_another_run_on_the_host_is_not_overwritten(run, elsewhere):
    train(run, 0, 2)
    save(elsewhere.folder, 7)
    before = digests(elsewhere.folder)
    with pytest.raises(RequestError, match="holds another run than obs://bucket/run"):
        elsewhere.fetch()
    assert digests(elsewhere.folder) == before


def test_a_run_without_a_history_is_fetched_and_what_was_half_copied_is_not_kept(obs, run,
                                                                                 elsewhere):
    train(run, 0, 2)
    (obs.bucket / "run" / "history.jsonl").unlink()
    elsewhere.folder.mkdir(parents=True)
    (elsewhere.folder / "history.jsonl").write_text('{"epoch": 1}\n')
    copying = elsewhere.folder.with_name(".run.copying")
    copying.mkdir()
    (copying / "stale").write_text("")
    elsewhere.fetch()
    assert digests(elsewhere.folder) == digests(obs.bucket / "run")


def test_only_whole_epochs_count(obs, run, elsewhere):
    elsewhere.fetch()
    train(run, 0, 0)
    elsewhere.fetch()
    assert not elsewhere.folder.exists()
    train(run, 1, 2)
    save(run.folder, 3)
    torn = "checkpoints/inceptionv4-3_27.ckpt"
    shutil.copy(run.folder / torn, obs.bucket / "run" / torn)
    elsewhere.fetch()
    (elsewhere.folder / "checkpoints" / "inceptionv4-2_18.meta").unlink()
    elsewhere.fetch()  # neither here nor there does one without its .meta count
    assert "checkpoints/inceptionv4-2_18.meta" in digests(elsewhere.folder)


def test_a_copy_that_fails_on_the_way_back_is_made_again(obs, run, elsewhere):
    train(run, 0, 2)
    obs.spoil("copy_parallel", "raise")
    with pytest.raises(RequestError, match="does not answer"):
        elsewhere.fetch()
    elsewhere.fetch()
    assert digests(elsewhere.folder) == digests(run.folder)
    before = len(uploads(obs))
    train(elsewhere, 3, 3)
    assert [name for name in uploads(obs)[before:] if "checkpoints" in name] == [
        "checkpoints/inceptionv4-3_27.ckpt", "checkpoints/inceptionv4-3_27.meta"]
