"""Two packages import their names on first use and list them a second time, for mypy."""

import ast
from importlib import import_module
from pathlib import Path

import pytest


def names_for_mypy(package) -> dict[str, str]:
    """Name -> module, of what is imported under ``if TYPE_CHECKING``."""
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {name.name: node.module.split(".")[1] for node in block.body for name in node.names}


@pytest.mark.parametrize("name", ["evaluate", "inceptionv4"])
def test_mypy_sees_the_names_that_a_program_sees(name):
    package = import_module(name)
    assert names_for_mypy(package) == package._MODULE_OF
    assert all(hasattr(package, exported) for exported in package.__all__)
