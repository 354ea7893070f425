"""Too few cores, too little memory, too few files and a full disk are found before a run is."""

import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks.doctor import host_checks
from benchmarks.doctor.host_checks import cores, file_limit, memory, room
from benchmarks.table import GIB
from convert.records import reader


def test_cores_for_the_ranks(monkeypatch):
    monkeypatch.setattr(host_checks, "available_cores", lambda: 4)
    monkeypatch.setattr(host_checks, "cores_per_rank", lambda ranks: 4 // ranks)
    monkeypatch.setattr(host_checks.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(host_checks.os, "getloadavg", lambda: (4.1, 0, 0))
    assert cores(4).state == "ok" and "with --ranks 2, 2 each" in cores(2).finding
    assert cores(5).state == "warn"
    monkeypatch.setattr(host_checks.os, "getloadavg", lambda: (4.6, 0, 0))
    assert cores(4).state == "warn" and "minute 4.6: other jobs" in cores(4).finding
    monkeypatch.setattr(host_checks.os, "cpu_count", lambda: 64)  # of which a container has four
    assert cores(4).state == "ok"
    assert cores(5).state == "warn" and "give the container" in cores(5).advice


def test_both_checks_of_the_host_have_the_ranks(monkeypatch):
    for name in ("cores", "memory"):
        monkeypatch.setattr(host_checks, name, lambda ranks, name=name: (name, ranks))
    assert list(host_checks.host_checks(3)) == [("cores", 3), ("memory", 3)]


def test_cores_are_told_apart(monkeypatch):
    monkeypatch.setattr(host_checks, "available_cores", lambda: 6)
    monkeypatch.setattr(host_checks.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(host_checks.os, "getloadavg", lambda: (4.25, 70, 80))
    monkeypatch.setattr(host_checks.os, "sched_getaffinity", lambda process: {1, 2, 3, 5, 8, 9, 11})
    monkeypatch.setattr(host_checks, "cores_per_rank", lambda ranks: 6 // ranks)
    assert cores(3).finding == (
        "64 in the host, 7 by affinity, 6 with the container's quota; with --ranks 3, 2 each; load "
        "of the last minute 4.2")
    monkeypatch.setattr(host_checks.os, "cpu_count", lambda: None)
    assert cores(3).finding.startswith("1 in the host, 7 by affinity")


@pytest.mark.parametrize("available, limit, ranks, state, shown", [
    (12 * GIB, "", 3, "ok", "64.0 GiB in the host, 12.0 free; --ranks 3 needs about 12 GiB"),
    (12 * GIB - 1, "", 3, "warn", "12.0 free; --ranks 3"),
    (20 * GIB, str(8 * GIB), 2, "ok", "20.0 free, container's limit 8.0 GiB; --ranks 2 needs about "
     "8 GiB"),
    (20 * GIB, str(8 * GIB), 3, "warn", "limit 8.0 GiB; --ranks 3 needs about 12 GiB"),
    (7 * GIB, str(8 * GIB), 2, "warn", "limit 8.0 GiB"),
    (20 * GIB, str(64 * GIB), 2, "ok", "20.0 free; --ranks 2")])
def test_memory_for_the_ranks(available, limit, ranks, state, shown, monkeypatch, tmp_path):
    monkeypatch.setattr(host_checks, "MEMORY_LIMITS", (tmp_path / "limit",))
    if limit:
        (tmp_path / "limit").write_text(limit)
    monkeypatch.setattr(host_checks.psutil, "virtual_memory", lambda: SimpleNamespace(
        total=64 * GIB, available=available))
    found = memory(ranks)
    assert found.state == state and shown in found.finding


def test_memory_is_that_of_the_container(monkeypatch, tmp_path):
    monkeypatch.setattr(host_checks, "MEMORY_LIMITS", (tmp_path / "v2", tmp_path / "v1"))
    assert memory(1000).state == "warn" and "limit" not in memory(1).finding
    (tmp_path / "v1").write_text(f"{GIB}\n")
    found = memory(1)
    assert found.state == "warn" and "container's limit 1.0 GiB" in found.finding
    for unlimited in ("max\n", f"{2 ** 63 - 4096}\n"):
        (tmp_path / "v2").write_text(unlimited)
        assert "limit" not in memory(1).finding


@pytest.mark.parametrize("limit, state, words", [
    (2 * 9 + 70, "ok", "2 shards take 88 on each rank"),
    (2 * 9 + 69, "warn", "so that 7 will read"),
    (2 * 2 + 69, "fail", "takes at least 74 open files")])
def test_open_files_are_shards_times_readers_and_one(limit, state, words, small_records,
                                                     monkeypatch):
    for module in (host_checks, reader):
        monkeypatch.setattr(module, "open_file_limit", lambda: limit)
    monkeypatch.setattr(reader, "open_files", lambda: 6)
    found = file_limit(small_records)
    assert found.state == state and words in found.finding
    assert ("nofile=88" in found.advice) == (state == "warn")


def test_room_for_checkpoints(small_records, monkeypatch, tmp_path):
    run = tmp_path / "runs" / "new"
    found = room(small_records, run)
    assert found.state == "ok" and "2.5 GB" in found.finding and not run.parent.exists()
    few = replace(small_records, manifest=replace(small_records.manifest,
                                                  shards=small_records.manifest.shards[:1]))
    assert room(few, run).state == "ok"  # 24 images, less than a batch
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10 ** 9))
    full = room(small_records, run)
    assert full.state == "fail" and "make room" in full.finding
    monkeypatch.setattr(host_checks.os, "access",
                        lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    assert "may not be written" in room(small_records, run).finding
