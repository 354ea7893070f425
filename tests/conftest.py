"""One device for the whole run of tests: CPU, with what ``setup_device`` sets before the first
operation (the first one to run decides on the kernels of the process)."""

import sys

import pytest

from common.jpeg import prefer_pillows_libjpeg

if sys.argv[0] == "-c":  # a worker of pytest-xdist; MindSpore notes the program for its cache
    sys.argv[0] = pytest.__file__
prefer_pillows_libjpeg()  # before anything imports MindSpore, as every command does


@pytest.fixture(scope="session", autouse=True)
def cpu():
    from inceptionv4.device import setup_device
    setup_device("CPU")
