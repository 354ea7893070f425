"""Every option reaches what it is for."""

import dataclasses
from pathlib import Path

import pytest
from reading import blacklist_of, digests

from common.files import sha256_of_lines
from convert import conversion, shards as shards_module, verify as verify_module
from convert.conversion import convert, convert_range
from convert.records.manifest import read_manifest
from convert.request import Request
from convert.sample.arrange import arrange_sample
from convert.sources import ilsvrc, parquet as parquet_source
from convert.verify import repair, verify

SHARED = ["--blacklist", "b", "--ids-are-positions", "--ground-truth", "t", "--class-names", "n",
          "--layout", "kaggle", "--extensions", ".a", ".b", "--no-lock", "--workers", "3",
          "--backend", "ray", "--scheduler", "ray://x"]
OF_RUN = ["--source", "s", "--split", "val", "--out", "o", "--shards", "7", "--seed", "5",
          "--check", "header", "--short-side", "99", "--quality", "44", "--on-bad", "skip",
          "--both-splits", "--allow-other-labels"]
GIVEN = {"blacklist": Path("b"), "ids_are_positions": True, "ground_truth": Path("t"),
         "class_names": Path("n"), "layout": "kaggle", "extensions": (".a", ".b"), "no_lock": True,
         "workers": 3, "backend": "ray", "scheduler": "ray://x"}
RUN_GIVEN = {"source": Path("s"), "split": "val", "out": Path("o"), "shards": 7, "seed": 5,
             "check": "header", "short_side": 99, "quality": 44, "on_bad": "skip",
             "both_splits": True, "allow_other_labels": True}
FINISH = [word for word in SHARED if word not in ("--workers", "3", "--backend", "ray",
                                                  "--scheduler", "ray://x")]


class Asked(Exception):
    """Ends a command where its request arrives."""


@pytest.fixture
def asked(monkeypatch):
    """The request that each function got; it does nothing else."""
    def note(*arguments, **_):
        raise Asked(*arguments)
    for place, name in ((conversion, "convert"), (conversion, "finish"),
                        (conversion, "convert_range"), (verify_module, "repair")):
        monkeypatch.setattr(place, name, note)


@pytest.mark.parametrize("words, engine, rest", [
    (["run", *OF_RUN, *SHARED], True, [["python", "-m", "typed"]]),
    (["run", *OF_RUN, *SHARED, "--shard-range", "2-6"], True, [2, 6]),
    (["finish", *OF_RUN, *FINISH], False, [["python", "-m", "typed"]])])
def test_options_of_a_conversion_are_all_in_its_request(say, asked, monkeypatch, words, engine,
                                                        rest):
    monkeypatch.setattr("sys.orig_argv", ["/bin/python3", "-m", "typed"])
    with pytest.raises(Asked) as error:
        say(*words)
    request, *others = error.value.args
    expected = {**GIVEN, **RUN_GIVEN}
    if not engine:
        expected |= {"workers": None, "backend": "loky", "scheduler": None}
    assert dataclasses.asdict(request) == expected and others == rest
    assert expected.keys() == {item.name for item in dataclasses.fields(Request)}


def test_options_of_a_repair_are_all_in_its_request(say, asked, records):
    with pytest.raises(Asked) as error:
        say("verify", records, "--repair", "s", *SHARED)
    request, = error.value.args
    assert request == Request(**{**GIVEN, "source": Path("s"), "split": "val", "out": records})


@pytest.mark.parametrize("workers, first, jobs", [(2, 0, 2), (5, 0, 3), (5, 1, 2), (None, 0, 1)])
def test_as_many_workers_as_asked_for_but_no_more_than_shards_build(sample, tmp_path, monkeypatch,
                                                                    workers, first, jobs):
    started, real = [], shards_module.parallel_config
    monkeypatch.setattr(shards_module, "parallel_config", lambda *backend, **how: (
        started.append((*backend, how)), real("loky", n_jobs=1))[1])
    convert_range(Request(sample, "train", tmp_path, shards=3, workers=workers), first, 2)
    assert started == [("loky", {"n_jobs": jobs})]


def test_a_verification_and_a_listing_use_the_workers_that_are_given(source, train, tmp_path, say,
                                                                     monkeypatch):
    jobs = {}

    def noting(place, name):
        real = getattr(place, name)

        def call(*tasks, n_jobs, **how):
            jobs.setdefault((place, name), []).append((n_jobs, how.get("prefer")))
            return real(*tasks, n_jobs=1, **how)
        monkeypatch.setattr(place, name, call)
    noting(verify_module, "Parallel")
    noting(verify_module, "results_of_workers")
    noting(parquet_source, "results_of_workers")
    assert "can all be decoded" in say("verify", train, "--deep", "--workers", 4).out
    assert jobs == {(verify_module, "Parallel"): [(4, "threads")],
                    (verify_module, "results_of_workers"): [(4, None)]}
    assert "decoded" not in say("verify", train, "--repair", "gone", "--workers", 5).out
    assert jobs[verify_module, "Parallel"][1:] == [(5, "threads")] * 2  # for the repair, then again
    arrange_sample(source, "parquet")
    given = ("run", "--source", source, "--split", "train", "--out", tmp_path / "o", "--list",
             "--workers")
    size = sum(path.stat().st_size for path in source.glob("data/train-*"))
    for workers, least, expected in ((4, 1, 2), (1, 1, 1), (4, size, 1), (4, size // 2, 2),
                                     (4, size + 1, 1)):
        monkeypatch.setattr(parquet_source, "BYTES_PER_WORKER", least)
        say(*given, workers)
        assert jobs[parquet_source, "results_of_workers"][-1] == (expected, None)


def test_labels_that_are_not_ilsvrcs_are_converted_and_repaired_where_that_is_allowed(
        sample, tmp_path, say, fail, monkeypatch):
    """The sample in the place of ILSVRC's validation set: its classes, but other labels."""
    names = sorted(folder.name for folder in (sample / "train").iterdir())
    for name, value in (("CLASS_NAMES_SHA256", sha256_of_lines(names)), ("CLASSES", 4),
                        ("ILSVRC_VALIDATION_IMAGES", 12)):
        monkeypatch.setattr(ilsvrc, name, value)
    out = tmp_path / "out"
    given = ("run", "--source", sample, "--split", "val", "--out", out, "--shards", 2,
             "--blacklist", blacklist_of(sample))
    assert "or give --allow-other-labels" in fail(2, *given)
    printed = say(*given, "--allow-other-labels").out
    assert "\nThis is not the ILSVRC2012 validation set: its labels differ.\n" in printed
    manifest = read_manifest(out)
    assert (manifest.ilsvrc.labels, manifest.ilsvrc.class_names, manifest.ilsvrc.blacklist) == (
        False, True, False)
    damaged = out / manifest.shards[1].file
    damaged.unlink()
    assert f"built again: {damaged.name}\n" in say(
        "verify", out, "--repair", sample, "--blacklist", blacklist_of(sample)).out


def test_a_repair_rejects_what_the_conversion_rejected(source, tmp_path):
    victim = sorted(source.glob("train/*/*"))[3]
    victim.write_bytes(victim.read_bytes()[:300])
    request = Request(source, "train", tmp_path / "out", shards=2, on_bad="skip")
    manifest = convert(request)
    before = digests(tmp_path / "out")
    assert [note.file_name for note in manifest.rejected] == [f"{victim.parent.name}/{victim.name}"]
    for shard in manifest.shards:
        (tmp_path / "out" / shard.file).unlink()
    assert repair(Request(source, "train", tmp_path / "out")) == [
        shard.file for shard in manifest.shards]
    assert digests(tmp_path / "out") == before and verify(tmp_path / "out").images == 19
