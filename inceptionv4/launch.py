"""Command line: ``python -m inceptionv4.launch --ranks 8 --log-dir DIR MODULE [argument ...]``.

Starts ``python -m MODULE`` once per rank through MindSpore's own launcher, msrun, and monitors it,
which msrun does poorly: when a rank dies, its scheduler keeps the others waiting for a minute, and
the log that has the cause is one of many. Here a dead rank ends the job at once, with the last
lines of that rank's log and its exit code; the log of this host's first rank is printed as it
grows, without what MindSpore logs of a good start and end.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import psutil

from common.cli import (DUMP_FOLDER, TYPED_COMMAND, ArgumentParser, CheckFailed, RequestError,
                        add_version, run_command, typed_words)
from common.options import CheckedOptions, add_options, from_arguments, option
from common.rank_end import FOLDER_OF_ENDS, noted_ends
from common.signals import ENDING_SIGNALS, INTERRUPTED, SECONDS_TO_END, note_kept_work
from common.text import counted
from inceptionv4.harmless_lines import without_harmless

POLL_SECONDS = 0.2
LAST_LINES = 20  # of a dead rank's log
SECONDS_FOR_RANKS = SECONDS_TO_END + 10  # a rank may save its work for SECONDS_TO_END
SECONDS_TO_EXIT = 120  # from the end of a rank's work to that of its process: see common.rank_end
# MindSpore's own warnings are wanted in the ranks' logs. Read here, before run_command sets it.
LOG_LEVEL = os.environ.get("GLOG_v", "2")
ASCEND_DRIVER = Path("/dev/davinci_manager")  # the device file of the driver on a host with cards
# What msrun logs when a rank ended with an error (process_entity/_api.py, join_processes).
_DEAD_RANK = re.compile(r"Worker process (\d+) exit with exception. Error code: (-?\d+)")


@dataclass(frozen=True)
class LaunchRequest(CheckedOptions):
    """What to start, on this host and in all."""

    arguments: tuple[str, ...]  # of the module
    module: str = option(help="what python -m would run, e.g. train", positional=True)
    ranks: int = option(help="processes on this host, one per card", low=1)
    log_dir: Path = option(help="folder for the log of each rank, worker_<rank>.log")
    hosts: int = option(1, "hosts with as many ranks each", low=1)
    master: str = option("127.0.0.1", "address of host 0")
    port: int = option(8118, "a free port of host 0, through which the ranks find each other",
                       low=1, high=65535)
    host_rank: int = option(0, "number of this host, from 0", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.host_rank >= self.hosts:
            raise RequestError(f"--host-rank {self.host_rank}: with --hosts {self.hosts}, hosts "
                               f"are 0 to {self.hosts - 1}")

    @property
    def own_ranks(self) -> range:
        """Return the ranks on this host."""
        return range(self.host_rank * self.ranks, (self.host_rank + 1) * self.ranks)

    def log(self, rank: int) -> Path:
        return self.log_dir / f"worker_{rank}.log"


def main() -> int:
    parser = ArgumentParser(prog="python -m inceptionv4.launch",
                            description="Run a module once per rank, through msrun, and end all "
                                        "ranks when one dies.")
    add_version(parser)
    add_options(parser, LaunchRequest)
    parser.add_argument("arguments", nargs="...", help="arguments of the module")
    return launch(from_arguments(LaunchRequest, parser.parse_args()))


def launch(request: LaunchRequest) -> int:
    """Run all ranks to their end and return the exit code, that of the first rank that died.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; all ranks were ended.
    """
    _check_port(request)
    request.log_dir.mkdir(parents=True, exist_ok=True)
    for log in (request.log(rank) for rank in request.own_ranks):
        if log.exists():  # or the log of an earlier run would be printed
            log.replace(log.with_suffix(".earlier.log"))
    print(f"starting {counted(request.ranks, 'rank')} of {request.module}, which takes half a "
          f"minute or more; what rank {request.own_ranks[0]} prints follows, their logs are "
          f"{request.log_dir}/worker_<rank>.log", file=sys.stderr, flush=True)
    with tempfile.NamedTemporaryFile() as messages, tempfile.TemporaryDirectory() as ends:
        msrun = psutil.Popen(_msrun_command(request), stdout=subprocess.DEVNULL, stderr=messages,
                             env={**_environment(request.log_dir), FOLDER_OF_ENDS: ends},
                             start_new_session=True)
        rank_of: dict[psutil.Process, Optional[int]] = {psutil.Process(msrun.pid): None}
        try:
            return _watch(request, msrun, Path(messages.name), rank_of, Path(ends))
        finally:
            for number in ENDING_SIGNALS:  # a second Ctrl-C would leave processes running
                signal.signal(number, signal.SIG_IGN)
            _end_all(rank_of)
            msrun.wait()
            _note_kept_work(request)


def _note_kept_work(request: LaunchRequest) -> None:
    """Note what rank 0 said when it was interrupted, if it was."""
    log = request.log(request.own_ranks[0])
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    said = [line for line in lines if line.startswith(INTERRUPTED)]
    note_kept_work(said[-1].removeprefix(INTERRUPTED) if said else
                   f"all ranks were ended; their logs are in {request.log_dir}")


def _check_port(request: LaunchRequest) -> None:
    """Refuse a port in use: the scheduler of another job would take these ranks for its own, or
    refuse them minutes later."""
    if request.host_rank > 0:
        return
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((request.master, request.port))
        except OSError as error:
            raise RequestError(f"--master {request.master} --port {request.port}: the ranks cannot "
                               f"join there ({error.strerror}); give a free port with --port "
                               "(make: PORT) and an address of this host") from None


def _msrun_command(request: LaunchRequest) -> list[str]:
    # Cards have cores near them; on CPU all ranks compute on all cores.
    binding = ["--bind_core=True"] if ASCEND_DRIVER.exists() else []
    return [sys.executable, "-m", "mindspore.parallel.cluster.run",
            f"--worker_num={request.ranks * request.hosts}", f"--local_worker_num={request.ranks}",
            f"--master_addr={request.master}", f"--master_port={request.port}",
            f"--node_rank={request.host_rank}", f"--log_dir={request.log_dir}", "--join=True",
            f"--tail_worker_log={request.ranks * request.hosts}",  # no such rank: no tail processes
            *binding, "python", "-m", request.module, *request.arguments]


def _environment(log_dir: Path) -> dict[str, str]:
    """Put this interpreter first: msrun starts the "python" of the PATH, whichever one runs it. A
    folder for dumps that the user chose stays."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {DUMP_FOLDER: str(log_dir.absolute()), **os.environ, "PATH": path,
            TYPED_COMMAND: json.dumps(typed_words()), "GLOG_v": LOG_LEVEL}


def _watch(request: LaunchRequest, msrun: psutil.Popen, messages: Path,
           rank_of: dict[psutil.Process, Optional[int]], ends: Path) -> int:
    """Wait for the end of msrun, of the first rank that dies, or of all work, if MindSpore does not
    end after it; print rank 0's log meanwhile.

    Args:
        messages: the file that msrun logs to.
        rank_of: collects the processes that msrun starts, which may outlive it.
        ends: the folder in which ranks note that their work is done.
    """
    printed, ended = 0, False
    noted_at: Optional[float] = None
    while not ended:
        ended = msrun.poll() is not None  # before reading: nothing written until then is missed
        _add_children(msrun, rank_of)
        logged = messages.read_text(encoding="utf-8", errors="replace")
        printed = _print_log(request.log(request.own_ranks[0]), printed, ended)
        dead = _DEAD_RANK.search(logged)
        if dead:
            process, code = map(int, dead.groups())
            seen = {child.pid: rank for child, rank in rank_of.items() if rank is not None}
            # One that died before it was seen is among the ranks that were never seen.
            unseen = sorted({*request.own_ranks} - {*seen.values()})
            for rank in [seen[process]] if process in seen else unseen:
                _report_dead_rank(request, rank, code)
            return code if code > 0 else 1
        # On several hosts others may still work, whose scheduler is among what would be ended.
        codes = noted_ends(ends, request.own_ranks) if request.hosts == 1 else {}
        if not ended and (len(codes) == request.ranks or any(codes.values())):
            noted_at = noted_at or time.monotonic()
            if time.monotonic() - noted_at > SECONDS_TO_EXIT:
                return _report_hung_exit(request, codes)
        if not ended:
            time.sleep(POLL_SECONDS)
    if msrun.returncode != 0:
        last = logged.strip().split("\n")[-1]
        raise CheckFailed(f"msrun ended with {msrun.returncode} ({last}); the ranks' logs are in "
                          f"{request.log_dir}")
    return 0


def _report_hung_exit(request: LaunchRequest, codes: dict[int, int]) -> int:
    """Report that the processes of ranks that are done do not end; return the exit code of the
    first one that failed, else 0."""
    failed = {rank: code for rank, code in sorted(codes.items()) if code}
    what = "a rank failed" if failed else "the work was done"
    print(f"{what} {SECONDS_TO_EXIT} seconds ago, but MindSpore has not ended: its processes are "
          "ended now", file=sys.stderr, flush=True)
    for rank, code in failed.items():
        _report_dead_rank(request, rank, code)
        return code
    return 0


def _add_children(msrun: psutil.Popen, rank_of: dict[psutil.Process, Optional[int]]) -> None:
    """Add the processes below msrun with the rank of each; None for its scheduler."""
    with contextlib.suppress(psutil.NoSuchProcess):  # msrun ended meanwhile
        for child in msrun.children(recursive=True):
            rank_of.setdefault(child)
            with contextlib.suppress(psutil.Error):  # the child ends while it is examined
                environment = child.environ()
                if environment.get("MS_ROLE") == "MS_WORKER":
                    rank_of[child] = int(environment["RANK_ID"])


def _report_dead_rank(request: LaunchRequest, rank: int, code: int) -> None:
    log = request.log(rank)
    logged = without_harmless(log.read_text(encoding="utf-8", errors="replace"))
    lines = logged.splitlines()[-LAST_LINES:]
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    print(f"rank {rank} {how}, which ends the job; the end of {log}:", *lines, sep="\n  ",
          file=sys.stderr, flush=True)


def _print_log(log: Path, place: int, ended: bool) -> int:
    """Print the lines that follow ``place`` in the log, if it exists yet, and return where they
    end."""
    if not log.exists():
        return place
    with open(log, "rb") as file:
        file.seek(place)
        lines = file.read()
    if not ended:  # the last line may be half-written
        lines = lines[:lines.rfind(b"\n") + 1]
    print(without_harmless(lines.decode(errors="replace")), end="", flush=True)
    return place + len(lines)


def _end_all(rank_of: dict[psutil.Process, Optional[int]]) -> None:
    """End those that still run, and the processes that they have started. Ranks get time to save
    their work; msrun and its scheduler, which waits in a call that no signal ends, have none."""
    processes = set(rank_of)
    for process in rank_of:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.update(process.children(recursive=True))
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs([process for process in processes if rank_of.get(process, 0) is not None],
                      SECONDS_FOR_RANKS)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, SECONDS_FOR_RANKS)


if __name__ == "__main__":
    sys.exit(run_command(main))
