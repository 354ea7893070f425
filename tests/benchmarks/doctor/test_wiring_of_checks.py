"""The request of the doctor reaches the processes that check, and what they are given reaches their
checks; all values differ."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks.doctor import data_checks, device_checks, doctor, rank_checks
from benchmarks.doctor.checks import Check
from benchmarks.doctor.data_checks import DataRates, Reading, decoding_rate, read_cold
from benchmarks.doctor.doctor import DoctorRequest, all_checks, examine
from common.cli import CheckFailed
from convert.records.manifest import read_manifest
from inceptionv4.device import Device

OK = Check("any", "ok", "fine")


@pytest.fixture
def request_of(small_records, tmp_path) -> DoctorRequest:
    return DoctorRequest(small_records.folder, tmp_path / "run", 3, "CPU", "float16",
                         tmp_path / "out")


def test_each_process_gets_the_request_and_its_time(request_of, monkeypatch):
    processes, asked = [], []

    def checks_of(*given):
        processes.append(given)
        yield OK
    monkeypatch.setattr(doctor, "checks_of_process", checks_of)
    monkeypatch.setattr(doctor, "_free_port", lambda: 4321)
    monkeypatch.setattr(doctor, "version_checks", lambda *given: asked.append(given) or [OK])
    monkeypatch.setattr(doctor, "host_checks", lambda *given: asked.append(given) or [OK])
    monkeypatch.setattr(doctor, "file_limit", lambda records: asked.append(records) or OK)
    monkeypatch.setattr(doctor, "room", lambda *given: asked.append(given) or OK)
    out, records = request_of.folder, request_of.records
    (out / "ranks").mkdir(parents=True)
    (out / "ranks" / "old.log").touch()
    found = list(all_checks(request_of))
    ran = [*processes]
    assert len(list(all_checks(request_of))) == len(found) and processes == 2 * ran
    del processes[3:], asked[4:]  # of the second time, without logs of an earlier one
    opened = asked[2]
    assert opened.folder == records and asked == [
        ("CPU", 3), (3,), opened, (opened, request_of.run)]
    python = [sys.executable, "-m"]
    assert processes == [
        ("data", [*python, "benchmarks.doctor.data_checks", records, 3, out / "data.jsonl"],
         out / "data.jsonl", out / "data.log", 120),
        ("device", [*python, "benchmarks.doctor.device_checks", "CPU", "float16", 3,
                    out / "device.jsonl"], out / "device.jsonl", out / "device.log", 600),
        ("ranks", [*python, "inceptionv4.launch", "--ranks", 3, "--port", 4321, "--log-dir",
                   out / "ranks", "benchmarks.doctor.rank_checks", "CPU", "float16",
                   out / "ranks.jsonl"], out / "ranks.jsonl", out / "ranks.log", 1200)]
    assert not (out / "ranks").exists()  # logs of an earlier doctor would be taken for this one's
    assert len(found) == 2 + 1 + 2 + 3 and found[2].finding.endswith(
        "48 train images of 3 classes in 2 shards, 0.01 GB")


def test_the_summary_and_the_next_command(request_of, monkeypatch, capsys):
    asked, commands, notes, now = [], [], [], iter([10.0, 73.14, 73.6])
    monkeypatch.setattr(doctor, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    monkeypatch.setattr(doctor, "all_checks", lambda _: [
        OK, Check("devices", "warn", "CPU: as asked for", "change it"),
        Check("cores", "warn", "few", "add some")])
    for name in ("training_for", "training_command", "training_target"):
        monkeypatch.setattr(doctor, name, lambda *given, name=name: asked.append(given) or name)
    monkeypatch.setattr(doctor, "print_next", lambda *given, **make: commands.append((given, make)))
    monkeypatch.setattr(doctor, "note_kept_work", notes.append)
    examine(request_of)
    records = request_of.records
    assert asked == [(read_manifest(records), 3, "float16"),
                     ("training_for", records, None, request_of.run, 3), ("training_for", 3)]
    assert commands == [(("training_command",), {"under_make": "training_target"})]
    lines = capsys.readouterr().out.splitlines()
    report = request_of.folder / "doctor.json"
    assert lines[0].startswith("checking this host") and str(report) in "".join(lines[:2])
    assert lines[-1] == (f"3 checks, 2 with a warning, in 64 s; {report} holds them, logs are next "
                         "to it")
    assert '"seconds": 63.1' in report.read_text() and notes == [
        "the rows above hold; doctor.json is not written"]


@pytest.mark.parametrize("out, flag", [(True, "--out"), (False, "--run")])
def test_a_folder_that_cannot_be_made_is_named_by_its_flag(out, flag, request_of, tmp_path,
                                                           monkeypatch):
    asked = []

    def make(folder, name):
        asked.append((folder, name))
        raise CheckFailed("stop")
    monkeypatch.setattr(doctor, "make_folder", make)
    request = request_of if out else replace(request_of, out=None)
    with pytest.raises(CheckFailed, match="stop"):
        examine(request)
    assert asked == [(request.folder, flag)]


def run_main(module, monkeypatch, *words) -> None:
    monkeypatch.setattr(module.sys, "argv", ["checks", *map(str, words)])
    module.main()


def test_the_process_of_the_data_measures_the_records_for_the_ranks(small_records, monkeypatch,
                                                                    tmp_path):
    asked = []
    monkeypatch.setattr(data_checks, "data_checks", lambda rates, ranks: (
        asked.append((rates.records.folder, ranks)) or iter([OK, OK])))
    run_main(data_checks, monkeypatch, small_records.folder, 3, tmp_path / "results")
    assert asked == [(small_records.folder, 3)]
    assert len((tmp_path / "results").read_text().splitlines()) == 2


def test_all_checks_of_the_data_have_the_rates_and_the_ranks(monkeypatch):
    asked = []
    for name in ("jpeg_decoder", "reading", "decoding", "feed"):
        monkeypatch.setattr(data_checks, name, lambda *given, name=name: (
            asked.append((name, *given)) or name))
    assert list(data_checks.data_checks("rates", 3)) == ["jpeg_decoder", "reading", "decoding",
                                                         "feed"]
    assert asked == [("jpeg_decoder",), ("reading", "rates", 3), ("decoding", "rates"),
                     ("feed", "rates", 3)]


def test_each_rate_is_measured_once_in_its_own_way(small_records, monkeypatch):
    asked = []
    monkeypatch.setattr(data_checks, "read_cold", lambda *given: (
        asked.append(given) or Reading(100, 4.0)))
    monkeypatch.setattr(data_checks, "decoding_rate", lambda *given: asked.append(given) or 90.0)
    monkeypatch.setattr(data_checks, "available_cores", lambda: 3)
    rates = DataRates(small_records)
    for _ in range(2):
        assert (rates.shuffled.rate, rates.in_sequence.rate, rates.decoded_per_core) == (
            25.0, 25.0, 30.0)
    sizes = small_records.manifest.image_bytes / 48
    assert asked == [(small_records.files, round(sizes), True, 5),
                     (small_records.files, 1 << 20, False, 5), (small_records, 3, 5)]


def test_files_are_on_the_disk_before_they_leave_the_cache_and_closed(monkeypatch, tmp_path):
    (tmp_path / "a").write_bytes(bytes(1000))
    order, opened = [], []
    for name in ("fdatasync", "posix_fadvise", "close"):
        monkeypatch.setattr(data_checks.os, name, lambda *given, name=name: (
            order.append(name) or opened.append(given[0])))

    def read(places, piece, seconds):
        assert (len(places), piece, seconds) == (4, 300, 7)
        order.append("read")
        raise OSError("input/output error")
    monkeypatch.setattr(data_checks, "_read", read)
    with pytest.raises(OSError, match="input/output"):
        read_cold([str(tmp_path / "a")], 300, False, 7)
    assert order == ["fdatasync", "posix_fadvise", "read", "close"] and len(set(opened)) == 1
    monkeypatch.undo()
    data_checks.os.close(opened[0])


@pytest.mark.parametrize("batch, used, steps", [(32, 24, 1), (7, 7, 3)])
def test_the_decoding_rate_is_of_the_first_shard_after_the_first_batch(batch, used, steps,
                                                                       small_records, monkeypatch):
    """A batch takes a second, the first one ten, as threads start."""
    feeds, now, taken = [], [0.0], []

    class Batches:
        def epoch(self, number):
            assert number == 1
            return self

        def repeat(self):
            return self

        def create_tuple_iterator(self, num_epochs):
            while True:
                now[0] += 10 if not taken else 1
                yield taken.append(now[0])
    read = []
    monkeypatch.setattr(data_checks, "Path", lambda file: SimpleNamespace(
        read_bytes=lambda: read.append(file)))
    monkeypatch.setattr(data_checks, "BATCH", batch)
    monkeypatch.setattr(data_checks, "TrainingFeed",
                        lambda *given: feeds.append(given) or Batches())
    monkeypatch.setattr(data_checks.time, "perf_counter", lambda: now[0])
    assert decoding_rate(small_records, 3, 4) == used and taken == [10, 11, 12, 13, 14]
    (first, recipe, number), = feeds
    assert first.files == small_records.files[:1] == read  # in memory when it starts
    assert (recipe.workers, recipe.batch_size, recipe.image_size, number) == (3, used, 299, steps)


def test_the_process_of_the_device_has_the_request(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(device_checks, "device_checks", lambda *given: (
        asked.append(given) or iter([OK, OK])))
    run_main(device_checks, monkeypatch, "auto", "hf32", 3, tmp_path / "results")
    assert asked == [("auto", "hf32", 3)]
    assert len((tmp_path / "results").read_text().splitlines()) == 2


@pytest.mark.parametrize("target, steps", [("CPU", 1), ("Ascend", 0)])
def test_checks_of_the_device_have_precision_and_ranks(target, steps, monkeypatch):
    asked = []
    monkeypatch.setattr(device_checks, "devices", lambda *given: asked.append(given) or OK)
    for name in ("dropout_hash", "rmsprop", "batch_norm", "normalisation", "loss"):
        monkeypatch.setattr(device_checks, name, lambda *_, name=name: name)
    monkeypatch.setattr(device_checks, "convolution_format",
                        lambda make, precision: asked.append(precision))
    monkeypatch.setattr(device_checks, "training_steps", lambda *given: asked.append(given))
    monkeypatch.setattr(device_checks.ms, "get_context", {"device_target": target}.get)
    assert len(list(device_checks.device_checks("auto", "hf32", 3))) == 7 + steps
    assert asked == [("auto", "hf32", 3), "hf32",
                     *[(Device("CPU", False, 0, 1), "hf32")] * steps]


def test_the_process_of_a_rank_reports_on_rank_0_alone(monkeypatch, tmp_path):
    asked, joined = [], []
    for rank in (0, 1):
        device = Device("CPU", False, rank, 2)
        monkeypatch.setattr(rank_checks, "setup_device", lambda *given, **options: (
            asked.append((given, options)) or device))
        monkeypatch.setattr(rank_checks, "join", lambda device, seconds: (
            joined.append((device.rank, seconds)) or OK))
        monkeypatch.setattr(rank_checks, "all_reduce", lambda *_: OK)
        now = iter([10.0, 12.5])
        monkeypatch.setattr(rank_checks.time, "perf_counter", lambda: next(now))
        run_main(rank_checks, monkeypatch, "auto", "hf32", tmp_path / f"results-{rank}")
    assert asked == 2 * [(("auto",), dict(seed=0, precision="hf32"))]
    assert joined == [(0, 2.5), (1, 2.5)]
    assert len((tmp_path / "results-0").read_text().splitlines()) == 2
    assert not (tmp_path / "results-1").exists()


def test_ranks_wait_for_each_other_before_they_count_as_joined(monkeypatch):
    waited, device = [], Device("Ascend", True, 1, 8)
    monkeypatch.setattr(rank_checks, "barrier", waited.append)
    assert rank_checks.join(device, 2.54).finding == "8 joined in 2.5 s on Ascend"
    assert waited == [device] and rank_checks.VALUES == {"Ascend": 42_679_816, "CPU": 1_000_000}
