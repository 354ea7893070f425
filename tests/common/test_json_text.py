"""JSON that a user gave is a value that all later steps can take, or a ValueError."""

import pytest

from common.json_text import MAX_DEPTH, MAX_DIGITS, parse_json


@pytest.mark.parametrize("text, value", [
    ('{"a": [1, -2.5, null, "\\u00e9"]}', {"a": [1, -2.5, None, "\u00e9"]}),
    ('"\\ud83d\\ude00"', "\U0001f600"),  # a whole pair
    (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None), ("9" * MAX_DIGITS, int("9" * MAX_DIGITS))])
def test_what_is_read(text, value):
    read = parse_json(text)
    assert value is None or read == value


@pytest.mark.parametrize("text, reason", [
    ("{", "Expecting"), ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "deep"),
    ("[" * 100_000, "deep"), ("1" + "0" * 400, "too many digits"),
    ('["\\ud800"]', "surrogates"), ('{"\\udfff": 1}', "surrogates")])
def test_what_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_json(text)
