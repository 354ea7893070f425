"""One device for the whole run of tests: CPU, with what ``setup_device`` sets before the first
operation (the first one to run decides on the kernels of the process)."""

import pytest

from common.jpeg import prefer_pillows_libjpeg

prefer_pillows_libjpeg()  # before anything imports MindSpore, as every command does


@pytest.fixture(scope="session", autouse=True)
def cpu():
    from inceptionv4.device import setup_device
    setup_device("CPU")
