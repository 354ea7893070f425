"""A small source and its record sets, made once for the whole run of tests."""

import shutil
import sys

import pytest
from reading import blacklist_of

from common import progress
from common.cli import run_command
from convert.__main__ import main
from convert.conversion import convert
from convert.request import Request
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


@pytest.fixture(scope="session")
def train(sample, tmp_path_factory):
    """The training set in three shards, not to be changed."""
    out = tmp_path_factory.mktemp("train") / "records"
    convert(Request(sample, "train", out, shards=3))
    return out


@pytest.fixture(scope="session")
def val(sample, tmp_path_factory):
    """The validation set with its blacklist in three shards, not to be changed."""
    out = tmp_path_factory.mktemp("val") / "records"
    convert(Request(sample, "val", out, shards=3, blacklist=blacklist_of(sample)))
    return out


@pytest.fixture
def records(val, tmp_path):
    """A copy of the validation set that a test may damage."""
    return shutil.copytree(val, tmp_path / "records")


@pytest.fixture
def say(monkeypatch, capsys):
    """Run the command with these words; what it printed on stdout and stderr."""
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["convert", *map(str, words)])
        main()
        return capsys.readouterr()
    return run


@pytest.fixture
def fail(monkeypatch, capsys):
    """Run the command with these words, which must end with this code; what it says on stderr."""
    def run(code, *words):
        monkeypatch.setattr(sys, "argv", ["convert", *map(str, words)])
        assert run_command(main) == code
        return capsys.readouterr().err
    return run


@pytest.fixture
def bars(monkeypatch):
    """The progress that is shown: of what, the units, done before, done at the end, of how many."""
    made = []

    class Noted(progress.LogLines):
        def __init__(self, total, description, unit, initial, *others):
            super().__init__(total, description, unit, initial, *others)
            made.append((self, initial))
    monkeypatch.setattr(progress, "LogLines", Noted)
    return lambda: [(bar.description, bar.unit, initial, bar.n, bar.total)
                    for bar, initial in made]
