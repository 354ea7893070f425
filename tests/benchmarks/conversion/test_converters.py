"""The conversion benchmark really runs each row and cleans up after itself."""

import os

from benchmarks.conversion.converters import PAGE_CACHE, ConversionRequest, benchmark_conversion
from benchmarks.conversion.decoders import DECODERS
from benchmarks.conversion.packers import PEERS


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
    assert 0.08 < table.settings["megabytes"] / 12 < 0.16  # about 115 KB an image
    assert os.listdir(tmp_path) == []
