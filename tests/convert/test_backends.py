"""The same bytes from every backend, and one line for what is wrong with it."""

import importlib.util

import pytest
from reading import digests

from common.cli import RequestError
from convert import shards as shards_module
from convert.conversion import convert
from convert.request import Request
from convert.workspace import BUILDING


@pytest.fixture(scope="module")
def cluster():
    """A Dask scheduler and two workers, each a process, on loopback."""
    from distributed import LocalCluster
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1",
                      dashboard_address=None) as running:
        yield running


def convert_on(backend, source, tmp_path, **options):
    return convert(Request(source, "train", tmp_path / "b", shards=3, backend=backend, **options))


def test_a_dask_cluster_gives_the_same_bytes(sample, train, tmp_path, cluster, monkeypatch):
    def not_here(*_):
        raise AssertionError("a shard was built in the process that asked")
    monkeypatch.setattr(shards_module, "_write", not_here)  # workers have modules of their own
    convert_on("dask", sample, tmp_path, scheduler=cluster.scheduler_address)
    assert digests(tmp_path / "b") == digests(train)


def test_an_error_on_a_dask_worker_names_the_file(source, tmp_path, cluster):
    victim = sorted(source.glob("train/*/*"))[0]
    victim.write_bytes(b"")
    with pytest.raises(RequestError, match=f"'{victim.parent.name}/{victim.name}' .empty file"):
        convert_on("dask", source, tmp_path, scheduler=cluster.scheduler_address)
    assert [path.name for path in (tmp_path / "b").iterdir()] == [BUILDING]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None,
                    reason="the ray extra is not installed")
def test_ray_gives_the_same_bytes(sample, train, tmp_path):
    convert_on("ray", sample, tmp_path, workers=2)
    assert digests(tmp_path / "b") == digests(train)


@pytest.mark.parametrize("backend, options, words", [
    ("dask", {}, "--backend dask: give the address .* --scheduler tcp://host:8786"),
    ("dask", {"scheduler": "tcp://127.0.0.1:9"}, "--scheduler tcp://127.0.0.1:9 does not answer"),
    ("ray", {}, r"needs the package no_such_package.*'.\[ray\]'")])
def test_a_backend_that_is_not_there_is_named(sample, tmp_path, monkeypatch, backend, options,
                                              words):
    monkeypatch.setattr(shards_module, "SCHEDULER_SECONDS", 1)
    monkeypatch.setitem(shards_module.PACKAGES, "ray", "no_such_package")
    with pytest.raises(RequestError, match=words):
        convert_on(backend, sample, tmp_path, **options)
