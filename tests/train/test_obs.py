"""Record sets from OBS to a host's disk: one copy for all its processes, whatever happens to it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.cli import RequestError
from convert.records.reader import open_records
from train.obs import call_moxing, fetch_records, replaced_folder

ROOT = Path(__file__).parents[2]
FETCH = ("import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); "
         "from train.obs import fetch_records; fetch_records(sys.argv[2], Path(sys.argv[3]))")


def start(source: str, place: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", FETCH, str(ROOT), source, str(place)])


@pytest.fixture
def source(obs, records) -> str:
    return obs.put(records["train"].folder, "data/train")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_record_set_is_copied_and_then_used(obs, source, records, tmp_path):
    for _ in range(2):
        fetch_records(source, tmp_path / "host" / "train")
    assert open_records(tmp_path / "host" / "train").sha256 == records["train"].sha256
    assert len(obs.calls("copy_parallel")) == 1
    assert names(tmp_path / "host") == [".train.lock", "train"]


def test_several_processes_at_once_copy_once(obs, source, tmp_path):
    obs.spoil("copy_parallel", "slow")
    processes = [start(source, tmp_path / "host" / "train") for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert len(obs.calls("copy_parallel")) == 1
    open_records(tmp_path / "host" / "train")


def test_another_process_takes_over_from_a_killed_one(obs, source, tmp_path):
    """While a helper of the killed one lives on."""
    obs.spoil("copy_parallel", "half, killed")
    processes = [start(source, tmp_path / "host" / "train") for _ in range(3)]
    assert sorted(process.wait() for process in processes) == [-signal.SIGKILL, 0, 0]
    assert not (obs.store / "helper-ended").exists()
    os.kill(int((obs.store / "helper").read_text()), signal.SIGKILL)
    assert len(obs.calls("copy_parallel")) == 2
    open_records(tmp_path / "host" / "train")
    assert names(tmp_path / "host") == [".train.lock", "train"]


def test_a_stale_copy_of_another_set_is_replaced(obs, source, records, other_records, tmp_path):
    fetch_records(source, tmp_path / "train")
    obs.put(other_records["train"].folder, "data/train")
    fetch_records(source, tmp_path / "train")
    assert open_records(tmp_path / "train").sha256 == other_records["train"].sha256
    assert names(tmp_path / "train") == names(other_records["train"].folder)


@pytest.mark.parametrize("damage", ["cut", "removed", "manifest"])
def test_a_damaged_copy_is_made_again(obs, source, tmp_path, damage):
    fetch_records(source, tmp_path / "train")
    shard = Path(open_records(tmp_path / "train").files[-1])
    if damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-1])
    else:
        (shard if damage == "removed" else tmp_path / "train" / "manifest.json").unlink()
    fetch_records(source, tmp_path / "train")
    open_records(tmp_path / "train")
    assert len(obs.calls("copy_parallel")) == 2


@pytest.mark.parametrize("how, named", [("half", "is not whole"), ("raise", "does not answer")])
def test_a_failed_copy_leaves_nothing_and_may_be_tried_again(obs, source, tmp_path, how, named):
    obs.spoil("copy_parallel", how)
    with pytest.raises(RequestError, match=named):
        fetch_records(source, tmp_path / "host" / "train")
    assert names(tmp_path / "host") == [".train.lock"]
    fetch_records(source, tmp_path / "host" / "train")
    open_records(tmp_path / "host" / "train")


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


def test_a_folder_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    place, leftover = tmp_path / "run", tmp_path / ".run.1.copying"
    for folder in (place, leftover):
        folder.mkdir()
        (folder / "old").write_text("")
    with pytest.raises(KeyError):
        with replaced_folder(place) as folder:
            (folder / "new").write_text("")
            raise KeyError
    assert names(tmp_path) == ["run"] and names(place) == ["old"]
    with replaced_folder(place) as folder:
        (folder / "new").write_text("")
    assert names(tmp_path) == ["run"] and names(place) == ["new"]
