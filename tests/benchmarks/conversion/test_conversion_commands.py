"""Each row of the conversion benchmark runs the command that its name says, on the images that were
made, with the number of workers of the request; and decoders decode every image."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.conversion import conversion_table, packers, source_layouts
from benchmarks.conversion.conversion_table import (DECODE, HEADER, PAGE_CACHE, SOURCES,
                                                    ConversionRequest, benchmark_conversion)
from benchmarks.conversion.packers import DECODERS, PEERS
from benchmarks.conversion.source_layouts import FOLDERS, Layout
from convert.images import BadImage


@pytest.fixture
def clock(monkeypatch) -> list:
    """Makes time pass by what is appended to the list."""
    spent = []
    monkeypatch.setattr("benchmarks.timing.time.perf_counter", lambda: float(sum(spent)))
    return spent


@pytest.fixture
def commands(monkeypatch, clock, tmp_path) -> list:
    """The commands and environments of the rows, as (words, environment); sync takes 100 s, a
    command as many as there were."""
    seen, out = [], tmp_path / "work" / "out"

    def record(*words, environment={}):
        assert clock[-1:] == [100], "what was written before belongs to no row"
        seen.append((list(words), environment))
        clock.append(len(seen))
        if "benchmarks.conversion.packers" not in words:
            out.mkdir(exist_ok=True)
    monkeypatch.setattr(conversion_table, "run_process", record)
    monkeypatch.setattr(conversion_table.os, "sync", lambda: clock.append(100))
    monkeypatch.setattr(conversion_table, "available_cores", lambda: 6)
    return seen


@pytest.mark.parametrize("workers", [3, 0])
def test_rows_of_packers_run_what_they_are_named_after(workers, commands, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion_table, "not_installed", lambda package: "")
    written, append = [], conversion_table._append_all

    def appending(train, out):
        append(train, out)
        written.append((out / "all").read_bytes())
    monkeypatch.setattr(conversion_table, "_append_all", appending)
    labels, write_text = [], Path.write_text
    monkeypatch.setattr(Path, "write_text", lambda path, text, **how: (
        labels.append((path, text)) or write_text(path, text, **how)))
    monkeypatch.setattr(conversion_table, "make_class_folders", make_small_folders)
    table = benchmark_conversion(ConversionRequest(tmp_path, images=5, repeats=2, workers=workers))
    source, out = tmp_path / "work" / "source", tmp_path / "work" / "out"
    train, used = source / "train", workers or 6
    convert = [sys.executable, "-m", "convert", "run", "--source", source, "--split", "train",
               "--out", out, "--check"]
    pack = [sys.executable, "-m", "benchmarks.conversion.packers"]
    once = [(["cp", "-r", train, out], {}),
            ([sys.executable, "-c", conversion_table._IMAGENET_TO_MR, source / "labels.txt", train,
              out / "train.mindrecord", 8], {}),
            ([*convert, "header", "--workers", used], {}),
            ([*convert, "header", "--workers", used], {"SHARD_WRITING": "page-cache"}),
            ([*convert, "decode", "--workers", used], {}),
            *(([*pack, name, train, used], {}) for name in DECODERS),
            *(([*pack, name, train, out], {}) for name in PEERS)]
    assert commands == 2 * once
    assert labels == [(source / "labels.txt", "n0 0\nn1 1\n")]
    assert written == 2 * [b"0,2,4,1,3,"] and os.listdir(tmp_path) == []
    rows = {row.name: row.seconds for row in table.rows}
    number = len(once)  # of commands in each repeat; the append takes no time but that of the sync
    assert rows["cp -r"] == [101, 101 + number] and rows["plain append"] == [100, 100]
    assert [rows[name] for name in ("ImageNetToMR", HEADER, PAGE_CACHE, DECODE)] == [
        [100 + k, 100 + k + number] for k in (2, 3, 4, 5)]
    assert (table.items, table.unit) == (5, "images")
    assert table.settings == {"repeats": 2, "workers": used, "megabytes": 0, "cache": "warm",
                              "every row ends with": "sync"}


def make_small_folders(root: Path, images: int) -> None:
    for number in range(images):
        folder = root / "train" / f"n{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.JPEG").write_bytes(f"{number},".encode())


def test_the_size_of_all_images_is_in_the_settings(commands, tmp_path, monkeypatch):
    def make(root, images):
        make_small_folders(root, images)
        for path in root.glob("train/*/*"):
            path.write_bytes(bytes(700_000))
    monkeypatch.setattr(conversion_table, "make_class_folders", make)
    table = benchmark_conversion(ConversionRequest(tmp_path, images=3, repeats=1))
    assert table.settings["megabytes"] == 2  # 2.1


def test_rows_of_layouts_convert_their_own_source_and_the_slowest_is_named(
        commands, clock, tmp_path, monkeypatch):
    arranged = []
    layouts = (Layout("slow", lambda source, out: arranged.append((source, out))),
               Layout("other", lambda source, out: arranged.append((source, out))),
               Layout("missing", None, "not installed: x"))
    for module in (conversion_table, source_layouts):
        monkeypatch.setattr(module, "LAYOUTS", layouts)
    monkeypatch.setattr(conversion_table, "make_class_folders", make_small_folders)
    record = conversion_table.run_process

    def slower(*words, **options):
        record(*words, **options)
        clock[-1] = {"source": 40, "source-0": 110, "source-1": 75}[words[5].name]
    monkeypatch.setattr(conversion_table, "run_process", slower)
    table = benchmark_conversion(ConversionRequest(tmp_path, SOURCES, 4, 2, 5))
    work = tmp_path / "work"
    source = work / "source"
    assert arranged == [(source, work / "source-0"), (source, work / "source-1")]
    assert [words[5] for words, _ in commands] == 2 * [source, work / "source-0", work / "source-1"]
    assert all(words[-4:] == ["--check", "header", "--workers", 5] and not environment
               for words, environment in commands)
    assert [(row.name, row.seconds, row.note) for row in table.rows] == [
        (FOLDERS, [140.0] * 2, ""), ("slow", [210.0] * 2, ""), ("other", [175.0] * 2, ""),
        ("missing", [], "not installed: x")]
    assert table.closing == ["slowest: slow, 1.50 times class folders (goal: 1.3)"]
    assert table.title.endswith("convert --check header")


@pytest.fixture
def jpegs(class_folders) -> Path:
    return class_folders(5)


def run_packers(monkeypatch, *words) -> None:
    monkeypatch.setattr(sys, "argv", ["packers", *map(str, words)])
    packers.main()


def test_decoders_share_every_image_among_the_workers(jpegs, monkeypatch):
    decoded, shares = [], []

    def here(tasks, n_jobs):
        for function, args, _ in tasks:
            shares.append(len(args[1]))
            function(*args)
            yield None
        assert n_jobs == 2
    monkeypatch.setattr(packers, "results_of_workers", here)
    monkeypatch.setitem(DECODERS, "any", decoded.append)
    run_packers(monkeypatch, "any", jpegs, 2)
    paths = sorted(jpegs.glob("*/*"))
    assert decoded == [path.read_bytes() for path in paths[::2] + paths[1::2]] and shares == [3, 2]


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_decodes_and_so_refuses_half_an_image(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where MindSpore leaves a copy
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    data = buffer.getvalue()
    DECODERS[name](data)
    with pytest.raises((BadImage, OSError, RuntimeError)):
        DECODERS[name](data[:len(data) // 2])


def test_a_packer_gets_a_new_folder(jpegs, tmp_path, monkeypatch):
    packed = []
    monkeypatch.setitem(PEERS, "any", ("os", lambda train, out: packed.append(
        (train, out, out.is_dir()))))
    run_packers(monkeypatch, "any", jpegs, tmp_path / "out")
    assert packed == [(jpegs, tmp_path / "out", True)]
