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


def command(sample, out):
    return [sys.executable, "-m", "convert", "run", "--source", sample, "--split", "train",
            "--out", out, "--shards", str(SHARDS), "--workers", "1"]


def check_final_names(out, whole):
    """What stands under a final name is complete and correct; the manifest comes last."""
    final = {name: digest for name, digest in digests(out).items()
             if not name.startswith(BUILDING) and not name.endswith(".tmp")}
    assert final.items() <= whole.items()
    if MANIFEST_NAME in final:
        assert final == whole


def test_sigkill_at_random_moments(sample, tmp_path):
    convert(Request(sample, "train", tmp_path / "whole", shards=SHARDS))
    whole, out = digests(tmp_path / "whole"), tmp_path / "b"
    start = time.perf_counter()
    subprocess.run(command(sample, tmp_path / "timed"), check=True, capture_output=True)
    seconds = time.perf_counter() - start
    moments, resumed = random.Random(4), set()
    kills = 0
    while kills < KILLS:
        running = subprocess.Popen(command(sample, out), stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(moments.uniform(0.5, 1.05) * seconds)  # the first half is loading
        finished = running.poll() is not None
        if not finished:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            kills += 1
        if out.exists():
            check_final_names(out, whole)
            resumed.add(len(list(out.glob(f"{BUILDING}/[0-9]*[0-9]"))))
        if finished:
            assert running.returncode == 0 and digests(out) == whole
            shutil.rmtree(out)
            seconds *= 0.9  # the machine was busier when it was timed
    subprocess.run(command(sample, out), check=True, capture_output=True)
    assert digests(out) == whole
    assert len(resumed) > 2, "the kills all came at the same stage"
