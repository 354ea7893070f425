"""Numbers, sizes and times as people read them."""

import pytest

from common.text import counted, describe_bytes, describe_seconds, first_of, folded, one_line


def test_a_number_has_its_noun_in_the_singular_or_the_plural():
    assert [counted(number, noun) for number, noun in (
        (0, "image"), (1, "image"), (2, "class"), (1200, "box"))] == [
        "0 images", "1 image", "2 classes", "1,200 boxes"]


def test_a_long_line_is_folded_between_words_but_not_after_a_number():
    assert folded("a " * 59 + "12 %") == "a " * 58 + "a\n    12 %"
    assert folded("a " * 50 + "b" * 130) == "a " * 49 + "a\n    " + "b" * 130
    assert folded("12 images") == "12 images"


@pytest.mark.parametrize("seconds, text", [
    (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"),
    (95, "1 min 35 s"), (599.4, "9 min 59 s"), (599.6, "10 min"), (640, "11 min"),
    (3570, "1 h 0 min"), (12_000, "3 h 20 min"), (172_800, "2.0 days")])
def test_a_time_is_said_as_a_person_says_it(seconds, text):
    assert describe_seconds(seconds) == text


@pytest.mark.parametrize("size, text", [
    (812, "812 bytes"), (34_954, "35 kB"), (8_092_742, "8.09 MB"), (999_700_000, "1 GB"),
    (147_897_000_000, "148 GB"), (1_234_567_000_000, "1,235 GB")])
def test_a_size_is_said_as_a_person_says_it(size, text):
    assert describe_bytes(size) == text


def test_long_messages_and_lists_are_shortened():
    assert one_line("bad\n----------\n  value\n", 100) == "bad value" and one_line("bad", 2) == "ba"
    assert (first_of(["a", 2], 2), first_of("abc", 2)) == ("a, 2", "a, b, …")
