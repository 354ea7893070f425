"""Every message in docs/troubleshooting.md stands in the code."""

import ast
import re
from pathlib import Path
from typing import Iterator

import pytest

ROOT = Path(__file__).parents[2]
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


def listed_messages() -> list[str]:
    rows = [line.split("|") for line in (ROOT / "docs" / "troubleshooting.md").read_text(
        "utf-8").splitlines() if line.startswith("| `")]
    return [message for row in rows for message in re.findall("`([^`]+)`", row[1])]


@pytest.mark.parametrize("message", listed_messages())
def test_a_listed_message_stands_in_the_code(message, code):
    assert message in code
