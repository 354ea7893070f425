"""Two ranks: trained, scored, resumed; what they must agree on; their steps and predictions against
those of one process; one of them lost."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rank_session import predictions_of, train_on_fixed_batches

from evaluate.predictions import load_predictions
from inceptionv4.checkpoint import read_checkpoint
from inceptionv4.device import Device
from train.checkpoints import checkpoints, newest_complete

ROOT = Path(__file__).parents[2]
FLAGS = ("--preset", "smoke", "--epochs", 2, "--batch-size", 1, "--accumulate", 3, "--workers", 1,
         "--ema-decay", 0.9,
         "--dropout-keep", 0.5, "--device", "CPU")


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
    assert (done.returncode, "rank 1 was killed by signal 9" in done.stderr) == (1, True), \
        done.stderr  # which is the last thing that happens in the session
    return root, done.stdout


def answers(session, number):
    """What each rank wrote in that place."""
    return [json.loads((session[0] / f"{rank}.json").read_text())[number] for rank in (0, 1)]


def test_both_ranks_score_and_rank_0_saves(session):
    run, printed = session[0] / "undisturbed", session[1]
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 3), (2, 6)]
    assert all(line["full_top1_error"] is not None and line["seconds_validating"] > 0
               and line["seconds_saving"] > 0 for line in lines)
    plan = json.loads((run / "plan.json").read_text())
    assert (plan["global_batch"], plan["steps_per_epoch"], plan["steps"]) == (6, 3, 6)
    assert [path.name for path in checkpoints(run)] == [
        "inceptionv4-1_3.ckpt", "inceptionv4-2_6.ckpt"]
    assert printed.count("epoch 1/2: loss") == 2  # of two runs, rank 0's: it alone is shown


def test_resumed_two_ranks_end_alike(session):
    one, other = (read_checkpoint(checkpoints(session[0] / run)[-1])[1]
                  for run in ("resumed", "undisturbed"))
    assert one.keys() == other.keys()
    assert [name for name in one
            if not np.array_equal(one[name].asnumpy(), other[name].asnumpy())] == []


def test_ranks_that_find_different_checkpoints_are_refused(session):
    """Of the same step."""
    for refusal, _ in answers(session, 0):
        assert ("the ranks would resume from different checkpoints (this one from step 3)"
                ) in refusal


def test_ranks_that_are_asked_for_different_things_are_refused(session):
    for _, refusal in answers(session, 0):
        assert "the ranks were started with different flags, records or" in refusal


def test_two_ranks_give_the_losses_of_one_process(session):
    alone = train_on_fixed_batches(0, 1)
    together = answers(session, 1)
    assert together[0] == together[1]
    assert max(alone) - min(alone) > 0.01
    np.testing.assert_allclose(together[0], alone, atol=1e-5)


def test_a_step_that_overflows_on_one_rank_is_skipped_on_all(session):
    first, second = answers(session, 4)
    assert first == second
    skipped, scale, weights = (first[place::3] for place in range(3))
    assert skipped == [0, 1, 0] and scale == [2.0 ** 16, 2.0 ** 15, 2.0 ** 15]
    assert weights[0] == weights[1] != weights[2]


def test_two_ranks_have_the_predictions_of_one_process_to_the_bit(session, records):
    alone = predictions_of(Device("CPU", False, 0, 1), records["val"].folder).arrays
    assert len(np.unique(alone["top5_prob"])) > 6
    for rank in (0, 1):
        together = load_predictions(session[0] / f"{rank}.npz").arrays
        assert [name for name in alone if not np.array_equal(alone[name], together[name])] == []


def test_ranks_score_with_the_moving_averages_that_are_saved(session):
    """Each rank has batch norm's averages of its own images, until it is given rank 0's."""
    saved = read_checkpoint(checkpoints(session[0] / "undisturbed")[-1])[1]
    for averages in answers(session, 2):
        assert averages == saved["bn.moving_mean"].asnumpy().tolist()


def test_what_one_rank_cannot_read_all_ranks_hear(session):
    assert answers(session, 3) == ["image id 5 ° cannot be decoded"] * 2


def test_a_rank_lost_in_a_validation_ends_the_job_and_the_run_can_resume(session):
    assert newest_complete(session[0] / "lost").meta.epoch == 1
    assert len((session[0] / "lost" / "history.jsonl").read_text().splitlines()) == 1
