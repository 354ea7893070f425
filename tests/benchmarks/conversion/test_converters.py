"""The conversion benchmark really runs each row and cleans up after itself."""

import os
from pathlib import Path

from benchmarks.conversion import converters
from benchmarks.conversion.converters import (DECODE, HEADER, PAGE_CACHE, ConversionRequest,
                                              benchmark_conversion)
from benchmarks.conversion.peers import DECODERS, OURS, PEERS
from common.forms import SpeedRow


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
    monkeypatch.setattr(converters, "run_process", record)
    monkeypatch.setattr(converters, "PEERS", {"other": ("no_such_package", None)})
    monkeypatch.setattr(converters, "timed", lambda action: (action(), next(seconds))[1])
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
