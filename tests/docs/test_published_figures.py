"""Every command line of docs/PUBLISHED_FIGURES.md is one that the programs understand."""

import importlib
import shlex
import sys
from pathlib import Path

import pytest

from common import options
from common.cli import run_command

DOCUMENT = Path(__file__).parents[2] / "docs" / "PUBLISHED_FIGURES.md"
COMMANDS = [line.strip() for line in DOCUMENT.read_text("utf-8").splitlines()
            if line.startswith("    python -m ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_line_is_understood(command, monkeypatch):
    """Up to its request, the checks of its values included; nothing is carried out."""
    _, _, package, *words = shlex.split(command)
    requests = []

    def made(cls, arguments, **changes):
        requests.append(from_arguments(cls, arguments, **changes))
        raise KeyboardInterrupt

    program = importlib.import_module(f"{package}.__main__")
    from_arguments = options.from_arguments
    for module in (options, program):  # where it is called
        if hasattr(module, "from_arguments"):
            monkeypatch.setattr(module, "from_arguments", made)
    monkeypatch.setattr(sys, "argv", [package, *words])
    assert run_command(program.main) == 130 and len(requests) == 1


def test_the_document_has_the_commands():
    assert len(COMMANDS) > 8
