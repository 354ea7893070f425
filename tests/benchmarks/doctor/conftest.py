"""A small record set, and where the processes of a doctor find the packages."""

import pytest

from convert.conversion import convert
from convert.records.reader import RecordSet, open_records
from convert.request import Request
from convert.sample.arrange import make_sample


@pytest.fixture(scope="session")
def small_records(tmp_path_factory) -> RecordSet:
    """48 training images of three classes in two shards."""
    folder = tmp_path_factory.mktemp("small")
    make_sample(folder / "images", 3, 16, 1, 0)
    convert(Request(folder / "images", "train", folder / "train", shards=2))
    return open_records(folder / "train")


@pytest.fixture(autouse=True)
def packages(monkeypatch, request):
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))
