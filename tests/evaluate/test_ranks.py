"""Two ranks under msrun share the images out; the result is that of one rank, to the bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
# msrun starts the "python" of the PATH, whichever one runs it.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1]),
               "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_two_ranks_go_on_from_one_ranks_parts_and_end_with_the_same_bits(
        call, options, records, checkpoint, stand_in, tmp_path):
    choice = {"crops": 12, "views_per_step": 12}  # four groups: of images 1 and 2, ... and of 7
    assert call(*options(records, checkpoint, tmp_path / "one", choice))[0] == 0
    words = options(records, checkpoint, tmp_path / "two", choice)
    assert stand_in(words, GROUPS_TO_LIVE="1").returncode < 0
    done = subprocess.run(["msrun", "--worker_num=2", "--local_worker_num=2", "--join=True",
                           f"--log_dir={tmp_path / 'log'}", "python", HERE / "stand_in.py",
                           *map(str, words)], env=ENVIRONMENT, cwd=HERE.parents[1],
                          capture_output=True, text=True)
    logs = [(tmp_path / "log" / f"worker_{rank}.log").read_text() for rank in (0, 1)]
    assert done.returncode == 0, logs
    assert "2/2" in logs[0] and "3/3" in logs[1]  # images left to each rank
    results = [json.loads((tmp_path / name / "result.json").read_text())
               for name in ("one", "two")]
    assert [result["speed"]["ranks"] for result in results] == [1, 2]
    assert results[0]["sets"] == results[1]["sets"]
    with np.load(tmp_path / "one" / "predictions.npz") as one, \
            np.load(tmp_path / "two" / "predictions.npz") as two:
        assert all(np.array_equal(one[name], two[name]) for name in one)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [
        "predictions.npz", "result.json", "result.md"]
