"""The conversion benchmark really runs each row and cleans up after itself; each layout gives the
same record set."""

import os
from pathlib import Path

import pytest

from benchmarks.conversion import conversion_table
from benchmarks.conversion.conversion_table import (DECODE, HEADER, PAGE_CACHE, SOURCES,
                                                    ConversionRequest, benchmark_conversion)
from benchmarks.conversion.packers import DECODERS, OURS, PEERS
from benchmarks.conversion.source_layouts import FOLDERS, LAYOUTS, arrange_layouts
from benchmarks.synthetic import make_class_folders
from common.forms import SpeedRow
from convert.sources.split_listing import list_source


def test_every_row_is_timed_and_nothing_is_left(tmp_path):
    table = benchmark_conversion(ConversionRequest(tmp_path, images=12, repeats=1, workers=1))
    assert [row.name for row in table.rows][:6] == [
        "cp -r", "plain append", "ImageNetToMR", "convert --check header", PAGE_CACHE,
        "convert --check decode"]
    assert {row.name for row in table.rows[6:]} == set(PEERS) | set(DECODERS)
    assert [row.name for row in table.rows if "of the decoder's own rate" in row.note] == [
        "convert --check decode"]
    assert all(len(row.seconds) == 1 and row.seconds[0] > 0 for row in table.rows
               if "not installed" not in row.note)
    assert os.listdir(tmp_path) == []


def test_direct_writing_is_timed_next_to_writing_through_the_page_cache(tmp_path, monkeypatch):
    commands, seconds = [], iter(range(1, 1000))

    def record(*command, environment={}):
        command = [str(word) for word in command]
        commands.append((command[2:4], command[command.index("--check") + 1]
                         if "--check" in command else None, environment))
        Path(tmp_path / "work" / "out").mkdir(exist_ok=True)
        return ""
    monkeypatch.setattr(conversion_table, "run_process", record)
    monkeypatch.setattr(conversion_table, "PEERS", {"other": ("no_such_package", None)})
    monkeypatch.setattr(conversion_table, "timed", lambda action: (action(), next(seconds))[1])
    request = ConversionRequest(tmp_path, images=3, repeats=2, workers=1)
    rows = {row.name: row for row in benchmark_conversion(request).rows}
    convert = [found for found in commands if found[0] == ["convert", "run"]]
    assert convert == 2 * [(["convert", "run"], "header", {}),
                           (["convert", "run"], "header", {"SHARD_WRITING": "page-cache"}),
                           (["convert", "run"], "decode", {})]
    # Nine rows of two times each (action, sync): 1 + 2, 3 + 4, … in the order of the rows.
    assert [rows[name].seconds for name in (HEADER, PAGE_CACHE, DECODE, OURS)] == [
        [4 * k - 1, 4 * k + 35] for k in (4, 5, 6, 7)]
    assert rows["other"] == SpeedRow("other", [], "not installed: pip install '.[bench]'")
    assert rows[DECODE].note == "110% of the decoder's own rate"  # medians 45 and 41 s


def test_every_layout_is_timed_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(conversion_table, "timed", lambda action: action() and 0 or 2.0)
    table = benchmark_conversion(ConversionRequest(tmp_path, SOURCES, images=12, repeats=1,
                                                   workers=1))
    assert [row.name for row in table.rows] == [FOLDERS, *(layout.name for layout in LAYOUTS)]
    assert all(row.seconds or "not installed" in row.note for row in table.rows)
    assert table.closing[0].endswith(", 1.00 times class folders (goal: 1.3)")
    assert os.listdir(tmp_path) == []


def test_every_layout_holds_the_same_images_in_files_of_some(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="the parquet extra is not installed")
    for name, number in (("PARQUET_IMAGES", 5), ("GROUP_ROWS", 2), ("WEBDATASET_IMAGES", 7)):
        monkeypatch.setattr(f"benchmarks.conversion.source_layouts.{name}", number)
    make_class_folders(tmp_path / "source", 12)
    sources = arrange_layouts(tmp_path / "source", tmp_path)
    listings = {name: list_source(source, "train") for name, source in sources.items()}
    assert {listing.layout: len({entry.container for entry in listing.entries})
            for listing in listings.values()} == {
        "folders": 12, "archives": 1, "parquet": 3, "flat-tars": 5, "webdataset": 2}
    assert len({listing.sha256() for listing in listings.values()}) == 1
    names = [[path.relative_to(source).as_posix() for path in sorted(source.rglob("*.*"))]
             for source in list(sources.values())[1:]]
    assert names == [["ILSVRC2012_img_train.tar"],
                     [f"data/train-{part:05d}-of-00003.parquet" for part in range(3)],
                     [f"train_images_{part}.tar" for part in range(5)],
                     [f"imagenet1k-train-{part:04d}.tar" for part in range(2)]]
    parquet = tmp_path / "source-1" / "data" / "train-00002-of-00003.parquet"
    assert pyarrow.ParquetFile(parquet).num_row_groups == 1  # two rows, the last of twelve
    assert pyarrow.ParquetFile(tmp_path / "source-1" / names[1][0]).num_row_groups == 3
