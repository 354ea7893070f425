"""Two ranks: trained, scored, resumed; what they must agree on; and their steps against those of
one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rank_session import train_on_fixed_batches

from inceptionv4.checkpoint import read_checkpoint
from train.run_folder import checkpoints

ROOT = Path(__file__).parents[2]
FLAGS = ("--epochs", 2, "--batch-size", 3, "--workers", 1, "--dropout-keep", 0.5, "--device", "CPU")


@pytest.fixture(scope="module")
def session(records, tmp_path_factory) -> tuple[Path, str]:
    """The folder of the runs that ``rank_session`` makes, and what the launcher printed."""
    root = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("--ranks", 2, "--port", port, "--log-dir", root / "log", "rank_session", root,
             "--records", records["train"].folder, "--val-records", records["val"].folder, *FLAGS)
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "train")))
    done = subprocess.run([sys.executable, "-m", "inceptionv4.launch", *map(str, words)], cwd=ROOT,
                          text=True, capture_output=True, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    return root, done.stdout


def test_rank_0_scores_and_saves_while_the_other_waits(session):
    run, printed = session[0] / "undisturbed", session[1]
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 3), (2, 6)]
    assert all("full_top1_error" in line for line in lines)
    plan = json.loads((run / "plan.json").read_text())
    assert (plan["global_batch"], plan["steps_per_epoch"], plan["steps"]) == (6, 3, 6)
    assert [path.name for path in checkpoints(run)] == [
        "inceptionv4-1_3.ckpt", "inceptionv4-2_6.ckpt"]
    assert printed.count("epoch 1: loss") == 1  # rank 0 is shown, and it alone


def test_resumed_two_ranks_end_alike(session):
    one, other = (read_checkpoint(checkpoints(session[0] / run)[-1])[1]
                  for run in ("resumed", "undisturbed"))
    assert one.keys() == other.keys()
    assert [name for name in one
            if not np.array_equal(one[name].asnumpy(), other[name].asnumpy())] == []


def test_ranks_that_find_different_checkpoints_are_refused(session):
    for rank, step in ((0, 3), (1, 0)):
        refusal, *_ = json.loads((session[0] / f"{rank}.json").read_text())
        assert ("the ranks would resume from different checkpoints (this one from step "
                f"{step})") in refusal


def test_two_ranks_give_the_losses_of_one_process(session):
    alone = train_on_fixed_batches(0, 1)
    together = [json.loads((session[0] / f"{rank}.json").read_text())[1] for rank in (0, 1)]
    assert together[0] == together[1]
    assert max(alone) - min(alone) > 0.01
    np.testing.assert_allclose(together[0], alone, atol=1e-5)


def test_a_step_that_overflows_on_one_rank_is_skipped_on_all(session):
    first, second = (json.loads((session[0] / f"{rank}.json").read_text())[2] for rank in (0, 1))
    assert first == second
    skipped, scale, weights = (first[place::3] for place in range(3))
    assert skipped == [0, 1, 0] and scale == [2.0 ** 16, 2.0 ** 15, 2.0 ** 15]
    assert weights[0] == weights[1] != weights[2]
