"""What is moved to its place is on the disk before, and its new name after; what killed processes
left is removed, and only that."""

import errno
import os
from pathlib import Path

import pytest
from reading import digests

from common.cli import RequestError
from convert import workspace as workspace_module
from convert.conversion import convert, convert_range, finish
from convert.records.manifest import MANIFEST_NAME
from convert.request import Request
from convert.sample.arrange import arrange_sample
from convert.workspace import BUILDING


@pytest.fixture
def moves(monkeypatch):
    """Notes each move to a final place: to where, which of the files were not made durable before,
    and whose names were not yet when it came."""
    made, durable, loose = [], set(), set()  # loose: names whose folder is not durable
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        durable.add(path)
        loose.difference_update({name for name in loose if name.parent == path})
        fsync(descriptor)

    def noted_replace(source, target):
        files = {path: Path(target) / path.name for path in Path(source).glob("*")} or {
            Path(source): Path(target)}
        made.append((Path(target), files.keys() - durable, set(loose)))
        replace(source, target)
        durable.update(files.values())
        loose.add(Path(target))
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    return made, loose


def test_every_file_is_on_the_disk_before_its_move_and_its_name_after(sample, tmp_path, moves):
    out, (made, loose) = tmp_path / "out", moves
    convert(Request(sample, "train", out, shards=3))
    assert {target: lost for target, lost, _ in made if lost} == {}
    final = [target for target, _, _ in made if target.parent == out]
    assert {*final} == {*out.iterdir()} and final[-1].name == MANIFEST_NAME
    assert [target.name for target, _, _ in made if target.parent == out / BUILDING
            and target.name.isdecimal()] == ["00000", "00001", "00002"]
    for target, _, before in made:  # one after the other; the files of a set together
        assert not before or {name.parent for name in before} == {out} == {target.parent}
    assert made[-1][::2] == (out / MANIFEST_NAME, set()) and not loose


def test_what_killed_processes_left_is_removed_by_whoever_has_the_folder_alone(
        source, tmp_path, monkeypatch):
    monkeypatch.setattr(workspace_module.socket, "gethostname", lambda: "host")
    out = tmp_path / "out"
    building = out / BUILDING
    own, others = f"00000.host.{os.getpid()}.tmp", ("00001.there.7.tmp", "a.tmp")
    for name in (own, others[0]):
        (building / name).mkdir(parents=True)
        (building / name / "half").touch()
    (building / others[1]).touch()
    request = Request(source, "train", out, shards=3)
    convert_range(request, 0, 0)  # others may be building theirs
    assert sorted(path.name for path in building.glob("*.tmp")) == sorted(others)
    with pytest.raises(RequestError, match="2 of 3 shards not finished"):
        finish(request)
    assert not list(building.glob("*.tmp"))
    for path in source.rglob("train/*/*"):
        path.write_bytes(path.read_bytes()[:99])
    with pytest.raises(RequestError, match="bad image"):
        convert_range(request, 1, 1)
    assert not list(building.glob("*.tmp")), "a half-built shard stays"


def test_a_kill_after_the_manifest_leaves_a_folder_that_the_same_command_removes(sample, tmp_path,
                                                                                 train):
    request = Request(sample, "train", tmp_path / "out", shards=3)
    for run in (convert, finish):
        manifest = convert(request)
        (tmp_path / "out" / BUILDING / "00000").mkdir(parents=True)
        assert run(request) == manifest and digests(tmp_path / "out") == digests(train)


def test_a_move_that_fails_for_another_reason_than_another_hosts_ends_it(sample, tmp_path,
                                                                         monkeypatch):
    replace = os.replace

    def refused(source, target):
        if Path(target).name == "00001":
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="Input/output error"):
        convert(Request(sample, "train", tmp_path / "out", shards=3))


def test_listed_parquet_is_kept_with_the_shards_and_goes_with_them(source, tmp_path):
    arrange_sample(source, "parquet")
    request = Request(source, "train", tmp_path / "out", shards=3)
    convert_range(request, 0, 0)
    kept = tmp_path / "out" / BUILDING / "source"
    assert {path.name for path in kept.iterdir()} == {
        f"train-0000{k}-of-00002.parquet.json" for k in range(2)}
    convert(request)
    assert not kept.parent.exists()
