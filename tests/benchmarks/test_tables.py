"""Figures keep their spread and their machine; what was not run has no number."""

import json

from benchmarks import Row, Table, write_table

TABLE = Table("Copying", 600, "images", [Row("cp", [2.0, 1.0, 9.0]), Row("ours", [4.0]),
                                         Row("Ascend", [], "needs an Ascend card")],
              {"cores": 2}, {"repeats": 3})


def test_medians_rates_and_ratios_stand_in_the_page(tmp_path):
    page = write_table(TABLE, tmp_path)
    assert "| cp | 2.0 | 1.0–9.0 | 300 | 1.00 |  |" in page
    assert "| ours | 4.0 | 4.0–4.0 | 150 | 2.00 |  |" in page
    assert "| Ascend | – | – | – | – | needs an Ascend card |" in page
    assert (tmp_path / "result.md").read_text() == page


def test_the_json_holds_every_repeat(tmp_path):
    write_table(TABLE, tmp_path)
    fields = json.loads((tmp_path / "result.json").read_text())
    assert fields["rows"][0]["seconds"] == [2.0, 1.0, 9.0] and fields["machine"] == {"cores": 2}
