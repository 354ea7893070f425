"""A small source in both layouts, made once for the whole run of tests."""

import shutil

import pytest

from convert.sample.arrange import make_sample


@pytest.fixture(scope="session", autouse=True)
def one_worker():
    """Requests that name no number of workers build their shards in this process."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LOKY_MAX_CPU_COUNT", "1")
        yield


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """Four classes, 5 training and 3 validation images each, in the official layout."""
    folder = tmp_path_factory.mktemp("sample") / "imagenet"
    make_sample(folder, classes=4, train=5, val=3, seed=1)
    return folder


@pytest.fixture
def source(sample, tmp_path):
    """A copy of the sample that a test may spoil."""
    return shutil.copytree(sample, tmp_path / "imagenet")
