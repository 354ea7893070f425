"""Commands and flags within sentences of the documents exist."""

import argparse
import importlib
import re
import sys
from collections import defaultdict

import pytest

from common.cli import run_command
from evaluate.__main__ import COMMANDS
from tests.docs.markdown import DOCUMENTS, ROOT, spans_of

PROGRAMS = ("blacklist", "convert", "evaluate", *(f"evaluate {name}" for name in COMMANDS),
            "inceptionv4", "inceptionv4.launch", "train", "train.modelarts", "benchmarks")
OTHER_PROGRAMS = ("pip", "pytest", "flake8", "mypy")
FLAG = re.compile(r"(?<!\S)--[a-z][a-z_-]*")
COMMAND = re.compile(r"(?:\.venv/bin/)?python -m ([a-z0-9_.]+)")
SPANS = sorted({(document.name, span) for document in DOCUMENTS for span in spans_of(document)})
OF_PACKAGES = [pair for pair in SPANS if COMMAND.match(pair[1])
               and COMMAND.match(pair[1])[1] not in OTHER_PROGRAMS]
OF_MAKE = [pair for pair in SPANS if pair[1].startswith("make ")]
ALONE = [pair for pair in SPANS if pair[1].startswith("--")]


@pytest.fixture(scope="module")
def flags() -> dict[str, set[str]]:
    """The flags that the parsers of each package have, taken while they show their help."""
    found: dict[str, set[str]] = defaultdict(set)
    with pytest.MonkeyPatch.context() as patched:
        add = argparse._ActionsContainer.add_argument

        def noted(parser, *names, **settings):
            action = add(parser, *names, **settings)
            found[module.split(".")[0]].update(action.option_strings)
            return action
        patched.setattr(argparse._ActionsContainer, "add_argument", noted)
        for program in PROGRAMS:
            module, *subcommand = program.split()
            name = module if "." in module else f"{module}.__main__"
            patched.setattr(sys, "argv", [module, *subcommand, "--help"])
            with pytest.raises(SystemExit) as end:
                run_command(importlib.import_module(name).main)
            assert end.value.code == 0
    return found


@pytest.mark.parametrize("document, span", OF_PACKAGES)
def test_a_command_of_a_package_has_known_flags(flags, document, span):
    package = COMMAND.match(span)[1].split(".")[0]
    assert package in flags
    assert set(FLAG.findall(span)) <= flags[package], document


@pytest.mark.parametrize("document, span", ALONE)
def test_a_flag_that_stands_alone_exists(flags, document, span):
    assert set(FLAG.findall(span)) <= set().union(*flags.values()), document


@pytest.mark.parametrize("document, span", OF_MAKE)
def test_a_command_of_make_has_a_known_target_variables_and_flags(flags, document, span):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) +[?:]=", makefile, re.MULTILINE))
    goals = {word for word in span.split()[1:] if re.fullmatch("[a-z][a-z0-9-]*", word)}
    assert goals <= targets, document
    assert set(re.findall(r"(?<!\S)([A-Z_]+)=", span)) <= variables, document
    assert set(re.findall("--[a-z][a-z_-]*", span)) <= set().union(*flags.values()), document


def test_there_are_spans_of_each_kind():
    assert min(map(len, (OF_PACKAGES, OF_MAKE, ALONE))) > 10
