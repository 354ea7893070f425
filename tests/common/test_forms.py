"""Lines of history and speed tables: the same after writing and reading; what old files lack."""

import dataclasses
import json

import pytest

from common.cli import RequestError
from common.forms import HISTORY, HistoryLine, SpeedRow, SpeedTable, read_history

LINE = HistoryLine(2, 20, 1.5, 0.1, 250.0, 64.0, None, 3.0, full_top1_error=40.0)


def test_a_history_line_leaves_out_errors_that_were_not_measured():
    fields = LINE.to_json()
    assert list(fields) == ["epoch", "step", "loss", "learning_rate", "ms_per_step",
                            "images_per_second", "waiting_for_data", "seconds_since_last_epoch",
                            "full_top1_error"]
    assert fields["waiting_for_data"] is None
    assert HistoryLine.from_json({**fields, "of a later version": 1}) == LINE
    with pytest.raises(TypeError, match="loss"):
        HistoryLine.from_json({name: value for name, value in fields.items() if name != "loss"})


def test_the_history_of_a_run_has_its_finished_epochs(tmp_path):
    assert read_history(tmp_path) == []
    (tmp_path / HISTORY).write_text(json.dumps(LINE.to_json()) + '\n{"epo')
    assert read_history(tmp_path) == [LINE]
    (tmp_path / HISTORY).write_text('{"epoch": 1}\n')
    with pytest.raises(RequestError, match="history.jsonl is not the history of a run"):
        read_history(tmp_path)


def table(ratio: str, average: str = "median") -> SpeedTable:
    rows = [SpeedRow("a", [2.0, 4.0, 9.0], section="x"), SpeedRow("b", [1.0], section="x"),
            SpeedRow("c", [], "not here", "x"), SpeedRow("d", [8.0], section="y", items=40)]
    return SpeedTable("t", 20, "images", rows, {}, {}, ratio, average=average)


@pytest.mark.parametrize("ratio, expected", [("time", [1, 0.25, None, 1]),
                                             ("rate", [1, 4, None, 1])])
def test_figures_are_worked_out_per_section(ratio, expected):
    rows = table(ratio).with_figures().rows
    assert [row.ratio_to_first for row in rows] == expected
    assert [row.average_seconds for row in rows] == [4, 1, None, 8]
    assert [row.items_per_second for row in rows] == [5, 20, None, 5]
    assert table(ratio, "mean").with_figures().rows[0].average_seconds == 5


def test_figures_of_a_file_are_computed_again_since_an_older_one_may_lack_some():
    whole = table("rate").with_figures()
    assert SpeedTable.from_json(dataclasses.asdict(whole)) == whole
    for lacking in ("average_seconds", "items_per_second", "ratio_to_first"):
        old = dataclasses.asdict(whole)
        for row in old["rows"]:
            del row[lacking]
        assert SpeedTable.from_json(old) == whole
    with pytest.raises(KeyError):
        SpeedTable.from_json({})
