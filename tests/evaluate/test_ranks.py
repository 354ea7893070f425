"""Two ranks under msrun share the images out; the result is that of one rank, to the bit."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
# msrun starts the "python" of the PATH, whichever one runs it.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1]),
               "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def test_two_ranks_resume_from_one_ranks_parts_and_end_with_the_same_bits(
        call, words, interrupted, tmp_path):
    """Four groups: of the images 1 and 2, which are in ``interrupted``, ... and of image 7."""
    assert call(*words("one"))[0] == 0
    done = subprocess.run(
        ["msrun", "--worker_num=2", "--local_worker_num=2", "--join=True",
         f"--master_port={free_port()}", f"--log_dir={tmp_path / 'log'}", "python",
         HERE / "stand_in.py", *map(str, words("out"))],
        env=ENVIRONMENT, cwd=HERE.parents[1], capture_output=True, text=True)
    logs = [(tmp_path / "log" / f"worker_{rank}.log").read_text() for rank in (0, 1)]
    assert done.returncode == 0, logs
    assert "2/2" in logs[0] and "3/3" in logs[1]  # images left to each rank
    one, two = (json.loads((tmp_path / name / "result.json").read_text())
                for name in ("one", "out"))
    assert (one["speed"]["ranks"], two["speed"]["ranks"]) == (1, 2)
    assert two["speed"]["images_per_second_per_rank"] == pytest.approx(
        7 / two["speed"]["seconds_of_all_ranks"])
    assert two["argv"][0] == "python" and two["argv"][2:] == [*map(str, words("out"))]
    assert (one["sets"], one["curve"]) == (two["sets"], two["curve"])
    with np.load(tmp_path / "one" / "predictions.npz") as first, \
            np.load(tmp_path / "out" / "predictions.npz") as second:
        assert all(np.array_equal(first[name], second[name]) for name in first)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "predictions.npz", "result.json", "result.md"]
