"""Figures keep their spread and their machine; what was not run has no number."""

import json
import re

from benchmarks.table import render, write_table
from common.forms import SpeedRow, SpeedTable

TABLE = SpeedTable("Copying", 600, "images", [SpeedRow("cp", [2.0, 1.0, 9.0]),
                                              SpeedRow("ours", [4.0]),
                                              SpeedRow("Ascend", [], "needs an Ascend card")],
                   {"cores": 2}, {"repeats": 3})


def test_medians_rates_and_ratios_stand_in_the_page(tmp_path):
    page = write_table(TABLE, tmp_path)
    assert (tmp_path / "speed.md").read_text() == page
    page = re.sub(" +", " ", page)  # without the spaces that line the columns up
    assert "| cp | 2.0 | 1.0–9.0 | 300 | 1.00 | |" in page
    assert "| ours | 4.0 | 4.0–4.0 | 150 | 2.00 | |" in page
    assert "| Ascend | – | – | – | – | needs an Ascend card |" in page


def test_the_json_holds_every_repeat(tmp_path):
    write_table(TABLE, tmp_path)
    fields = json.loads((tmp_path / "speed.json").read_text())
    assert fields["rows"][0]["seconds"] == [2.0, 1.0, 9.0] and fields["machine"] == {"cores": 2}


def test_sections_have_ratios_of_their_own_and_the_closing_lines_follow():
    rows = [SpeedRow("theirs", [2.0], section="warm"), SpeedRow("ours", [1.0], section="warm"),
            SpeedRow("theirs", [8.0], section="cold"), SpeedRow("ours", [2.0], section="cold")]
    table = SpeedTable("Feed", 10, "images", rows, {}, {}, "rate", ["enough for 3 cards"])
    page = re.sub(" +", " ", render(table.with_figures()))
    warm, cold = page.split("## cold")
    assert "rate, x first row" in page and "- enough for 3 cards" in page
    assert "| ours | 1.0 | 1.0–1.0 | 10.0 | 2.00 |" in warm.split("## warm")[1]
    assert "| ours | 2.0 | 2.0–2.0 | 5.0 | 4.00 |" in cold
