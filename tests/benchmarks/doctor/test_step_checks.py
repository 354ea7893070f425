"""The training step is the trainer's, and a loss that is no number fails."""

import pytest

from benchmarks.doctor import step_checks as checks
from benchmarks.doctor.step_checks import training_steps
from inceptionv4.device import Device
from tests.train.tiny import build_tiny_network

CPU = Device("CPU", False, 0, 1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(checks, "SMALLER", {"CPU": {"batch_size": 2, "image_size": 75},
                                            "Ascend": {"batch_size": 2, "image_size": 75}})
    monkeypatch.setattr(checks, "build_network", build_tiny_network)


def test_the_step_is_compiled_and_timed():
    found = training_steps(CPU, "float32")
    assert found.state == "ok", found
    assert "20 steps of 2 images of 75 px on 1 rank:" in found.finding


@pytest.mark.parametrize("precision, scale", [
    ("float16", "dynamic"), ("bfloat16", 1.0), ("float32", 1.0)])
def test_the_recipe_has_the_precision_that_is_asked_for(precision, scale, monkeypatch):
    class Stop(Exception):
        pass

    def build(recipe, _):
        raise Stop(f"{recipe.precision} {recipe.loss_scale}")
    monkeypatch.setattr(checks, "build_network", build)
    assert f"Stop: {precision} {scale}" in training_steps(CPU, precision).finding


def test_a_loss_that_is_no_number_fails(monkeypatch):
    class Diverged:
        def __init__(self, *_):
            pass

        def compile(self, *_):
            pass

        def __call__(self, *_):
            return float("nan"), False
    monkeypatch.setattr(checks, "TrainStep", Diverged)
    assert training_steps(CPU, "float32").state == "fail"


def test_steps_of_a_slow_card_are_a_warning(monkeypatch):
    monkeypatch.setattr(checks, "CARD_IMAGES_PER_SECOND", 1e9)
    found = training_steps(Device("Ascend", True, 0, 1), "float32")
    assert found.state == "warn" and "npu-smi" in found.advice
