"""Every message in docs/troubleshooting.md stands in the code."""

import ast
from typing import Iterator

import pytest

from tests.docs.markdown import CHINESE, ROOT, SPAN, tables

PACKAGES = ("common", "blacklist", "inceptionv4", "convert", "evaluate", "train", "benchmarks")


def texts(tree: ast.AST) -> Iterator[str]:
    """Every string of the code, with … for what an f-string puts in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…"
                          for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def code() -> str:
    files = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return "\n".join(text for path in files for text in texts(ast.parse(path.read_text("utf-8"))))


def listed_messages(name: str) -> list[str]:
    cells = [row[0] for table in tables((ROOT / "docs" / name).read_text("utf-8")) for row in table]
    return [message for cell in cells for message in SPAN.findall(cell)]


MESSAGES = listed_messages("troubleshooting.md")


def test_both_languages_list_the_same_messages():
    assert MESSAGES == listed_messages(f"troubleshooting{CHINESE}.md")


@pytest.mark.parametrize("message", MESSAGES)
def test_a_listed_message_stands_in_the_code(message, code):
    assert message in code
