"""A page in Chinese has the commands, the code and the figures of the English one, and leads to
other pages in Chinese."""

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.markdown import (ADDRESS, CHINESE, DOCUMENTS, SPAN, command_lines, numbers,
                                 spans_of, tables, without_blocks)

PAGES = [path for path in DOCUMENTS if path.stem.endswith(CHINESE)]
PLACEHOLDER = re.compile(r"<[^<>]*>")  # such as <class>, which is translated


def english(page: Path) -> Path:
    return page.with_name(page.name.replace(CHINESE, ""))


def chinese(page: Path) -> Path:
    return page.with_name(f"{page.stem}{CHINESE}{page.suffix}")


def each_page(test):
    return pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)(test)


def without_comments(page: Path) -> list[list[str]]:
    """Return the words of the commands, but for those that ask for a report in Chinese."""
    return sorted([word for word in shlex.split(line, comments=True) if word != "ARGS=--lang zh"]
                  for line in command_lines(page))


def code_words(page: Path) -> set[str]:
    """Return the words of the code in sentences and tables: a language may say ``--flag VALUE`` at
    once or one by one."""
    spans = (PLACEHOLDER.sub("<>", span) for span in spans_of(page))
    return {word for span in spans for word in re.findall(r'[^\s="]+', span)}


def figures_in_sentences(page: Path) -> list[set[str]]:
    """Return the figures of each section outside of code and tables."""
    text = SPAN.sub(" ", without_blocks(page.read_text("utf-8")))
    return [set(numbers("\n".join(line for line in section.splitlines()
                                  if not line.startswith("|"))))
            for section in text.split("\n## ")]


@each_page
def test_each_language_is_linked_from_the_first_line_of_the_other(page):
    of_english = english(page).read_text("utf-8").splitlines()[0]
    assert of_english == f"English | [中文]({page.name})"
    assert page.read_text("utf-8").splitlines()[0] == f"[English]({english(page).name}) | 中文"


@each_page
def test_both_languages_have_the_same_commands(page):
    assert without_comments(page) == without_comments(english(page))


@each_page
def test_both_languages_have_the_same_code_in_sentences(page):
    assert code_words(page) == code_words(english(page))


@each_page
def test_both_languages_have_the_same_figures_in_tables(page):
    """In each row, in whatever order the language has them."""
    ours, theirs = ([row for table in tables(path.read_text("utf-8")) for row in table]
                    for path in (page, english(page)))
    assert len(ours) == len(theirs)
    assert [(one, other) for one, other in zip(ours, theirs)
            if sorted(numbers(" | ".join(one))) != sorted(numbers(" | ".join(other)))] == []


@each_page
def test_both_languages_have_the_same_figures_in_sentences(page):
    assert figures_in_sentences(page) == figures_in_sentences(english(page))


@each_page
def test_links_lead_to_pages_in_chinese_where_there_are_any(page):
    body = page.read_text("utf-8").split("\n", 1)[1]  # after the link to the English page
    targets = {link[2:-1].partition("#")[0] for link in ADDRESS.findall(body)}
    assert [name for name in sorted(targets) if chinese(page.parent / name).exists()] == []


@each_page
def test_chinese_has_full_width_brackets(page):
    """Code, commands and the targets of links keep theirs."""
    prose = ADDRESS.sub("]", SPAN.sub("]", without_blocks(page.read_text("utf-8"))))
    assert re.findall(r".{,9}[()].{,9}", prose) == []
