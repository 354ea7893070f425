"""A run folder that is damaged or not this version's is refused by name."""

import json

import pytest

from common.cli import RequestError
from train.recipe import PRESETS
from train.run_folder import (CONFIG, HISTORY, check_same_run, config_of,
                              read_history)


@pytest.mark.parametrize("text, words", [
    ("{", "config.json is damaged"),
    ("[]", "config.json is not the config of a run"),
    (json.dumps({"learning_speed": 1}), "has the unknown key 'learning_speed'"),
])
def test_another_config_is_refused(tmp_path, text, words):
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(RequestError, match=words):
        check_same_run(tmp_path, config_of(PRESETS["smoke"], {}))


def test_a_history_may_lack_the_end_of_its_last_line_only(tmp_path):
    (tmp_path / HISTORY).write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    assert [line["epoch"] for line in read_history(tmp_path)] == [1, 2]
    (tmp_path / HISTORY).write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    with pytest.raises(RequestError, match="history.jsonl, line 2, is damaged"):
        read_history(tmp_path)
