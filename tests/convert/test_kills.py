"""Killed again and again, at moments that are drawn, a conversion ends with the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

from reading import digests

from convert.conversion import convert
from convert.records.manifest import MANIFEST_NAME
from convert.request import Request
from convert.workspace import BUILDING

KILLS = 20
SHARDS = 10
STEPS_AHEAD = 8  # at most, between two kills: a shard finished, or a file at its final place
DELAY = 0.03  # s at most after that step, about what a shard of the sample takes


def command(sample, out):
    return [sys.executable, "-m", "convert", "run", "--source", sample, "--split", "train",
            "--out", out, "--shards", str(SHARDS), "--workers", "1"]


def final_files(out):
    return {path.name for path in out.glob("*") if path.name != BUILDING}


def steps_done(out):
    """How far a conversion is, in finished shards and in files at their final places."""
    return len(list(out.glob(f"{BUILDING}/[0-9]*[0-9]"))) + len(final_files(out))


def check_final_names(out, whole):
    """What stands under a final name is complete and correct; the manifest comes last."""
    final = {name: digest for name, digest in digests(out).items()
             if not name.startswith(BUILDING) and not name.endswith(".tmp")}
    assert final.items() <= whole.items()
    if MANIFEST_NAME in final:
        assert final == whole


def run_until(running, out, steps, delay):
    """Wait for the conversion to be ``steps`` far and ``delay`` s more, or to end by itself."""
    while running.poll() is None and steps_done(out) < steps:
        time.sleep(0.001)
    time.sleep(delay)


def test_sigkill_at_random_moments(sample, tmp_path):
    convert(Request(sample, "train", tmp_path / "whole", shards=SHARDS))
    whole, out = digests(tmp_path / "whole"), tmp_path / "b"
    drawn, resumed = random.Random(4), set()
    kills = 0
    while kills < KILLS:
        running = subprocess.Popen(command(sample, out), stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, start_new_session=True)
        run_until(running, out, steps_done(out) + drawn.randint(0, STEPS_AHEAD),
                  drawn.uniform(0, DELAY))
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            kills += 1
            resumed.add(steps_done(out))
            check_final_names(out, whole)
        else:
            assert running.returncode == 0 and digests(out) == whole
            shutil.rmtree(out)
    subprocess.run(command(sample, out), check=True, capture_output=True)
    assert digests(out) == whole
    assert len(resumed) > 2, f"all kills came when {resumed} steps were done"


class Stopped(BaseException):
    """As if the process ended there."""


def stop_at_move(monkeypatch, number):
    """End the conversion at its move of that number, counted from 0."""
    moves, move = iter(range(1000)), os.replace

    def replace(source, target):
        if next(moves) == number:
            raise Stopped
        move(source, target)
    monkeypatch.setattr(os, "replace", replace)


def test_stopped_before_each_move_to_a_final_name(sample, tmp_path, monkeypatch):
    """The moves take less than a millisecond together, so that kills seldom come between them."""
    request = Request(sample, "train", tmp_path / "b", shards=3)
    convert(Request(sample, "train", tmp_path / "whole", shards=3))
    whole, seen = digests(tmp_path / "whole"), set()
    for number in range(100):
        with monkeypatch.context() as patched:
            stop_at_move(patched, number)
            try:
                convert(request)
            except Stopped:
                check_final_names(request.out, whole)
                seen.add(len(final_files(request.out)))
                shutil.copytree(request.out, tmp_path / "resumed")
            else:
                break
        convert(Request(sample, "train", tmp_path / "resumed", shards=3))
        assert digests(tmp_path / "resumed") == whole
        shutil.rmtree(tmp_path / "resumed")
        shutil.rmtree(request.out)
    assert digests(request.out) == whole
    assert seen == set(range(7)), "data and index files of 3 shards, then the manifest"
