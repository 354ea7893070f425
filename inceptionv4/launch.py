"""Command line: ``python -m inceptionv4.launch --ranks 8 --log-dir DIR MODULE [argument ...]``.

Starts ``python -m MODULE`` once per rank through MindSpore's own launcher, msrun, and monitors it,
which msrun does poorly: when a rank dies, its scheduler keeps the others waiting for a minute, and
the log that has the cause is one of many. Here a dead rank ends the job at once, with the last
lines of that rank's log and its exit code; rank 0's log is printed as it grows.
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

from common.cli import (TYPED_COMMAND, ArgumentParser, CheckFailed, RequestError, run_command,
                        typed_command)
from common.options import add_options, check_values, from_arguments, option

POLL_SECONDS = 0.2
LAST_LINES = 20  # of a dead rank's log
SECONDS_TO_END = 10  # for processes that were asked to stop
SECONDS_TO_LISTEN = 5  # for the last messages of msrun after it ended
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What msrun logs when a rank ended with an error (process_entity/_api.py, join_processes).
_DEAD_RANK = re.compile(r"Worker process (\d+) exit with exception. Error code: (-?\d+)")


@dataclass(frozen=True)
class LaunchRequest:
    """What to start, on this host and in all."""

    module: str
    arguments: Sequence[str]
    ranks: int = option(help="processes on this host, one per card", low=1)
    log_dir: Path = option(help="folder for the log of each rank, worker_<rank>.log")
    hosts: int = option(1, "hosts with as many ranks each", low=1)
    master: str = option("127.0.0.1", "address of host 0")
    port: int = option(8118, "a free port of host 0, through which the ranks find each other",
                       low=1, high=65535)
    host_rank: int = option(0, "number of this host, from 0", low=0)

    def __post_init__(self) -> None:
        check_values(self)
        if self.host_rank >= self.hosts:
            raise RequestError(f"--host-rank {self.host_rank}: with --hosts {self.hosts}, hosts "
                               f"are 0 to {self.hosts - 1}")

    @property
    def own_ranks(self) -> range:
        """The ranks on this host."""
        return range(self.host_rank * self.ranks, (self.host_rank + 1) * self.ranks)

    def log(self, rank: int) -> Path:
        return self.log_dir / f"worker_{rank}.log"


def main() -> int:
    parser = ArgumentParser(prog="python -m inceptionv4.launch",
                            description="Run a module once per rank, through msrun, and end all "
                                        "ranks when one dies.")
    add_options(parser, LaunchRequest)
    parser.add_argument("module", help="what python -m would run, e.g. train")
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
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    running = subprocess.Popen(_msrun_command(request), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, env=_environment(),
                               start_new_session=True)
    started = {psutil.Process(running.pid)}
    try:
        with _tailing(request.log(request.own_ranks[0])):
            return _watch(request, running, started)
    finally:
        for number in ENDING_SIGNALS:  # a second Ctrl-C would leave processes running
            signal.signal(number, signal.SIG_IGN)
        _end_all(started)
        running.wait()


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
    return [sys.executable, "-m", "mindspore.parallel.cluster.run",
            f"--worker_num={request.ranks * request.hosts}", f"--local_worker_num={request.ranks}",
            f"--master_addr={request.master}", f"--master_port={request.port}",
            f"--node_rank={request.host_rank}", f"--log_dir={request.log_dir}", "--join=True",
            f"--tail_worker_log={request.ranks * request.hosts}",  # no such rank: no tail processes
            "python", "-m", request.module, *request.arguments]


def _environment() -> dict[str, str]:
    """Put this interpreter first: msrun starts the "python" of the PATH, whichever one runs it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, TYPED_COMMAND: json.dumps(typed_command())}


def _watch(request: LaunchRequest, running: subprocess.Popen, started: set[psutil.Process]) -> int:
    """Wait for the end of msrun, or of the first rank that dies; ``started`` collects the processes
    that msrun starts, which may outlive it."""
    messages: list[str] = []
    listener = threading.Thread(target=lambda: messages.extend(running.stderr or ()), daemon=True)
    listener.start()
    rank_of: dict[int, int] = {}
    while running.poll() is None:
        children = _children(running.pid)
        started.update(children)
        rank_of.update(_ranks_by_process(children))
        dead = next(filter(None, map(_DEAD_RANK.search, list(messages))), None)
        if dead is not None:
            process, code = map(int, dead.groups())
            for rank in _ranks_of(process, rank_of, request):
                _report_dead_rank(request, rank, code)
            return code if code > 0 else 1
        time.sleep(POLL_SECONDS)
    listener.join(SECONDS_TO_LISTEN)  # a process that outlives msrun may keep its pipe open
    if running.returncode != 0:
        last = "".join(messages[-1:]).strip()
        raise CheckFailed(f"msrun ended with {running.returncode} ({last}); the ranks' logs are in "
                          f"{request.log_dir}")
    return 0


def _children(msrun: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
        return psutil.Process(msrun).children(recursive=True)
    return []


def _ranks_by_process(children: Sequence[psutil.Process]) -> dict[int, int]:
    """Return the rank of each living process among ``children`` that is one."""
    ranks = {}
    for child in children:
        with contextlib.suppress(psutil.Error):  # it ends while it is examined
            environment = child.environ()
            if environment.get("MS_ROLE") == "MS_WORKER":
                ranks[child.pid] = int(environment["RANK_ID"])
    return ranks


def _ranks_of(process: int, rank_of: dict[int, int], request: LaunchRequest) -> list[int]:
    """Return the rank of that process; if it died before it was seen, all ranks never seen."""
    if process in rank_of:
        return [rank_of[process]]
    return sorted({*request.own_ranks} - {*rank_of.values()})


def _report_dead_rank(request: LaunchRequest, rank: int, code: int) -> None:
    log = request.log(rank)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    print(f"rank {rank} {how}, which ends the job; the end of {log}:", *lines, sep="\n  ",
          file=sys.stderr, flush=True)


@contextlib.contextmanager
def _tailing(log: Path) -> Iterator[None]:
    """Print what is written to ``log`` while the body runs."""
    done = threading.Event()
    reader = threading.Thread(target=_print_log, args=(log, done))
    reader.start()
    try:
        yield
    finally:
        done.set()
        reader.join()


def _print_log(log: Path, done: threading.Event) -> None:
    place = 0
    while True:
        last = done.is_set()  # read before the file, so that nothing written until then is missed
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
    """End those of ``started`` that still run, and the processes that they have started."""
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
