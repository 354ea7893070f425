"""``python -m benchmarks doctor``: what a host has and computes, in two minutes, before a job of a
day starts on it."""

import contextlib
import dataclasses
import shutil
import socket
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, Sequence

from benchmarks.doctor.checks import (DEVICES, FAIL, WARN, Check, Verdict, check,
                                      checks_of_process, ok)
from benchmarks.doctor.host_checks import file_limit, host_checks, room
from benchmarks.doctor.version_checks import version_checks
from benchmarks.table import describe_machine
from common.cli import CheckFailed, print_next, typed_command
from common.files import make_folder, write_json
from common.host_forms import DOCTOR_NAME, DoctorReport
from common.options import CheckedOptions, device_option, option, precision_option
from common.signals import note_kept_work
from common.text import counted, folded
from convert.records.manifest import MANIFEST_NAME, read_manifest
from convert.records.reader import RecordSet, open_records
from convert.training_proposal import training_command, training_for, training_target

# Longest a part may take; on Ascend compiling takes up to five minutes, and joining a while.
DATA_SECONDS, DEVICE_SECONDS, RANKS_SECONDS = 120, 600, 1200
NAME_WIDTH, LINE_WIDTH = 22, 100
NAMES = ("Ascend", "CPU")  # of devices


@dataclass(frozen=True)
class DoctorRequest(CheckedOptions):
    """The arguments of ``python -m benchmarks doctor``."""

    records: Path = option(help="folder of the training record set")
    run: Path = option(help="folder of the run that is planned; need not exist")
    ranks: int = option(1, "cards of this host that will train (CPU: processes)", low=1)
    device: str = device_option()
    precision: str = precision_option()
    out: Optional[Path] = option(None, "folder for doctor.json and the logs (default: that of "
                                       "--run with -doctor at its end)")

    @property
    def folder(self) -> Path:
        return self.out or Path(f"{self.run}-doctor")


def examine(request: DoctorRequest) -> None:
    """Print the table of all checks and write ``doctor.json``.

    Raises:
        CheckFailed: a check failed.
    """
    start, found = time.perf_counter(), []
    note_kept_work("the rows above hold; doctor.json is not written")
    make_folder(request.folder, "--out" if request.out else "--run")
    report = request.folder / DOCTOR_NAME
    print(folded("checking this host, about two minutes (longer where compiling takes minutes); "
                 f"{report} will hold the checks"), flush=True)
    for each in all_checks(request):
        print(row(each), flush=True)
        found.append(each)
    write_json(report, dataclasses.asdict(DoctorReport(
        found, describe_machine(request.folder, _device(request, found)),
        round(time.perf_counter() - start, 1), typed_command())))
    warnings = sum(each.state == WARN for each in found)
    print(f"{counted(len(found), 'check')}, {warnings} with a warning, in "
          f"{time.perf_counter() - start:.0f} s;"
          f" {report} holds them, logs are next to it")
    failed = [each.name for each in found if each.state == FAIL]
    if failed:
        raise CheckFailed(f"{len(failed)} of {counted(len(found), 'check')}: {', '.join(failed)}")
    training = training_for(read_manifest(request.records), request.ranks, request.precision)
    val = request.records.with_name("val")
    print_next(training_command(training, request.records,
                                val if (val / MANIFEST_NAME).exists() else None,
                                request.run, request.ranks),
               under_make=training_target(training, request.ranks))


def _device(request: DoctorRequest, found: Sequence[Check]) -> str:
    """Return the device that the checks ran on; the one that was asked for where none ran."""
    names = [each.finding.split(":")[0] for each in found if each.name == DEVICES]
    return names[0] if names and names[0] in NAMES else f"{request.device}, as asked for"


def row(found: Check) -> str:
    """Return the check as a row of the table, what to do in lines of its own."""
    indent = " " * (6 + NAME_WIDTH)
    lines = textwrap.wrap(found.finding, LINE_WIDTH - len(indent), break_on_hyphens=False)
    if found.advice:
        lines += textwrap.wrap(f"-> {found.advice}", LINE_WIDTH - len(indent),
                               subsequent_indent="   ", break_on_hyphens=False)
    return f"{found.state:<6}{found.name:<{NAME_WIDTH}}" + f"\n{indent}".join(lines)


def all_checks(request: DoctorRequest) -> Iterator[Check]:
    yield from version_checks(request.device, request.ranks)
    yield from host_checks(request.ranks)
    yield from _record_checks(request)
    yield from _device_checks(request)
    yield from _rank_checks(request)


def _record_checks(request: DoctorRequest) -> Iterator[Check]:
    opened = record_set(request.records)
    if opened.state == FAIL:
        yield dataclasses.replace(opened, advice="without it, open files, room for checkpoints, "
                                                 "reading and decoding are not checked")
        return
    yield opened
    records = open_records(request.records)
    yield file_limit(records)
    yield room(records, request.run)
    yield from _process(request, "data", DATA_SECONDS, "-m", "benchmarks.doctor.data_checks",
                        request.records, request.ranks)


@check("record set")
def record_set(folder: Path) -> Verdict:
    records: RecordSet = open_records(folder)
    return ok(f"{folder}: {records.images:,} {records.split} images of "
              f"{counted(len(records.class_names), 'class')} in "
              f"{counted(len(records.files), 'shard')}, "
              f"{records.bytes / 1e9:.2f} GB")


def _device_checks(request: DoctorRequest) -> Iterator[Check]:
    return _process(request, "device", DEVICE_SECONDS, "-m", "benchmarks.doctor.device_checks",
                    request.device, request.precision, request.ranks)


def _rank_checks(request: DoctorRequest) -> Iterator[Check]:
    logs = request.folder / "ranks"
    shutil.rmtree(logs, ignore_errors=True)
    return _process(request, "ranks", RANKS_SECONDS, "-m", "inceptionv4.launch", "--ranks",
                    request.ranks, "--port", _free_port(), "--log-dir", logs,
                    "benchmarks.doctor.rank_checks", request.device, request.precision)


def _process(request: DoctorRequest, name: str, seconds: float, *words: object) -> Iterator[Check]:
    """Return the checks of a Python process whose last argument is the file for them."""
    results = request.folder / f"{name}.jsonl"
    return checks_of_process(name, [sys.executable, *words, results], results,
                             request.folder / f"{name}.log", seconds)


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
