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

ROOT = Path(__file__).parents[2]


def write_module(folder: Path, of_a_rank: str) -> None:
    """The module ``job``. msrun starts it as scheduler, too, which ends when a rank has ended."""
    (folder / "job.py").write_text(
        "import os, sys, time\n"
        "if os.environ['MS_ROLE'] == 'MS_SCHED':\n"
        "    time.sleep(0 if 'short' in sys.argv else 3600)\n"
        "    sys.exit()\n"
        "rank = int(os.environ['RANK_ID'])\n" + of_a_rank)


def launcher(folder: Path, *words: str) -> list:
    return [sys.executable, "-m", "inceptionv4.launch", "--ranks", "2", "--log-dir",
            str(folder / "log"), "job", *words]


def environment(folder: Path) -> dict:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}


def launch(folder: Path, of_a_rank: str, *words: str) -> subprocess.CompletedProcess:
    write_module(folder, of_a_rank)
    return subprocess.run(launcher(folder, *words), cwd=ROOT, env=environment(folder), text=True,
                          capture_output=True)


def test_every_rank_gets_the_arguments_and_rank_0_is_shown(tmp_path):
    done = launch(tmp_path, "from common.cli import typed_command\n"
                            "print('rank', rank, sys.argv[1:], *typed_command()[1:5])",
                  "short", "--flag", "x")
    assert done.returncode == 0, done.stderr
    typed = "-m inceptionv4.launch --ranks 2"  # what the user typed, not what msrun started
    assert done.stdout == f"rank 0 ['short', '--flag', 'x'] {typed}\n"
    assert (tmp_path / "log" / "worker_1.log").read_text() == (
        f"rank 1 ['short', '--flag', 'x'] {typed}\n")


@pytest.mark.parametrize("end, code, words", [
    ("sys.exit('error: no such thing')", 1, ["ended with exit code 1", "error: no such thing"]),
    ("sys.exit(2)", 2, ["ended with exit code 2"]),
    ("os.kill(os.getpid(), 9)", 1, ["was killed by signal 9"])])
def test_a_dead_rank_ends_all_and_is_named(tmp_path, end, code, words):
    """The other rank and the scheduler would go on for an hour."""
    done = launch(tmp_path, "print('last words of', rank, flush=True)\n"
                            f"if rank == 1:\n    {end}\n"
                            "time.sleep(3600)")
    assert done.returncode == code
    assert all(word in done.stderr for word in ["rank 1", "last words of 1", *words])
    assert "last words of 0" not in done.stderr


def test_ended_from_outside_it_ends_the_ranks(tmp_path):
    write_module(tmp_path, "open(sys.argv[1] + str(rank), 'w').write(str(os.getpid()))\n"
                           "time.sleep(3600)")
    running = subprocess.Popen(launcher(tmp_path, str(tmp_path / "rank")), cwd=ROOT, text=True,
                               env=environment(tmp_path), stderr=subprocess.PIPE)
    paths = [tmp_path / "rank0", tmp_path / "rank1"]
    while not all(path.exists() and path.read_text() for path in paths):
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate()
    assert running.returncode == 130 and errors.startswith("interrupted: ")
    for path in paths:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)


def test_ranks_do_not_outlive_msrun(tmp_path):
    write_module(tmp_path, "open(sys.argv[1] + str(rank), 'w').write(str(os.getpid()))\n"
                           "time.sleep(3600)")
    running = subprocess.Popen(launcher(tmp_path, str(tmp_path / "rank")), cwd=ROOT, text=True,
                               env=environment(tmp_path), stderr=subprocess.PIPE)
    while not (tmp_path / "rank1").exists():
        assert running.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # two looks at what msrun has started
    msrun, = psutil.Process(running.pid).children()
    ranks = msrun.children(recursive=True)
    msrun.kill()
    _, errors = running.communicate()
    assert running.returncode == 1 and "failed: msrun ended with -9" in errors
    assert len(ranks) >= 3 and not any(rank.is_running() for rank in ranks)


def test_a_port_in_use_is_refused(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        words = launcher(tmp_path)
        done = subprocess.run([*words[:3], "--port", port, *words[3:]], cwd=ROOT, text=True,
                              env=environment(tmp_path), capture_output=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"--port {port}: the ranks cannot join there" in done.stderr


def test_a_host_rank_without_its_host_is_refused(tmp_path):
    done = subprocess.run([sys.executable, "-m", "inceptionv4.launch", "--ranks", "2",
                           "--host-rank", "1", "--log-dir", str(tmp_path), "job"], cwd=ROOT,
                          text=True, capture_output=True)
    assert (done.returncode, done.stderr[:20]) == (2, "error: --host-rank 1")
