"""Every text is there in both languages, says the same values, and is used."""

import re
import string
from pathlib import Path

import pytest

import evaluate.report
from evaluate.report.texts import LANGUAGES, TEXTS, Text, speaker

SOURCES = [path.read_text(encoding="utf-8")
           for path in Path(evaluate.report.__file__).parent.glob("*.py")
           if path.name != "texts.py"]


def values_of(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_say_the_same_values(key):
    assert all(TEXTS[key]) and len(TEXTS[key]) == len(LANGUAGES)
    assert values_of(TEXTS[key].en) == values_of(TEXTS[key].zh)


def test_the_languages_are_those_of_the_table():
    assert set(LANGUAGES) == set(Text._fields)
    assert speaker("en")("label", label=3) == "label 3" and speaker("zh")("and") == " 和 "


def test_every_key_that_is_said_is_in_the_table():
    said = {key for source in SOURCES for key in re.findall(r'say\(\s*"([^"{]+)"', source)}
    assert len(said) > 50 and said <= set(TEXTS)


def test_no_text_is_left_over():
    literals = {word for source in SOURCES for word in re.findall(r'"([a-z0-9_.]+)"', source)}
    patterns = {pattern for source in SOURCES
                for pattern in re.findall(r'f"([a-z0-9_.]*\{[^"]*)"', source)}
    expressions = [re.compile(re.sub(r"\\\{.*?\\\}", ".+", re.escape(pattern)))
                   for pattern in patterns if "." in pattern]
    left = [key for key in TEXTS
            if key not in literals and not any(form.fullmatch(key) for form in expressions)]
    assert not left
