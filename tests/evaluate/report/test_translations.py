"""Every sentence of the report has a translation, and every translation belongs to a sentence."""

import ast
import re
import string
from pathlib import Path

import pytest

from evaluate.report.translations import (LANGUAGES, counted_in, read_translations,
                                          translator)

# A half-width bracket next to Chinese letters or punctuation.
HALF_WIDTH = "(?:[\u3000-\u9fff\uff00-\uffef] ?[()]|[()] ?[\u3000-\u9fff\uff00-\uffef])"
REPORT = Path(__file__).parents[3] / "evaluate" / "report"


def constants(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def shown(argument: ast.expr, tree: ast.Module, tables: dict[str, ast.Dict]) -> set[str]:
    """The sentences that the first argument of ``t`` may be: literals, the values of a table that
    is named in capitals, or the variable of a loop over literals or over such a table."""
    if isinstance(argument, ast.Subscript):
        return set().union(*map(constants, tables[argument.value.id].values))
    if isinstance(argument, ast.Name):
        loops = [loop.iter for loop in ast.walk(tree)
                 if isinstance(loop, (ast.comprehension, ast.For))
                 and argument.id in names(loop.target)]
        named = [value for loop in loops for name in names(loop) & tables.keys()
                 for value in tables[name].values]
        return set().union(*map(constants, loops + named))
    return constants(argument)


def sentences() -> set[str]:
    trees = [ast.parse(path.read_text("utf-8")) for path in sorted(REPORT.glob("*.py"))]
    page = ast.parse((REPORT.parent / "result_page.py").read_text("utf-8"))  # its notes, too
    tables = {node.targets[0].id: node.value for tree in [*trees, page] for node in tree.body
              if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)}
    calls = [(node.args[0], tree) for tree in trees for node in ast.walk(tree)
             if isinstance(node, ast.Call) and ast.unparse(node.func) == "t"]
    assert len(calls) > 100  # or the test has lost sight of the code
    found = [shown(argument, tree, tables) for argument, tree in calls]
    assert all(found), "the test does not know where a sentence comes from"
    return set().union(*found)


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_sentence_has_a_translation_with_its_values_and_none_is_left_over(language):
    found, table = sentences(), read_translations(language)
    assert sorted(found - table.keys()) == []
    assert sorted(table.keys() - found) == []
    for english, translation in table.items():
        assert values(english) == values(translation), english


def test_chinese_has_full_width_brackets(pages):
    """Also where sentences are put together; figures with their intervals are no sentences."""
    page, markdown_copy, table = pages["zh"]
    texts = [*read_translations("zh").values(), re.sub("<style>.*?</style>", "", page, flags=re.S),
             re.sub("`[^`]*`|\\]\\([^)]*\\)", "", markdown_copy), table]
    for text in texts:
        assert re.findall(rf"[^<>\n]*{HALF_WIDTH}[^<>\n]*", text) == []


def values(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def test_sentences_are_filled_in():
    assert translator("en")("More files are listed in {path}: {count}.", count=3, path="a") == (
        "More files are listed in a: 3.")
    assert [counted_in(translator(language), number, "class") for language in ("en", "zh")
            for number in (1, 1000)] == ["1 class", "1,000 classes", "1 个类别", "1,000 个类别"]
    assert translator("zh")("phase {phase}", phase=2) == "阶段 2"
    assert LANGUAGES.keys() == {"en", *(path.stem for path in REPORT.glob("*.json"))}
    with pytest.raises(KeyError, match="no such sentence"):
        translator("zh")("no such sentence")
