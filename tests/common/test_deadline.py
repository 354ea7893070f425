"""A read that hangs ends the process with one line; what lies between two reads does not."""

import subprocess
import sys
import time

import pytest

from common import deadline

PROGRAM = """
import os, sys, time
from common import deadline
deadline.SECONDS_WITHOUT_IMAGES = 0.2
read, _ = os.pipe()
print("read so far")
for step in (1, 2):
    with deadline.reading_deadline("the feed gave no batch", f"before step {step}"):
        step == 2 and os.read(read, 1)
    time.sleep(0.4)
"""


def test_a_read_that_hangs_is_one_line_and_exit_code_2():
    done = subprocess.run([sys.executable, "-c", PROGRAM], text=True, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (
        2, "read so far\n", "error: the feed gave no batch for 0.2 s, before step 2; check that "
        "the storage of the images answers\n")


def test_an_error_of_the_read_ends_the_waiting(monkeypatch):
    ended = []
    monkeypatch.setattr(deadline, "end_process", ended.append)
    monkeypatch.setattr(deadline, "SECONDS_WITHOUT_IMAGES", 0.1)
    with pytest.raises(OSError), deadline.reading_deadline("the feed gave no batch", "here"):
        raise OSError
    time.sleep(0.3)
    assert ended == []
