"""Killed again and again, at moments that are drawn, a conversion ends with the same bytes."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

from convert import Request, convert
from convert.manifest import MANIFEST_NAME
from convert.workspace import BUILDING
from reading import digests

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
