"""The checks of the device hold on this CPU, and each finds what is wrong."""

from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from benchmarks.doctor import device_checks as checks
from benchmarks.doctor.checks import Check
from inceptionv4.device import Device
from inceptionv4.preprocess import Preprocess
from train import optimizer
from train.step import SmoothedCrossEntropy


def test_this_cpu_computes_what_numpy_computes(monkeypatch):
    monkeypatch.setattr(checks, "training_steps", lambda *_: Check("steps", "ok", ""))
    found = list(checks.device_checks("CPU", "float32", 1))
    assert [each.name for each in found] == [
        "devices", "dropout's hash", "RMSProp", "batch norm", "normalisation", "3x3 convolution",
        "softmax and loss", "steps"]
    assert {each.state for each in found} == {"ok"}, found
    assert "float32" in found[5].finding


def test_devices(monkeypatch):
    assert checks.devices("auto", "float32", 1).state == "warn"
    assert checks.devices("CPU", "float32", 1).finding.startswith("CPU: as asked for")
    found, = checks.device_checks("Ascend", "float32", 1)
    assert found.state == "fail" and "cannot be used here" in found.finding
    monkeypatch.setattr(checks, "setup_device", lambda *_, **__: Device("Ascend", True, 0, 1))
    monkeypatch.setattr(ms.device_context.ascend, "device_count", lambda: 4)
    for ranks, state in ((4, "ok"), (8, "fail")):
        found = checks.devices("auto", "float32", ranks)
        assert found.state == state and found.finding.startswith("Ascend: MindSpore sees 4 cards")


def test_a_cpu_is_named_with_its_cores_and_a_card_with_its_arithmetic(monkeypatch):
    asked = []
    monkeypatch.setattr(checks.os, "cpu_count", lambda: 6)
    assert checks.devices("CPU", "float32", 3).finding == "CPU: as asked for, 6 cores"
    monkeypatch.setattr(checks, "setup_device", lambda *given, **options: (
        asked.append((given, options)) or SimpleNamespace(name="Ascend", arithmetic="HF32")))
    monkeypatch.setattr(ms.device_context.ascend, "device_count", lambda: 1)
    assert checks.devices("auto", "hf32", 1).finding == "Ascend: MindSpore sees 1 card; HF32"
    assert checks.devices("auto", "hf32", 2).finding == (
        "Ascend: MindSpore sees 1 card, for 2 ranks")
    assert asked == 2 * [(("auto",), dict(seed=0, precision="hf32"))]


@pytest.mark.parametrize("error, state", [(0.9e-5, "ok"), (1.1e-5, "fail")])
def test_the_tolerance_is_relative_to_the_largest_value(error, state):
    exact = np.array([[1.0, -2000.0], [5.0, 0.0]])
    found = exact + np.array([[0, 0], [2000.0, 0]]) * error
    verdict = checks._agreement("sums", found, exact)
    assert verdict.state == state and verdict.finding.startswith(
        f"sums: largest difference from NumPy {error:.1e} of the largest value")


def test_another_hash_is_found():
    found = checks.dropout_hash(checks.Applied(ops.neg))
    assert found.state == "fail" and "10,000 differ" in found.finding


def test_mindspores_own_rmsprop_on_cpu_is_found(monkeypatch):
    """Its epsilon stands outside the root."""
    monkeypatch.setattr(optimizer, "exact_rmsprop", lambda optimizer: optimizer)
    found = checks.rmsprop()
    assert found.state == "fail" and "above 1e-05" in found.finding


def test_another_decay_of_batch_norm_is_found(monkeypatch):
    block = checks.ConvBlock
    monkeypatch.setattr(checks, "ConvBlock", lambda decay, *shape: block(0.8999, *shape))
    assert checks.batch_norm().state == "fail"


def test_another_normalisation_is_found():
    assert checks.normalisation(checks.Applied(Preprocess(std=(127,) * 3))).state == "fail"


def test_a_precision_that_the_device_lacks_ends_the_checks():
    found, = checks.device_checks("CPU", "bfloat16", 1)
    assert found.state == "fail" and "use float16 or float32" in found.finding


def test_a_convolution_in_float16_is_found_unless_it_was_asked_for(monkeypatch):
    found = checks.convolution_format(
        lambda *shape, **options: nn.Conv2d(*shape, **options).to_float(ms.float16), "float32")
    assert found.state == "fail" and "computes in float16" in found.finding
    assert "--precision float16" in found.advice
    assert checks.convolution_format(nn.Conv2d, "float16").state == "ok"
    monkeypatch.setattr(checks, "format_of", lambda *_: checks.FORMATS[-1])
    found = checks.convolution_format(nn.Conv2d, "hf32")  # not even half of what was asked for
    assert found.state == "fail" and "--precision bfloat16" in found.advice


@pytest.mark.parametrize("precision, advice", [
    ("float32", "results differ from float32's; say so with --precision hf32"), ("hf32", ""),
    ("float16", "results are no less exact; if steps are not faster than with --precision hf32")])
def test_a_convolution_in_hf32(precision, advice, monkeypatch):
    monkeypatch.setattr(checks, "format_of", lambda *_: checks.HF32)
    found = checks.convolution_format(nn.Conv2d, precision)
    assert found.state == ("warn" if advice else "ok") and found.advice.startswith(advice)
    assert bool(found.advice) == bool(advice)


class SharedSmoothing(nn.Cell):
    """The loss whose smoothing goes to the label, too."""

    def construct(self, logits, labels):
        return ops.cross_entropy(logits, labels, label_smoothing=0.1)


@pytest.mark.parametrize("wrong", [SharedSmoothing(), SmoothedCrossEntropy(0.0)])
def test_another_loss_is_found(wrong):
    assert checks.loss(checks.Applied(wrong)).state == "fail"
