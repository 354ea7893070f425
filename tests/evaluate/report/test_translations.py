"""Every sentence of the report has a translation, and every translation belongs to a sentence."""

import ast
import string
from pathlib import Path

import pytest

from evaluate.report.translations import LANGUAGES, read_translations, translator

REPORT = Path(__file__).parents[3] / "evaluate" / "report"


def constants(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def shown(argument: ast.expr, tree: ast.AST, tables: dict[str, ast.expr]) -> set[str]:
    """The sentences that the first argument of ``t`` may be: a literal, a value of a table that
    is named in capitals, or the variable of a comprehension over literals or a table's keys."""
    if isinstance(argument, ast.Constant):
        return {argument.value}
    if isinstance(argument, ast.IfExp):
        return shown(argument.body, tree, tables) | shown(argument.orelse, tree, tables)
    if isinstance(argument, ast.Subscript):
        return set().union(*map(constants, tables[argument.value.id].values))
    if isinstance(argument, ast.Name):
        loops = [loop.iter for loop in ast.walk(tree) if isinstance(loop, ast.comprehension)
                 and isinstance(loop.target, ast.Name) and loop.target.id == argument.id]
        return set().union(*(
            set().union(*map(constants, tables[loop.id].keys)) if isinstance(loop, ast.Name)
            else constants(loop) for loop in loops))
    raise AssertionError(f"the test does not know where {ast.unparse(argument)} comes from")


def module_tables(tree: ast.Module) -> dict[str, ast.Dict]:
    tables = {}
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Dict):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            tables[target.id] = node.value
    return tables


def sentences() -> set[str]:
    trees = [ast.parse(path.read_text("utf-8")) for path in sorted(REPORT.glob("*.py"))]
    tables = {name: table for tree in trees for name, table in module_tables(tree).items()}
    found = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                if node.func.id == "t":
                    found |= shown(node.args[0], tree, tables)
    return found


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_every_sentence_has_a_translation_with_its_values_and_none_is_left_over(language):
    found, table = sentences(), read_translations(language)
    assert len(found) > 100  # or the test has lost sight of the code
    assert sorted(found - table.keys()) == []
    assert sorted(table.keys() - found) == []
    for english, translation in table.items():
        assert values(english) == values(translation), english


def values(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def test_sentences_are_filled_in():
    assert translator("en")("{count} more files are listed in {path}.", count=3, path="a") == (
        "3 more files are listed in a.")
    assert translator("zh")("phase {phase}", phase=2) == "阶段 2"
    assert LANGUAGES == {"en": "en", "zh": "zh-CN"}
    with pytest.raises(KeyError, match="no such sentence"):
        translator("zh")("no such sentence")
