"""Worker processes end with the process that started them."""

import subprocess
import sys

import psutil
import pytest

PROGRAM = """
import os, time
from joblib import delayed
from convert.workers import results_of_workers

def task(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)

if __name__ == "__main__":
    list(results_of_workers([delayed(task)(10_000)] * 2, n_jobs=2))
"""


def test_workers_of_a_killed_process_end_in_the_middle_of_a_task(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as running:
        workers = [psutil.Process(int(running.stdout.readline())) for _ in range(2)]
        running.kill()
        for worker in workers:
            worker.wait()
        assert running.stdout.read() == ""  # ends: no process holds the pipe


def test_a_worker_whose_parent_is_gone_before_its_first_task_ends():
    """Its parent is another process then."""
    code = "import os, time; from convert.workers import _end_with; _end_with(os.getpid())"
    assert subprocess.run([sys.executable, "-c", f"{code}; time.sleep(10_000)"]).returncode == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers):
    from joblib import delayed

    from convert.workers import results_of_workers
    assert list(results_of_workers([delayed(divmod)(k, 2) for k in range(5)], n_jobs=workers)) == [
        divmod(k, 2) for k in range(5)]
