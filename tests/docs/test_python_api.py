"""The examples of docs/python-api.md do what they say."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from convert.sample.arrange import make_sample

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"
BLOCKS = re.findall(r"(?:^(?:    .*)?\n)+", PAGE.read_text("utf-8"), re.MULTILINE)
EXAMPLES = ["\n".join(line[4:] for line in block.splitlines()) for block in BLOCKS
            if "import" in block]
WITH_NETWORK = "last.ckpt"  # takes a trained network and a minute to compile


def test_the_page_has_examples():
    assert len(EXAMPLES) == 6 and sum(WITH_NETWORK in example for example in EXAMPLES) == 2


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_an_example_imports_is_there(example):
    for node in ast.walk(ast.parse(example)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names)
        elif isinstance(node, ast.Import):
            assert all(importlib.import_module(name.name) for name in node.names)


def test_the_examples_without_a_network_run(tmp_path, monkeypatch, capsys):
    """In the order of use: the record set that one converts is read by the others."""
    monkeypatch.chdir(tmp_path)
    make_sample("imagenet", classes=2, train=2, val=3)
    runnable = [example.replace("/data/imagenet", "imagenet") for example in EXAMPLES
                if WITH_NETWORK not in example]
    for example in sorted(runnable, key=lambda text: "convert(" not in text):
        exec(compile(example, str(PAGE), "exec"), {})  # pylint: disable=exec-used
    printed = capsys.readouterr().out
    assert "6 images, 0 rejected" in printed
    assert "118845 steps, at most 0.2\n" in printed and " bytes, label " in printed
