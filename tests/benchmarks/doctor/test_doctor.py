"""The whole command: every row in order, ``doctor.json``, and an exit code that follows."""

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.doctor import doctor
from benchmarks.doctor.checks import Check, checks_of_process
from benchmarks.doctor.doctor import DoctorRequest, row
from common.cli import UNDER_MAKE, run_command
from common.host_forms import DoctorReport

NAMES = ["Python and packages", "driver and CANN", "cards of the driver", "cores", "memory",
         "record set", "open files", "room for checkpoints", "JPEG decoder", "reading", "decoding",
         "feed", "devices", "dropout's hash", "RMSProp", "batch norm", "normalisation",
         "3x3 convolution", "softmax and loss", "training steps", "ranks join"]
OF_48_IMAGES = "--batch-size 16 --phases 25:0:0.001:1:1 8:0:0.0002:0.7:1"


def run(monkeypatch, *words) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "doctor", *map(str, words)])
    return run_command(command.main)


def test_every_check_is_a_row_on_one_rank(small_records, monkeypatch, tmp_path, capfd):
    def quickly(name, words, *rest):
        words = [each for word in words for each in (
            ("tests.benchmarks.doctor.quick", word) if str(word).startswith("benchmarks.")
            else (word,))]
        return checks_of_process(name, words, *rest)
    monkeypatch.setattr(doctor, "checks_of_process", quickly)
    monkeypatch.delenv(UNDER_MAKE, raising=False)
    code = run(monkeypatch, "--records", small_records.folder, "--run", tmp_path / "run",
               "--device", "CPU")
    printed, said = capfd.readouterr()
    found = json.loads((tmp_path / "run-doctor" / "doctor.json").read_text())
    assert [each["name"] for each in found["checks"]] == NAMES, (printed, said)
    assert all(each["state"] != "fail" for each in found["checks"]) and code == 0, printed
    assert found["argv"] and found["machine"]["mindspore"]
    assert found["machine"]["device"] == "CPU"
    assert said.splitlines()[-1].endswith(
        f" -m train --records {small_records.folder} --run {tmp_path / 'run'} --preset smoke "
        f"{OF_48_IMAGES}")
    assert [name for name in NAMES if f"  {name}  " not in printed] == []
    assert sorted(os.listdir(tmp_path)) == ["run-doctor"]
    assert sorted(os.listdir(tmp_path / "run-doctor")) == [
        "data.log", "device.log", "doctor.json", "ranks", "ranks.log"]


def test_what_is_next_names_the_validation_set_that_lies_next_to_the_other(
        small_records, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv(UNDER_MAKE, raising=False)
    monkeypatch.setattr(doctor, "all_checks", lambda _: iter([]))
    (tmp_path / "val").mkdir()
    shutil.copytree(small_records.folder, tmp_path / "train")
    for manifest, named in ((None, ""), ("manifest.json", f" --val-records {tmp_path}/val")):
        if manifest:
            (tmp_path / "val" / manifest).touch()
        assert run(monkeypatch, "--records", tmp_path / "train", "--run", tmp_path / "a") == 0
        assert capsys.readouterr().err.splitlines()[-1].endswith(
            f" -m train --records {tmp_path}/train{named} --run {tmp_path}/a --preset smoke "
            f"{OF_48_IMAGES}")


def test_a_fail_is_exit_code_1_and_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(doctor, "_device_checks", lambda _: iter([Check("hash", "fail", "differs",
                                                                        "report it")]))
    monkeypatch.setattr(doctor, "_rank_checks", lambda _: iter([Check("ranks", "fail", "hang")]))
    code = run(monkeypatch, "--records", tmp_path / "nowhere", "--run", "run", "--out",
               tmp_path / "found")
    shown = capsys.readouterr()
    assert code == 1 and "failed: 3 of 8 checks: record set, hash, ranks" in shown.err
    assert "fail  record set" in shown.out and "-> without it, open files" in shown.out
    found = json.loads((tmp_path / "found" / "doctor.json").read_text())
    assert found["checks"][-1] == {"name": "ranks", "state": "fail", "finding": "hang",
                                   "advice": ""}
    assert DoctorReport.from_json(found).checks[-1] == Check("ranks", "fail", "hang")


@pytest.mark.parametrize("finding, device", [
    ("CPU: MindSpore finds no Ascend card", "CPU"), ("Ascend: MindSpore sees 1 card", "Ascend"),
    ("RuntimeError: no device", "auto, as asked for"), (None, "auto, as asked for")])
def test_the_report_names_the_device_that_the_checks_found(monkeypatch, tmp_path, finding, device):
    found = [Check("devices", "warn", finding)] if finding else []
    monkeypatch.setattr(doctor, "all_checks",
                        lambda _: [*found, Check("hash", "fail", "differs", "report it")])
    assert run(monkeypatch, "--records", "r", "--run", "run", "--out", tmp_path) == 1
    assert json.loads((tmp_path / "doctor.json").read_text())["machine"]["device"] == device


def test_a_row_fits_on_a_terminal():
    shown = row(Check("cores", "warn", "few " * 40, "take more " * 20)).splitlines()
    assert shown[0].startswith("warn  cores  ") and max(map(len, shown)) <= 100
    assert sum("-> take more" in line for line in shown) == 1
    assert all(len(line) > 90 for line in (shown[0], shown[1], *shown[3:-1]))  # and fills it
    assert [line.strip()[:2] for line in shown].index("->") == 3
    assert shown[4].startswith(31 * " " + "take")
    long = "a" + "-b" * 34
    assert row(Check("x", "fail", f"few {long}", f"try {long}")).count(long) == 2  # undivided
    assert all(line.startswith(" " * 28) for line in shown[1:])


def test_the_port_of_the_ranks_is_free():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", doctor._free_port()))
        assert listener.getsockname()[1] > 1023


@pytest.mark.parametrize("run_folder, out, folder", [
    ("runs/adsl", None, "runs/adsl-doctor"), ("runs/adsl/", None, "runs/adsl-doctor"),
    ("runs/adsl", Path("x"), "x")])
def test_where_the_report_goes(run_folder, out, folder):
    assert DoctorRequest(Path("r"), Path(run_folder), out=out).folder == Path(folder)
