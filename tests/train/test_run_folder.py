"""The files of a run folder: what is refused, what older versions wrote, the line for a person."""

import json

import pytest

from common.cli import RequestError
from common.forms import HistoryLine
from train.plan import make_plan
from train.recipe import PRESETS
from train.run_folder import (CONFIG, HISTORY, add_history, check_same_run, config_of,
                              describe_epoch, read_history, resume_at, start_run)

LINE = HistoryLine(3, 12, 2.345, 0.0123, 456.7, 89.01, None, 1.5)
OLD = {"epoch": 2, "step": 8, "loss": 1.0, "learning_rate": 0.1, "ms_per_step": 5.0,
       "images_per_second": 7.0, "of_another_version": 1}


@pytest.mark.parametrize("text, words", [
    ("{", "config.json is damaged"),
    ("[]", "config.json does not hold a JSON object; give another --run"),
    (json.dumps({"learning_speed": 1}), "has the unknown key 'learning_speed'"),
    (json.dumps({**config_of(PRESETS["smoke"], {}), "seed": 4}), r"\(seed: was 4, now 0\)"),
    (json.dumps({**config_of(PRESETS["smoke"], {}), "data_sha256": "x"}),
     r"\(data_sha256: was x, now None\)"),
])
def test_another_config_is_refused(tmp_path, text, words):
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(RequestError, match=words):
        check_same_run(tmp_path, config_of(PRESETS["smoke"], {}))


def test_place_device_workers_and_command_may_differ(tmp_path):
    about = {"data": "a", "val_records": "b", "device": "CPU", "workers": 7}
    (tmp_path / CONFIG).write_text(json.dumps({**config_of(PRESETS["smoke"], about), "argv": []}))
    check_same_run(tmp_path, config_of(PRESETS["smoke"], {"data": "c", "device": "Ascend"}))


def test_the_first_command_stays_and_what_a_kill_left_is_removed(tmp_path, records):
    plan = make_plan(PRESETS["smoke"], records["train"], 1)
    (tmp_path / "checkpoints").mkdir()
    leftovers = (tmp_path / ".plan.json.7.tmp", tmp_path / "checkpoints" / "inceptionv4-1_9.meta")
    for command in (["first"], ["second"]):
        for path in leftovers:
            path.write_text("")
        start_run(tmp_path, {"seed": 1, "argv": command}, plan)
        assert not any(path.exists() for path in leftovers)
    assert json.loads((tmp_path / CONFIG).read_text()) == {"seed": 1, "argv": ["first"]}


def test_a_history_may_lack_the_end_of_its_last_line_only(tmp_path):
    path = tmp_path / HISTORY
    path.write_text(json.dumps(OLD) + '\n{"epo')
    assert read_history(tmp_path) == [HistoryLine(2, 8, 1.0, 0.1, 5.0, 7.0)]
    path.write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    with pytest.raises(RequestError, match="history.jsonl, line 2, is damaged"):
        read_history(tmp_path)
    path.write_text('{"epoch": 1}\n')
    with pytest.raises(RequestError, match="history.jsonl is not the history of a run"):
        read_history(tmp_path)


def test_lines_are_added_and_removed_after_the_resumed_epoch(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / HISTORY).write_text(json.dumps(OLD) + "\n")
    add_history(tmp_path, LINE)
    assert read_history(tmp_path)[1] == LINE
    resume_at(tmp_path, 2)
    assert (tmp_path / HISTORY).read_text() == json.dumps(OLD) + "\n"


def test_an_epoch_is_described_with_what_was_measured():
    assert describe_epoch(LINE) == ("epoch 3: loss 2.345, learning rate 0.0123, 457 ms/step, "
                                    "89.0 images/s")
