"""One device for the whole run of tests: CPU, with what ``setup_device`` sets before the first
operation (the first one to run decides on the kernels of the process)."""

import pytest

from inceptionv4 import setup_device


@pytest.fixture(scope="session", autouse=True)
def cpu():
    setup_device("CPU")
