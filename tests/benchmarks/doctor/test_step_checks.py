"""The training step is the trainer's, and a loss that is no number fails."""

from types import SimpleNamespace

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


@pytest.mark.parametrize("device, preset", [
    (Device("Ascend", True, 2, 3), "adsl-8p"), (Device("Ascend", True, 0, 1), "adsl-1p")])
def test_a_rank_times_its_own_step(device, preset, monkeypatch):
    """The step takes 40 ms, compiling 3 s, what is left at the first step 10 s. Each rank has
    images of its own, and draws of its own."""
    built, calls, now = [], [], [0.0]

    class Step:
        def __init__(self, recipe, network, rates, rank):
            built.append((recipe, network, rates.tolist(), rank))

        def compile(self, *batch):
            calls.append(batch)
            now[0] += 3

        def __call__(self, *batch):
            calls.append(batch)
            now[0] += 10 if len(calls) == 2 else 0.04
            return float(len(calls)), False
    monkeypatch.setattr(checks, "TrainStep", Step)
    monkeypatch.setattr(checks, "SMALLER", {"Ascend": {"batch_size": 3, "image_size": 75}})
    monkeypatch.setattr(checks, "build_network", lambda recipe, classes: (recipe.preset, classes))
    monkeypatch.setattr(checks.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(checks.resource, "getrusage", lambda who: SimpleNamespace(
        ru_maxrss=5 << 20))
    found = training_steps(device, "float32")
    (recipe, network, rates, rank), = built
    assert (recipe.preset, recipe.ranks, recipe.batch_size) == (preset, device.ranks, 3)
    assert network == (preset, 1000) and rank == device.rank
    assert rates == pytest.approx([1e-3] * 21)
    assert len(calls) == 1 + 1 + 20 and all(each is batch for call in calls
                                            for each, batch in zip(call, calls[0]))
    images, labels = (values.asnumpy() for values in calls[0])
    assert images.shape == (3, 75, 75, 3) and images.dtype == "uint8"
    assert images.min() == 0 and images.max() == 255  # all values
    assert labels.shape == (3,) and labels.dtype == "int32" and labels.max() < 1000
    other, _ = checks._batch(recipe, device.rank + 1)
    assert (other.asnumpy() != images).any()
    _, labels = checks._batch(SimpleNamespace(batch_size=20_000, image_size=1), 0)
    assert (labels.asnumpy().min(), labels.asnumpy().max()) == (0, 999)
    ranks = "3 ranks" if device.ranks == 3 else "1 rank"
    assert found.finding.startswith(
        f"compiled in 3.0 s; 20 steps of 3 images of 75 px on {ranks}: 40 ms each, 75.0 images/s "
        "per rank; peak memory 5.0 GiB per rank; loss 2.000 to 22.000")
    assert found.state == "warn" and "model zoo has 554 on a 910" in found.finding


@pytest.mark.parametrize("rate, state", [(150, "ok"), (151, "warn")])
def test_half_of_the_model_zoos_rate_is_enough(rate, state, monkeypatch):
    now = [0.0]

    class Step:
        def __init__(self, *_):
            pass

        def compile(self, *_):
            pass

        def __call__(self, *_):
            now[0] += 0.0625
            return 1.0, False
    monkeypatch.setattr(checks, "TrainStep", Step)
    monkeypatch.setattr(checks.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(checks, "CARD_IMAGES_PER_SECOND", rate * 32 / 75)
    assert training_steps(Device("Ascend", True, 0, 1), "float32").state == state
    assert training_steps(CPU, "float32").state == "ok"


def test_a_loss_that_is_no_number_fails(monkeypatch):
    class Diverged:
        def __init__(self, *_):
            pass

        def compile(self, *_):
            pass

        def __call__(self, *_):
            return next(losses), False
    monkeypatch.setattr(checks, "TrainStep", Diverged)
    for place in (0, 20):  # the first and the last one
        losses = iter([1.0] * place + [float("nan")] + [1.0] * 20)
        found = training_steps(CPU, "float32")
        assert found.state == "fail" and "no number" in found.finding


def test_steps_of_a_slow_card_are_a_warning(monkeypatch):
    monkeypatch.setattr(checks, "CARD_IMAGES_PER_SECOND", 1e9)
    found = training_steps(Device("Ascend", True, 0, 1), "float32")
    assert found.state == "warn" and "npu-smi" in found.advice
