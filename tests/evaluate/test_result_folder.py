"""Which folder the evaluation of a checkpoint is proposed for."""

import json

import pytest

from evaluate.result_folder import unused_result_folder


@pytest.fixture
def usual(tmp_path):
    return tmp_path / "results" / "crops-1"


def write(path, text):
    path.parent.mkdir(parents=True)
    path.write_text(text)


def of(checkpoint):
    return json.dumps({"checkpoint_sha256": checkpoint})


def test_it_is_the_usual_one_until_that_is_another_checkpoints(usual):
    assert unused_result_folder(usual, "b") == usual
    write(usual / "result.json", of("b"))
    assert unused_result_folder(usual, "b") == usual


@pytest.mark.parametrize("name, text", [
    ("result.json", of("a")), ("parts/request.json", of("a")), ("result.json", "{}"),
    ("result.json", "{")])
def test_a_result_of_another_checkpoint_is_passed_by(usual, name, text):
    """Finished, begun, of a benchmark, damaged."""
    second = usual.with_name("crops-1-2")
    write(usual / name, text)
    assert unused_result_folder(usual, "b") == second
    write(second / "result.json", of("c"))
    assert unused_result_folder(usual, "b") == usual.with_name("crops-1-3")
    assert unused_result_folder(usual, "c") == second
