"""The launcher over msrun, with modules that need no MindSpore."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from common.cli import DUMP_FOLDER, RequestError
from inceptionv4 import launch
from inceptionv4.launch import LaunchRequest

ROOT = Path(__file__).parents[2]


def start(folder: Path, of_a_rank: str, *words: str, port: int = 0,
          flags: tuple[str, ...] = ()) -> subprocess.Popen:
    """Start two ranks of the module ``job``; ``flags`` are more of the launcher's. msrun starts it
    as scheduler, too, which ends when a rank has ended."""
    (folder / "job.py").write_text(
        "import os, sys, time\n"
        "if os.environ['MS_ROLE'] == 'MS_SCHED':\n"
        "    time.sleep(0 if 'short' in sys.argv else 3600)\n"
        "    sys.exit()\n"
        "rank = int(os.environ['RANK_ID'])\n" + of_a_rank)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = port or listener.getsockname()[1]
    # Other tests set up a device in this process, which says where dumps go.
    environment = {name: value for name, value in os.environ.items() if name != DUMP_FOLDER}
    return subprocess.Popen(
        [sys.executable, "-m", "inceptionv4.launch", "--ranks", "2", "--log-dir",
         str(folder / "log"), "--port", str(port), *flags, "job", *words],
        cwd=ROOT, env={**environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_every_rank_gets_the_arguments_and_rank_0_is_shown(tmp_path):
    running = start(tmp_path, "from common.cli import typed_command\n"
                              "print('rank', rank, sys.argv[1:], *typed_command()[1:5])",
                    "short", "--flag", "x")
    output, errors = running.communicate()
    assert running.returncode == 0, errors
    typed = "-m inceptionv4.launch --ranks 2"  # what the user typed, not what msrun started
    assert output == f"rank 0 ['short', '--flag', 'x'] {typed}\n"
    assert (tmp_path / "log" / "worker_1.log").read_text() == (
        f"rank 1 ['short', '--flag', 'x'] {typed}\n")


PLACE = "DISTRIBUTED(1,7f,python):2026-11-27-00:04:03.657.196 [mindspore/ccsrc/cluster"
HARMLESS = [
    f"[INFO] {PLACE}/rpc/core/communicator/tcp_client.cc:367] Start] Event base dispatch success!",
    f"[WARNING] {PLACE}/topology/cluster_context.cc:316] BuildCluster] Topology build timed out., "
    "retry(99/1200).",
    "[WARNING] ME(1:2,MainProcess):2026-11-27-00:04:57.519.000 [mindspore/common/_decorator.py:69] "
    "'FusedSparseAdam' is deprecated from version 2.8.0 and will be removed in a future version."]
OTHERS = [HARMLESS[0].replace("INFO", "ERROR"), HARMLESS[0].replace("success", "failed"),
          HARMLESS[1].replace("99/", "100/"), HARMLESS[1].replace("timed out", "failed"),
          HARMLESS[2].replace("is deprecated", "is wrong"), "an own line"]


def test_what_mindspore_logs_of_a_good_start_stays_in_the_log(tmp_path):
    """Errors and warnings that are not known are printed."""
    lines = [line for pair in zip(OTHERS, [*HARMLESS, *HARMLESS]) for line in pair]
    (tmp_path / "lines").write_text("\n".join([*lines, "no end"]))
    running = start(tmp_path, "for part in open(sys.argv[1]).read().split('e'):\n"
                              "    print(part, end='e' if rank == 0 else '', flush=True)\n"
                              "print(os.environ['GLOG_v'], os.environ['MS_OM_PATH'])",
                    str(tmp_path / "lines"), "short")
    output, errors = running.communicate()
    assert running.returncode == 0, errors
    printed = output.splitlines()
    assert printed[:-1] == OTHERS
    assert printed[-1] == f"no ende{os.environ.get('GLOG_v', '2')} {tmp_path / 'log'}"
    logged = (tmp_path / "log" / "worker_0.log").read_text().splitlines()
    assert logged[:-1] == lines
    assert errors.startswith("starting 2 ranks of job, ") and f"{tmp_path / 'log'}/w" in errors


def test_the_second_of_two_hosts_has_the_last_ranks(tmp_path):
    running = start(tmp_path, "print('rank', rank, 'of', os.environ['MS_WORKER_NUM'])", "short",
                    flags=("--hosts", "2", "--host-rank", "1"))
    output, errors = running.communicate()
    assert (running.returncode, output) == (0, "rank 2 of 4\n"), errors
    assert (tmp_path / "log" / "worker_3.log").read_text() == "rank 3 of 4\n"


def test_a_killed_rank_ends_all_and_is_named(tmp_path):
    """The other rank and the scheduler would go on for an hour. ``test_launch_watch.py`` has a
    rank that ends with an exit code."""
    running = start(tmp_path, "print('last words of', rank, flush=True)\n"
                              "if rank == 1:\n    os.kill(os.getpid(), 9)\n"
                              "time.sleep(3600)")
    _, errors = running.communicate()
    assert running.returncode == 1
    assert "rank 1 was killed by signal 9" in errors and "last words of 1" in errors
    assert "last words of 0" not in errors


@pytest.mark.parametrize("ended, code, message", [
    ("launcher", 143, "interrupted: epoch 2 of rank 0\n"),
    ("msrun", 1, "failed: msrun ended with -9")])
def test_no_rank_outlives_launcher_or_msrun(tmp_path, ended, code, message):
    running = start(tmp_path, "import signal\n"
                              "def end(*_):\n"
                              "    print('interrupted: epoch 2 of rank', rank)\n"
                              "    sys.exit(143)\n"
                              "signal.signal(signal.SIGTERM, end)\n"
                              "open(sys.argv[1] + str(rank), 'w')\n"
                              "time.sleep(3600)",
                    str(tmp_path / "rank"))
    while not all((tmp_path / f"rank{rank}").exists() for rank in (0, 1)):
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    time.sleep(1)  # the launcher checks twice what msrun has started
    msrun, = psutil.Process(running.pid).children()
    processes = msrun.children(recursive=True)
    if ended == "launcher":
        running.send_signal(signal.SIGTERM)
    else:
        msrun.kill()
    _, errors = running.communicate()
    assert running.returncode == code and message in errors
    assert len(processes) >= 3 and not any(process.is_running() for process in processes)


def test_a_port_in_use_is_refused(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        running = start(tmp_path, "", port=port)
        _, errors = running.communicate()
    assert (running.returncode, errors.count("\n")) == (2, 1)
    assert f"--port {port}: the ranks cannot join there" in errors


def test_a_host_rank_without_its_host_is_refused(tmp_path):
    with pytest.raises(RequestError, match="--host-rank 1: with --hosts 1"):
        LaunchRequest((), "job", ranks=2, log_dir=tmp_path, host_rank=1)


def test_ranks_are_bound_to_cores_on_a_host_with_cards(tmp_path, monkeypatch):
    request = LaunchRequest(module="train", arguments=[], ranks=8, log_dir=tmp_path)
    for driver, bound in ((tmp_path, True), (tmp_path / "none", False)):
        monkeypatch.setattr(launch, "ASCEND_DRIVER", driver)
        words = launch._msrun_command(request)
        assert ("--bind_core=True" in words[:words.index("train")]) == bound
