"""The launcher in this process: what it starts msrun with, how it watches and ends what runs."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from common.cli import DUMP_FOLDER, TYPED_COMMAND, CheckFailed, RequestError
from inceptionv4 import launch
from inceptionv4.launch import LaunchRequest

RANK = "import os\nrank = int(os.environ.get('RANK_ID', '-1'))\n"


@pytest.fixture
def request_of(tmp_path):
    """The request of the second of two hosts, which has the ranks 2 and 3."""
    (tmp_path / "log").mkdir()

    def make(**changes) -> LaunchRequest:
        return LaunchRequest(**{
            "arguments": ("--flag", "x"), "module": "job", "ranks": 2, "log_dir": tmp_path / "log",
            "hosts": 2, "host_rank": 1, "master": "10.0.0.7", "port": 8119, **changes})
    return make


@pytest.fixture
def launched(tmp_path, monkeypatch, capfd):
    """Launches two ranks of these lines; the exit code, what was printed, the handlers at last."""
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[2]}{os.pathsep}{tmp_path}")
    handlers: list = []

    def call(lines: str, *words: str) -> tuple[int, str, str, list]:
        (tmp_path / "job.py").write_text(RANK + lines)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        argv = ["launch", "--ranks", "2", "--log-dir", str(tmp_path / "log"), "--port", str(port),
                "job", *words]
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", argv)
            patched.setattr(signal, "signal", lambda *handler: handlers.append(handler))
            patched.setattr(launch, "note_kept_work", handlers.append)
            code = launch.main()
        printed = capfd.readouterr()
        return code, printed.out, printed.err, handlers
    return call


def test_rank_0_is_shown_from_a_new_log_and_a_dead_rank_ends_all(launched, tmp_path):
    """Signals are ignored at the end: a second Ctrl-C would leave processes running."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "worker_0.log").write_text("of an earlier run\n")
    code, out, err, handlers = launched(
        f"import sys, time\nfile = open({str(tmp_path)!r} + f'/{{os.getpid()}}.of', 'w')\n"
        "print(os.getsid(os.getppid()), file=file, flush=True)\n"
        "print('rank', rank, sys.argv[1:], flush=True)\n"
        "time.sleep(0.5 if rank == 1 else 3600)\nos._exit(3)", "a", "b")
    assert (code, out) == (3, "rank 0 ['a', 'b']\n")
    assert err.startswith("starting 2 ranks of job, ") and "rank 1 ended with exit code 3" in err
    assert (tmp_path / "log" / "worker_0.earlier.log").read_text() == "of an earlier run\n"
    assert (tmp_path / "log" / "worker_1.log").read_text() == "rank 1 ['a', 'b']\n"
    assert handlers.pop() == f"all ranks were ended; their logs are in {tmp_path / 'log'}"
    assert set(handlers) >= {(number, signal.SIG_IGN) for number in (signal.SIGINT,
                                                                     signal.SIGTERM)}
    sessions = {int(path.read_text()) for path in tmp_path.glob("*.of")}
    assert len(sessions) == 1 and os.getsid(0) not in sessions  # of msrun: no Ctrl-C gets there
    processes = [int(path.stem) for path in tmp_path.glob("*.of")]
    assert len(processes) == 3 and not any(map(psutil.pid_exists, processes))


def test_its_help_and_its_errors_are_of_its_own_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["launch", "--help"])
    with pytest.raises(SystemExit):
        launch.main()
    text = " ".join(capsys.readouterr().out.split())
    assert "usage: python -m inceptionv4.launch " in text and "--version" in text
    assert "end all ranks when one dies" in text and "arguments of the module" in text
    monkeypatch.setattr(sys, "argv", ["launch", "--ranks", "0", "--log-dir", "x", "job"])
    with pytest.raises(RequestError, match="--ranks 0: give at least 1"):
        launch.main()


def test_the_command_has_every_option_and_no_tail_of_a_log(request_of, monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "ASCEND_DRIVER", tmp_path / "none")
    request = request_of()
    assert launch._msrun_command(request) == [
        sys.executable, "-m", "mindspore.parallel.cluster.run", "--worker_num=4",
        "--local_worker_num=2", "--master_addr=10.0.0.7", "--master_port=8119", "--node_rank=1",
        f"--log_dir={tmp_path / 'log'}", "--join=True", "--tail_worker_log=4",
        "python", "-m", "job", "--flag", "x"]
    assert (request.own_ranks, request.log(3)) == (range(2, 4), tmp_path / "log" / "worker_3.log")


def test_ranks_know_what_was_typed_and_where_dumps_go(monkeypatch, tmp_path):
    """Also for a folder that is given as seen from here; and they start with this Python."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "orig_argv", ["/bin/python", "-m", "inceptionv4.launch", "job"])
    monkeypatch.setattr(launch, "LOG_LEVEL", "1")
    monkeypatch.setenv(DUMP_FOLDER, "elsewhere")
    assert launch._environment(Path("log"))[DUMP_FOLDER] == "elsewhere"
    monkeypatch.delenv(DUMP_FOLDER)
    found = launch._environment(Path("log"))
    assert json.loads(found[TYPED_COMMAND])[1:] == ["-m", "inceptionv4.launch", "job"]
    assert (found[DUMP_FOLDER], found["GLOG_v"]) == (str(tmp_path / "log"), "1")
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert found["PATH"].endswith(os.environ["PATH"])


def test_a_port_that_was_just_used_is_free_and_other_hosts_do_not_check_it(request_of):
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        request = request_of(master="127.0.0.1", port=port)
        launch._check_port(request)  # another host's
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()  # this end waits on, as after a job
            assert client.recv(1) == b""
    launch._check_port(request_of(master="127.0.0.1", port=port, host_rank=0))


def child_of(pid: int, environment: dict, gone: bool = False) -> SimpleNamespace:
    def environ() -> dict:
        if gone:
            raise psutil.NoSuchProcess(pid)
        return environment
    return Hashable(pid=pid, environ=environ)


class Hashable(SimpleNamespace):
    """As processes are: the same if they have the same number."""

    def __hash__(self) -> int:
        return hash(self.pid)


def worker(pid: int, rank: int) -> SimpleNamespace:
    return child_of(pid, {"MS_ROLE": "MS_WORKER", "RANK_ID": str(rank)})


CHILDREN = [child_of(10, {"MS_ROLE": "MS_SCHED", "RANK_ID": "0"}), worker(12, 2), worker(13, 3),
            child_of(14, {}, gone=True)]


def watched(request, tmp_path, messages: str, returncode: int, children=CHILDREN, polls=1):
    """The exit code of a job whose msrun logged ``messages`` and ended at the last poll."""
    (tmp_path / "messages").write_text(messages)
    ends = iter([None] * polls + [returncode])
    msrun = SimpleNamespace(poll=lambda: next(ends), returncode=returncode,
                            children=lambda recursive: children if recursive else [])
    rank_of: dict = {}
    return launch._watch(request, msrun, tmp_path / "messages", rank_of,
                         tmp_path / "ends"), rank_of


@pytest.mark.parametrize("process, said, code, named", [
    (13, "7", 7, {3: "ended with exit code 7"}), (12, "-9", 1, {2: "was killed by signal 9"}),
    # One that was never seen is among the ranks that were not.
    (99, "3", 3, {3: "ended with exit code 3"})])
def test_the_rank_that_died_is_named_with_the_end_of_its_log(
        request_of, tmp_path, monkeypatch, capsys, process, said, code, named):
    monkeypatch.setattr(launch, "LAST_LINES", 2)
    for rank in (2, 3):
        (tmp_path / "log" / f"worker_{rank}.log").write_text(f"a{rank}\nb{rank}\nc{rank}")
    children = CHILDREN if process != 99 else CHILDREN[:2]
    assert watched(request_of(), tmp_path, f"x\nWorker process {process} exit with exception. "
                   f"Error code: {said}.\n", 0, children)[0] == code
    err = capsys.readouterr().err
    for rank, how in named.items():
        log = tmp_path / "log" / f"worker_{rank}.log"
        assert err == (f"rank {rank} {how}, which ends the job; the end of {log}:\n"
                       f"  b{rank}\n  c{rank}\n")


def test_a_job_ends_with_msrun_and_what_it_started_is_known(request_of, tmp_path, monkeypatch,
                                                            capsys):
    waited: list = []
    monkeypatch.setattr(launch.time, "sleep", waited.append)
    (tmp_path / "log" / "worker_2.log").write_text("all of it")
    (tmp_path / "log" / "worker_3.log").write_text("not shown")
    code, rank_of = watched(request_of(), tmp_path, "", 0, polls=2)
    assert (code, waited) == (0, [launch.POLL_SECONDS] * 2)
    assert {child.pid: rank for child, rank in rank_of.items()} == {10: None, 12: 2, 13: 3,
                                                                    14: None}
    assert capsys.readouterr().out == "all of it"
    with pytest.raises(CheckFailed, match=rf"msrun ended with 3 \(the cause\);.*{tmp_path}/log"):
        watched(request_of(), tmp_path, "before\nthe cause\n", 3)


@pytest.mark.parametrize("noted, hosts, code, polls", [
    ({}, 1, 5, 201), ({0: 0}, 1, 5, 201), ({0: 0, 1: 0}, 1, 0, 122), ({1: 7}, 1, 7, 122),
    ({0: 0, 1: 0}, 2, 5, 201), ({1: 7}, 2, 5, 201)])
def test_ranks_that_are_done_but_do_not_end_are_ended(request_of, tmp_path, monkeypatch, capsys,
                                                      noted, hosts, code, polls):
    """MindSpore may hang then. All have to be done, or one to have failed: the others may wait for
    that. On several hosts others may still work. Here msrun ends with 5 after 200 seconds."""
    job = request_of(hosts=hosts, host_rank=0)
    clock = [1000.0]
    monkeypatch.setattr(launch.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(launch.time, "sleep", lambda _: clock.append(clock.pop() + 1))
    (tmp_path / "ends").mkdir()
    for rank, ended_with in noted.items():
        (tmp_path / "ends" / str(rank)).write_text(str(ended_with))
        (tmp_path / "log" / f"worker_{rank}.log").write_text("last words")
    if code == 5:
        with pytest.raises(CheckFailed, match="msrun ended with 5"):
            watched(job, tmp_path, "cause", 5, polls=200)
    else:
        assert watched(job, tmp_path, "", 5, polls=200)[0] == code
    assert clock == [1000 + polls - 1]
    said = capsys.readouterr().err
    what = "the work was done" if code == 0 else "a rank failed"
    assert (f"{what} 120 seconds ago, but MindSpore has not ended" in said) == (code != 5)
    assert ("rank 1 ended with exit code 7" in said) == (code == 7)


def test_a_job_whose_ranks_hang_at_their_end_is_done(launched, monkeypatch):
    monkeypatch.setattr(launch, "SECONDS_TO_EXIT", 0.5)
    code, _, err, _ = launched("import time\nfrom common import rank_end\n"
                               "rank_end.note_end(rank_end.take_place_of_note(), 0)\n"
                               "time.sleep(3600)")
    assert code == 0 and "its processes are ended now" in err


def test_a_log_is_printed_line_by_line_as_it_grows(tmp_path, capsys):
    log = tmp_path / "worker_0.log"
    assert launch._print_log(log, 0, ended=True) == 0
    log.write_text("été\nzw")
    place = launch._print_log(log, 0, ended=False)
    assert (place, capsys.readouterr().out) == (6, "été\n")
    log.write_bytes("été\nzwei\nend".encode() + b"\xff")
    assert launch._print_log(log, place, ended=False) == 11
    assert launch._print_log(log, 11, ended=True) == 15
    assert capsys.readouterr().out == "zwei\nend\ufffd"


@pytest.mark.parametrize("logged, kept", [
    ("interrupted: epoch 1\ninterrupted: epoch 2\nmore\n", "epoch 2"),
    ("not interrupted: x\n", "all ranks were ended"), (None, "all ranks were ended")])
def test_an_interrupted_job_says_what_its_first_rank_said(request_of, tmp_path, monkeypatch,
                                                          logged, kept):
    notes: list = []
    monkeypatch.setattr(launch, "note_kept_work", notes.append)
    if logged:
        (tmp_path / "log" / "worker_2.log").write_text(logged)
    launch._note_kept_work(request_of())
    said, = notes
    assert said.startswith(kept) and (kept == "epoch 2" or str(tmp_path / "log") in said)


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(3600)
"""
SAVING = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(3600)"])
def save(*_):
    child.wait()
    time.sleep(0.3)
    open(sys.argv[1], "w")
    sys.exit()
signal.signal(signal.SIGTERM, save)
print(child.pid, flush=True)
time.sleep(3600)
"""


def test_a_rank_has_time_to_save_and_what_no_signal_ends_is_killed(tmp_path):
    """The rank waits for a process that it has started, which nothing else ends."""
    def start(text: str) -> tuple[psutil.Popen, str]:
        started = psutil.Popen([sys.executable, "-S", "-c", text, str(tmp_path / "saved")],
                               stdout=subprocess.PIPE, text=True)
        return started, started.stdout.readline().strip()
    (scheduler, _), (rank, child) = start(STUBBORN), start(SAVING)
    launch._end_all({scheduler: None, rank: 0})
    assert (tmp_path / "saved").exists() and not psutil.pid_exists(int(child))
    assert (scheduler.wait(60), rank.wait(60)) == (-signal.SIGKILL, 0)
    for process in (scheduler, rank):
        process.stdout.close()
