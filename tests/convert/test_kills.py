"""Killed again and again, at moments that are drawn, a conversion ends with the same bytes."""

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time

import pytest
from reading import digests
from terminal import CTRL_C, interrupted

from convert.conversion import convert
from convert.records.manifest import MANIFEST_NAME
from convert.request import Request
from convert.workspace import BUILDING

KILLS = 15
SHARDS = 6
STEPS_AHEAD = 8  # at most, between two kills: a shard finished, or a file at its final place
DELAY = 0.03  # s at most after that step, about what a shard of the sample takes


def final_files(out):
    """How many files have their final names."""
    return sum(path.name != BUILDING for path in out.glob("*"))


def steps_done(out):
    """How far a conversion is, in finished shards and in files at their final places."""
    return len(list(out.glob(f"{BUILDING}/[0-9]*[0-9]"))) + final_files(out)


def check_final_names(out, whole):
    """What stands under a final name is complete and correct; the manifest comes last."""
    final = {name: digest for name, digest in digests(out).items()
             if not name.startswith(BUILDING) and not name.endswith(".tmp")}
    assert final.items() <= whole.items()
    if MANIFEST_NAME in final:
        assert final == whole


def test_sigkill_at_random_moments(sample, tmp_path):
    request = Request(sample, "train", tmp_path / "b", shards=SHARDS, workers=1)
    convert(Request(sample, "train", tmp_path / "whole", shards=SHARDS))
    whole, out = digests(tmp_path / "whole"), request.out
    # Processes that start at once, from one that has imported all they need.
    starting = multiprocessing.get_context("forkserver")
    starting.set_forkserver_preload(["pytest", "convert.conversion"])
    drawn, resumed = random.Random(4), set()
    kills = 0
    while kills < KILLS:
        running = starting.Process(target=convert, args=(request,))
        steps = steps_done(out) + drawn.randint(0, STEPS_AHEAD)
        running.start()
        while running.is_alive() and steps_done(out) < steps:
            time.sleep(0.001)
        running.join(drawn.uniform(0, DELAY))
        if running.is_alive():
            running.kill()
            running.join()
            kills += 1
            resumed.add(steps_done(out))
            check_final_names(out, whole)
        else:
            assert running.exitcode == 0 and digests(out) == whole
            shutil.rmtree(out)
    convert(request)
    assert digests(out) == whole
    assert len(resumed) > 2, f"all kills came when {resumed} steps were done"


def test_stopped_before_each_move_to_a_final_name(sample, tmp_path, monkeypatch):
    """The moves take less than a millisecond together, so that kills seldom come between them."""
    request = Request(sample, "train", tmp_path / "b", shards=2)
    convert(Request(sample, "train", tmp_path / "whole", shards=2))
    whole, move = digests(tmp_path / "whole"), os.replace
    seen, moves_left = set(), 0

    def replace(source, target):
        nonlocal moves_left
        if moves_left == 0:
            raise KeyboardInterrupt  # as if the process ended there
        moves_left -= 1
        move(source, target)
    for number in range(100):
        moves_left = number
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", replace)
            try:
                convert(request)
                break
            except KeyboardInterrupt:
                check_final_names(request.out, whole)
                seen.add(final_files(request.out))
        convert(request)
        assert digests(request.out) == whole
        shutil.rmtree(request.out)
    assert digests(request.out) == whole
    assert seen == set(range(5)), "data and index files of 2 shards, then the manifest"


@pytest.mark.parametrize("seconds", [0, 0.1, 0.2])
def test_ctrl_c_while_workers_start_ends_them_and_the_same_command_resumes(sample, tmp_path,
                                                                           monkeypatch, seconds):
    """The terminal sends it to the workers, too."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    words = ["-m", "convert", "run", "--source", sample, "--split", "train", "--out",
             tmp_path / "b", "--shards", SHARDS, "--workers", 2]
    ended = interrupted(words, "convert train:", CTRL_C, tmp_path, seconds)
    assert ended.code == 130 and not (tmp_path / "b" / MANIFEST_NAME).exists()
    assert [line for line in ended.lines if "images/s" not in line and line != "^C"] == [
        f"interrupted: finished shards are kept in {tmp_path / 'b'}; the same command resumes: "
        f"{sys.executable} {' '.join(map(str, words))}"]
    convert(Request(sample, "train", tmp_path / "b", shards=SHARDS))


@pytest.mark.parametrize("ready, how, code", [
    ("verify rows:", signal.SIGTERM, 143),  # MindSpore is imported then
    ("verify images:", CTRL_C, 130),  # workers start, then each imports it
])
def test_an_interrupted_verification_says_so_in_one_line(train, tmp_path, ready, how, code):
    words = ["-m", "convert", "verify", train, "--deep", "--workers", 2]
    ended = interrupted(words, ready, how, tmp_path, 0.3)
    assert ended.code == code
    assert [line for line in ended.lines if "/s]" not in line and line != "^C"] == [
        "interrupted: nothing was kept; start it again: "
        f"{sys.executable} {' '.join(map(str, words))}"]
