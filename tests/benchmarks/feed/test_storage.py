"""Each place is prepared as its name says, and one that cannot be says why."""

import contextlib
import os

from benchmarks.feed import storage
from benchmarks.feed.slow_mount import NoMount
from benchmarks.feed.storage import COLD, SLOW, WARM, fill_cache, storages


def test_each_place_gives_the_folder_to_read(tmp_path, monkeypatch):
    data, slow, mounts, synced = tmp_path / "data", tmp_path / "slow", [], []

    def mount(*arguments):
        mounts.append(arguments)
        return contextlib.nullcontext()
    monkeypatch.setattr(storage, "DROP_CACHES", tmp_path / "drop_caches")
    monkeypatch.setattr(storage, "slow_mount", mount)
    monkeypatch.setattr(storage.os, "access", lambda path, mode: mode == os.W_OK)
    monkeypatch.setattr(storage.os, "sync", lambda: synced.append(
        (tmp_path / "drop_caches").exists()))
    warm, cold, remote = storages(data, 3, 5)
    assert [place.title for place in (warm, cold, remote)] == [WARM, COLD, SLOW]
    assert not any(place.unavailable_reason for place in (warm, cold, remote))
    with warm.reading() as folder:
        assert folder == data and not (tmp_path / "drop_caches").exists()
    with cold.reading() as folder:
        assert folder == data and (tmp_path / "drop_caches").read_text() == "3"
    assert synced == [False]  # what is not on the disk yet would stay in the cache
    with remote.reading() as folder:
        assert folder == slow
    assert mounts == [(data, slow, 0, 0), (data, slow, 3, 5)]  # the first is a trial
    assert storage.describe_mount(2.5) == "2.5 ms per open, 1 ms per 128 KB"


def test_without_root_or_fuse_they_say_why(tmp_path, monkeypatch):
    def no_mount(*arguments):
        raise NoMount("no FUSE")
    monkeypatch.setattr(storage, "DROP_CACHES", tmp_path / "missing")
    monkeypatch.setattr(storage, "slow_mount", no_mount)
    warm, cold, slow = storages(tmp_path / "data")
    assert not warm.unavailable_reason and slow.unavailable_reason == "no FUSE"
    assert cold.unavailable_reason == f"only root may write to {tmp_path / 'missing'}"


def test_the_cache_is_filled_with_every_file(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    files = {tmp_path / "a" / "1", tmp_path / "a" / "b" / "2"}
    for path in files:
        path.write_bytes(b"x")
    read = []
    monkeypatch.setattr(storage.Path, "read_bytes", lambda path: read.append(path))
    fill_cache(tmp_path)
    assert len(read) == 2 and set(read) == files
