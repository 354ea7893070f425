"""The README and docs/: their commands are ones that the programs understand, and their links lead
somewhere."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest

from common import options
from common.cli import run_command
from tests.docs.markdown import CHINESE, DOCUMENTS, ROOT, command_lines

NOT_RUN = ("make setup", "make demo", "make clean")  # they build or remove folders
README_LINES = 180
COMMANDS = sorted({line for document in DOCUMENTS for line in command_lines(document)})
MAKE = [line for line in COMMANDS if line.startswith("make ")]
OF_PACKAGES = [line for line in COMMANDS
               if line.startswith("python -m ") and line.split()[2] not in ("pip", "pytest")]


def is_understood(words: list[str], monkeypatch) -> bool:
    """Parse the words after ``python -m`` up to the request, the checks of its values included."""
    module, *arguments = words
    requests = []

    def made(cls, arguments, **changes):
        requests.append(from_arguments(cls, arguments, **changes))
        raise KeyboardInterrupt  # nothing is carried out

    name = module if module.endswith(".launch") else f"{module}.__main__"
    program = importlib.import_module(name)
    from_arguments = options.from_arguments
    for place in (options, program, importlib.import_module("train.options")):  # where it is called
        if hasattr(place, "from_arguments"):
            monkeypatch.setattr(place, "from_arguments", made)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    try:
        code = run_command(program.main)
    except SystemExit as end:  # of --help
        return end.code == 0 and "--help" in arguments
    finally:
        monkeypatch.undo()
    return code == 130 and len(requests) == 1


@pytest.mark.parametrize("command", OF_PACKAGES)
def test_a_command_of_a_package_is_understood(command, monkeypatch):
    assert is_understood(shlex.split(command, comments=True)[2:], monkeypatch)


@pytest.mark.parametrize("command", [line for line in MAKE if not line.startswith(NOT_RUN)])
def test_the_commands_that_make_runs_are_understood(command, make, monkeypatch):
    code, calls = make(*shlex.split(command, comments=True)[1:])
    assert code == 0
    assert calls or command.split()[1] == "help"
    for flag, *words in calls:
        assert flag == "-m"
        assert words[0] in ("flake8", "mypy", "pytest") or is_understood(words, monkeypatch), words


@pytest.mark.parametrize("command", [line for line in MAKE if line.startswith(NOT_RUN)])
def test_the_other_targets_exist(command):
    targets = (ROOT / "Makefile").read_text("utf-8")
    assert f"\n{shlex.split(command, comments=True)[1]}: " in targets


def test_there_are_commands_of_every_package_and_target():
    packages, targets = ({line.split()[place] for line in lines}
                         for lines, place in ((OF_PACKAGES, 2), (MAKE, 1)))
    assert packages >= {"blacklist", "inceptionv4", "convert", "evaluate", "train", "benchmarks"}
    assert targets >= {"demo", "convert", "verify", "doctor", "train-1p", "train-8p", "eval-1",
                       "eval-144", "report"}


def headings(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub names them."""
    found = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    text = document.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        assert file.exists(), target
        assert not anchor or anchor in headings(file), target


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text("utf-8")
    for page in ROOT.glob("docs/*.md"):
        if not page.stem.endswith(CHINESE):
            assert f"(docs/{page.name}" in readme, page.name


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_readme_is_short(name):
    assert len((ROOT / name).read_text("utf-8").splitlines()) <= README_LINES
