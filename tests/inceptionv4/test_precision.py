"""What is set on the device, the types that cells really get, and how the loss scale moves."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops
from mindspore.device_context.ascend import op_precision

from common.cli import RequestError
from inceptionv4 import precision as precision_module
from inceptionv4.device import setup_device
from inceptionv4.network import ConvBlock
from inceptionv4.precision import DynamicLossScale, cast_cells, set_precision

SEEN: list = []


@ops.constexpr(check=False)
def note(name, dtype):
    """Called while a graph is compiled, for a cell whose input has this type by then."""
    SEEN.append((name, dtype))


class SeenConv(nn.Conv2d):
    def construct(self, x):
        note("convolution", x.dtype)
        return ops.conv2d(x, self.weight.astype(x.dtype))


class SeenNorm(nn.BatchNorm2d):
    def construct(self, x):
        note("batch norm", x.dtype)
        return x * self.gamma.reshape((1, -1, 1, 1))


class SeenDense(nn.Dense):
    def construct(self, x):
        note("classifier", x.dtype)
        return ops.matmul(x, self.weight.astype(x.dtype).T)


class Block(nn.Cell):
    """A block of the network, pooled and classified as in it."""

    def __init__(self):
        super().__init__()
        self.block = ConvBlock(0.9, 3, 4, 1)
        self.block.conv, self.block.bn = SeenConv(3, 4, 1), SeenNorm(4)
        self.classifier = SeenDense(4, 2)

    def construct(self, x):
        x = self.block(x)
        note("block's output", x.dtype)
        return self.classifier(x.astype(ms.float32).mean((2, 3)))


@pytest.mark.parametrize("precision, dtype", [
    ("float32", ms.float32), ("hf32", ms.float32), ("float16", ms.float16), ("mixed", ms.float16)])
def test_cells_get_the_types_of_the_precision(precision, dtype):
    SEEN.clear()
    network = cast_cells(Block(), precision)
    network(ms.Tensor(np.ones((1, 3, 2, 2), np.float32)))
    assert dict(SEEN) == {"convolution": dtype, "batch norm": ms.float32, "block's output": dtype,
                          "classifier": dtype}
    assert {weight.dtype for weight in network.get_parameters()} == {ms.float32}


@pytest.mark.parametrize("precision", ["hf32", "bfloat16"])
def test_what_a_cpu_cannot_do_is_refused(precision):
    with pytest.raises(RequestError, match=f"--precision {precision}: CPU .*use float16 or float3"):
        setup_device("CPU", precision=precision)


@pytest.fixture
def switches(monkeypatch) -> dict:
    """What was set on a card, and whether it is a first 910."""
    switches: dict = {"first": False}
    for name in ("precision_mode", "conv_allow_hf32", "matmul_allow_hf32"):
        monkeypatch.setattr(op_precision, name,
                            lambda value, name=name: switches.update({name: value}))
    monkeypatch.setattr(precision_module, "_is_first_910", lambda: switches["first"])
    return switches


@pytest.mark.parametrize("precision, hf32, text", [
    ("float32", False, "float32 throughout (must_keep_origin_dtype, HF32 off)"),
    ("hf32", True, "convolutions and classifier in hf32, all else in float32 "
                   "(must_keep_origin_dtype, HF32 on)"),
    ("mixed", False, "convolutions and classifier in float16, all else in float32 "
                     "(must_keep_origin_dtype, HF32 off)"),
    ("bfloat16", False, "convolutions and classifier in bfloat16, all else in float32 "
                        "(must_keep_origin_dtype, HF32 off)")])
def test_a_card_is_told_to_keep_types(switches, precision, hf32, text):
    assert set_precision(precision, "Ascend") == text
    assert switches == {"first": False, "precision_mode": "must_keep_origin_dtype",
                        "conv_allow_hf32": hf32, "matmul_allow_hf32": hf32}


def test_the_first_910_multiplies_in_float16_alone(switches):
    switches["first"] = True
    for precision in ("float32", "hf32", "bfloat16"):
        with pytest.raises(RequestError, match="float16 only; use --precision float16"):
            set_precision(precision, "Ascend")
    set_precision("float16", "Ascend")
    assert switches == {"first": True, "precision_mode": "allow_fp32_to_fp16"}


def test_the_loss_scale_halves_and_grows_between_its_ends(monkeypatch):
    monkeypatch.setattr(precision_module, "GOOD_STEPS_TO_GROW", 3)
    loss_scale = DynamicLossScale()
    seen = []
    for finite in [True, True, False, True, True, True, True]:
        loss_scale(ms.Tensor(finite))
        seen.append((float(loss_scale.scale) / 2 ** 16, int(loss_scale.good_steps)))
    assert seen == [(1, 1), (1, 2), (0.5, 0), (0.5, 1), (0.5, 2), (1, 0), (1, 1)]
    for end, finite in ((1.0, False), (2.0 ** 24, True)):
        loss_scale.scale.set_data(ms.Tensor(end, ms.float32))
        for _ in range(3):
            loss_scale(ms.Tensor(finite))
        assert float(loss_scale.scale) == end
