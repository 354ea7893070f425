"""Command line: ``python -m inceptionv4.launch --ranks 8 --log-dir DIR MODULE [argument ...]``.

Starts ``python -m MODULE`` once a rank through MindSpore's own launcher, msrun, and looks after it,
which msrun does poorly: when a rank dies its scheduler keeps everything waiting for a minute, and
the log that tells why is one of many. Here a dead rank ends the job at once, with the last lines
of that rank's log and its exit code; rank 0's log is shown as it grows.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, Sequence

import psutil

from common.cli import (TYPED_COMMAND, ArgumentParser, CheckFailed,
                        RequestError, run_command, typed_command)

POLL_SECONDS = 0.2
LAST_LINES = 20  # of a dead rank's log
SECONDS_TO_END = 10  # for what was asked to stop
SECONDS_TO_LISTEN = 5  # to what msrun said before it ended
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What msrun logs when a rank ended otherwise than well (process_entity/_api.py, join_processes).
_DEAD_RANK = re.compile(r"Worker process (\d+) exit with exception. Error code: (-?\d+)")


@dataclass(frozen=True)
class LaunchRequest:
    """What to start: ``ranks`` processes in all, ``local_ranks`` of them on this host."""

    module: str
    arguments: Sequence[str]
    ranks: int
    local_ranks: int
    master: str  # address of host 0
    port: int
    host_rank: int  # of this host, from 0
    log_dir: Path


def main() -> int:
    parser = ArgumentParser(prog="python -m inceptionv4.launch",
                            description="Run a module once a rank, through msrun, and end "
                                        "all ranks when one dies.")
    parser.add_argument("--ranks", type=int, required=True, help="processes on this host, one a "
                                                                 "card")
    parser.add_argument("--hosts", type=int, default=1, help="hosts with as many ranks each")
    parser.add_argument("--master", default="127.0.0.1", help="address of host 0")
    parser.add_argument("--port", type=int, default=8118,
                        help="a free port of host 0, by which the ranks find each other")
    parser.add_argument("--host-rank", type=int, default=0, help="number of this host, from 0")
    parser.add_argument("--log-dir", type=Path, required=True,
                        help="folder for the log of each rank, worker_<rank>.log")
    parser.add_argument("module", help="what python -m would run, e.g. train")
    parser.add_argument("arguments", nargs="...", help="of the module")
    given = parser.parse_args()
    if given.ranks < 1 or not 0 <= given.host_rank < given.hosts:
        raise RequestError(f"--ranks {given.ranks} --hosts {given.hosts} --host-rank "
                           f"{given.host_rank}: at least 1 rank and host, hosts count from 0")
    return launch(LaunchRequest(given.module, given.arguments, given.ranks * given.hosts,
                                given.ranks,
                                given.master, given.port, given.host_rank, given.log_dir))


def launch(job: LaunchRequest) -> int:
    """Run the job to its end; returns its exit code, that of the first rank that died if one did.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; all ranks have been ended then.
    """
    _check_port(job)
    job.log_dir.mkdir(parents=True, exist_ok=True)
    for log in (_log(job, rank) for rank in _own_ranks(job)):
        if log.exists():  # an earlier run's would be shown
            log.replace(log.with_suffix(".earlier.log"))
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    running = subprocess.Popen(_msrun_command(job), stdout=subprocess.DEVNULL, env=_environment(),
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    started = {psutil.Process(running.pid)}
    try:
        with _tailing(_log(job, _own_ranks(job)[0])):
            return _watch(job, running, started)
    finally:
        for number in ENDING_SIGNALS:  # a second Ctrl-C would leave processes behind
            signal.signal(number, signal.SIG_IGN)
        _end_all(started)
        running.wait()


def _check_port(job: LaunchRequest) -> None:
    """Another job's scheduler would take these ranks for its own, or refuse them minutes later."""
    if job.host_rank > 0:
        return
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((job.master, job.port))
        except OSError as error:
            raise RequestError(f"--master {job.master} --port {job.port}: ranks cannot meet there "
                               f"({error.strerror}); give a free port with --port (make: PORT) "
                               "and an address of this host") from None


def _msrun_command(job: LaunchRequest) -> list[str]:
    return [sys.executable, "-m", "mindspore.parallel.cluster.run",
            f"--worker_num={job.ranks}", f"--local_worker_num={job.local_ranks}",
            f"--master_addr={job.master}", f"--master_port={job.port}",
            f"--node_rank={job.host_rank}", f"--log_dir={job.log_dir}", "--join=True",
            f"--tail_worker_log={job.ranks}",  # of no rank; by default each has a tail of its own
            "python", "-m", job.module, *job.arguments]


def _environment() -> dict[str, str]:
    """msrun starts the "python" of the PATH, whichever one runs it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, TYPED_COMMAND: json.dumps(typed_command())}


def _own_ranks(job: LaunchRequest) -> range:
    """Those on this host."""
    return range(job.host_rank * job.local_ranks, (job.host_rank + 1) * job.local_ranks)


def _log(job: LaunchRequest, rank: int) -> Path:
    return job.log_dir / f"worker_{rank}.log"


def _watch(job: LaunchRequest, running: subprocess.Popen, started: set[psutil.Process]) -> int:
    """Wait for the end of msrun, or of the first rank that dies; ``started`` gathers all that msrun
    starts, which may outlive it."""
    said: list[str] = []
    listener = threading.Thread(target=lambda: said.extend(running.stderr or ()), daemon=True)
    listener.start()
    rank_of: dict[int, int] = {}
    while running.poll() is None:
        children = _children(running.pid)
        started.update(children)
        rank_of.update(_ranks_by_process(children))
        dead = next(filter(None, map(_DEAD_RANK.search, list(said))), None)
        if dead is not None:
            process, code = map(int, dead.groups())
            for rank in _ranks_of(process, rank_of, job):
                _report_dead_rank(job, rank, code)
            return code if code > 0 else 1
        time.sleep(POLL_SECONDS)
    listener.join(SECONDS_TO_LISTEN)  # what outlives msrun may keep its pipe open
    if running.returncode != 0:
        raise CheckFailed(f"msrun ended with {running.returncode} ({''.join(said[-1:]).strip()}); "
                          f"the ranks' logs are in {job.log_dir}")
    return 0


def _children(msrun: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
        return psutil.Process(msrun).children(recursive=True)
    return []


def _ranks_by_process(children: Sequence[psutil.Process]) -> dict[int, int]:
    """Process -> rank, of each rank among ``children`` that lives."""
    ranks = {}
    for child in children:
        with contextlib.suppress(psutil.Error):  # it ends while it is looked at
            environment = child.environ()
            if environment.get("MS_ROLE") == "MS_WORKER":
                ranks[child.pid] = int(environment["RANK_ID"])
    return ranks


def _ranks_of(process: int, rank_of: dict[int, int], job: LaunchRequest) -> list[int]:
    """The rank of that process; if it died before it was seen, all ranks that never were."""
    if process in rank_of:
        return [rank_of[process]]
    return sorted({*_own_ranks(job)} - {*rank_of.values()})


def _report_dead_rank(job: LaunchRequest, rank: int, code: int) -> None:
    log = _log(job, rank)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    print(f"rank {rank} {how} and with it the job; the end of {log}:", *lines, sep="\n  ",
          file=sys.stderr, flush=True)


@contextlib.contextmanager
def _tailing(log: Path) -> Iterator[None]:
    """Print what is written to ``log``, as it comes."""
    done = threading.Event()
    reader = threading.Thread(target=_show, args=(log, done))
    reader.start()
    try:
        yield
    finally:
        done.set()
        reader.join()


def _show(log: Path, done: threading.Event) -> None:
    place = 0
    while True:
        last = done.is_set()  # asked before reading: what is written before the end is shown
        if log.exists():
            with open(log, encoding="utf-8", errors="replace") as file:
                file.seek(place)
                text = file.read()
                place = file.tell()
            print(text, end="", flush=True)
        if last:
            return
        done.wait(POLL_SECONDS)


def _end_all(started: Iterable[psutil.Process]) -> None:
    """End what runs of ``started`` and of what it has started."""
    processes = set(started)
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.update(process.children(recursive=True))
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(processes, SECONDS_TO_END)[1]:
        process.kill()


if __name__ == "__main__":
    sys.exit(run_command(main))
