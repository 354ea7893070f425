"""Small record sets, made by the sample and the converter; a stand-in for OBS and moxing."""

import json
import shutil
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest
from tiny import build_tiny_network

from common.cli import run_command
from convert.conversion import convert
from convert.records.reader import RecordSet, open_records
from convert.request import Request
from convert.sample.arrange import make_sample
from train.__main__ import main

CLASSES, TRAIN, VAL = 3, 7, 2  # 21 and 6 images


def make_records(folder: Path, classes: int, seed: int) -> dict[str, RecordSet]:
    make_sample(folder / "images", classes, TRAIN, VAL, seed)
    for split in ("train", "val"):
        convert(Request(folder / "images", split, folder / split, shards=2))
    return {split: open_records(folder / split) for split in ("train", "val")}


@pytest.fixture(scope="session")
def records(tmp_path_factory) -> dict[str, RecordSet]:
    """``train`` (21 images) and ``val`` (6 images) of three classes."""
    return make_records(tmp_path_factory.mktemp("records"), CLASSES, seed=0)


@pytest.fixture(scope="session")
def other_records(tmp_path_factory) -> dict[str, RecordSet]:
    """Two classes, so that a run on ``records`` must not be validated with them."""
    return make_records(tmp_path_factory.mktemp("other"), 2, seed=1)


class Obs:
    """``obs://bucket`` of the stand-in: its files, what goes wrong there, what it was asked."""

    def __init__(self, store: Path):
        self.store, self.bucket = store, store / "bucket"
        self.bucket.mkdir(parents=True)
        self.spoil("", "")

    def put(self, folder: Path, name: str) -> str:
        """Upload a folder, in place of what is there; its path on OBS."""
        shutil.rmtree(self.bucket / name, ignore_errors=True)
        shutil.copytree(folder, self.bucket / name)
        return f"obs://bucket/{name}"

    def spoil(self, operation: str, how: str, times: int = 1, after: int = 0) -> None:
        """Let ``times`` calls go wrong after ``after`` good ones; for ``how`` see
        stand_in/moxing.py."""
        (self.store / "rule.json").write_text(json.dumps(
            dict(operation=operation, how=how, times=times, after=after)))

    def calls(self, operation: str) -> list[list[str]]:
        """The arguments of each call of that operation so far."""
        path = self.store / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[1:] for line in lines if line.split()[0] == operation]


@pytest.fixture
def obs(tmp_path, monkeypatch) -> Iterator[Obs]:
    """An empty bucket; ``import moxing`` finds the stand-in, also in processes started here."""
    stand_in = Path(__file__).with_name("stand_in")
    monkeypatch.syspath_prepend(stand_in)
    monkeypatch.setenv("PYTHONPATH", str(stand_in))
    monkeypatch.setenv("STAND_IN_OBS", str(tmp_path / "obs"))
    yield Obs(tmp_path / "obs")
    sys.modules.pop("moxing", None)  # it has read where this test's bucket is


@pytest.fixture
def tiny_network(monkeypatch) -> None:
    """Trainers of this process get a network that compiles in a second."""
    monkeypatch.setattr("train.trainer.build_network", build_tiny_network)


@pytest.fixture
def call(monkeypatch, tiny_network) -> Callable[..., int]:
    """``python -m train`` in this process, with a network that compiles in a second."""
    def command(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["train", *map(str, words)])
        monkeypatch.setattr(sys, "orig_argv", ["/bin/python3", "-m", "train", *map(str, words)])
        return run_command(main)
    return command
