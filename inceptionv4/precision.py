"""The number format that a network computes in: what is set on the device, in which cells, and the
loss scale that float16 needs in training.

Convolutions and classifier, nearly all of the arithmetic, take the format that was asked for.
Weights, batch norm, softmax, loss and optimiser stay in float32, as with MindSpore's amp level O2.
"""

import mindspore as ms
from mindspore import nn, ops

from common.cli import RequestError

# "mixed" is what float16 was called before; runs of that name can be resumed.
CELL_TYPES = {"float16": ms.float16, "mixed": ms.float16, "bfloat16": ms.bfloat16}

# P. Micikevicius et al., "Mixed Precision Training", arXiv 1710.03740, section 3.2, with the
# numbers of NVIDIA's apex and of MindSpore's DynamicLossScaleManager (factor 2, 2000 steps).
FIRST_SCALE = 2.0 ** 16
HIGHEST_SCALE = 2.0 ** 24
GOOD_STEPS_TO_GROW = 2000
# Enough to halve the highest scale down to 1: a smaller one would not help either.
MOST_SKIPPED_IN_A_ROW = 25


def set_precision(precision: str, device: str) -> str:
    """Make the device compute as ``precision`` says and return a description of what it then does;
    call it before any tensor is made.

    Args:
        precision: as ``common.options.precision_option``.
        device: "CPU" or "Ascend".

    Raises:
        RequestError: the device has no such arithmetic.
    """
    if device == "CPU":
        _check_cpu(precision)
        switches = ""
    else:
        switches = f" ({_set_ascend(precision)})"
    if precision == "float32":
        return f"float32 throughout{switches}"
    cells = str(CELL_TYPES.get(precision, precision)).lower()
    return f"convolutions and classifier in {cells}, all else in float32{switches}"


def _check_cpu(precision: str) -> None:
    if precision in ("hf32", "bfloat16"):
        raise RequestError(f"--precision {precision}: CPU has no convolution in it; use float16 or "
                           "float32")


def _set_ascend(precision: str) -> str:
    """Set the switches that MindSpore documents and return them; this was not tried on a card.

    Left alone, the first 910 computes float32 convolutions in float16 (MindSpore's documentation
    of ``precision_mode``, 2.5), and the 910B in HF32 (of ``conv_allow_hf32``).
    """
    from mindspore.device_context.ascend import op_precision
    first_910 = _is_first_910()
    if first_910 and precision not in ("float16", "mixed"):
        # CANN's documentation of aclnnConvolution: the cube unit of "Atlas training products", the
        # first 910, does not support float32; bfloat16 and HF32 came with the 910B.
        raise RequestError(f"--precision {precision}: this card (the first Ascend 910) multiplies "
                           "in float16 only; use --precision float16")
    # On the first 910 a vector operation without a float32 kernel would run on the host-like AI
    # CPU if its type had to stay; with allow_fp32_to_fp16, all that have one still stay float32.
    mode = "allow_fp32_to_fp16" if first_910 else "must_keep_origin_dtype"
    op_precision.precision_mode(mode)
    if first_910:
        return mode
    op_precision.conv_allow_hf32(precision == "hf32")
    op_precision.matmul_allow_hf32(precision == "hf32")
    return f"{mode}, HF32 {'on' if precision == 'hf32' else 'off'}"


def _is_first_910() -> bool:
    # As mindspore.amp tells it from the others, whose overflows are infinities.
    from mindspore._c_expression import MSContext
    return MSContext.get_instance().ascend_soc_supports_feature(
        "amp_loss_scale_train_classic_target")


def cast_cells(network: nn.Cell, precision: str) -> nn.Cell:
    """Return the network, its convolutions and dense layers computing in ``precision`` and its
    batch norms in float32; call it before the network is compiled."""
    if precision in CELL_TYPES:
        for _, cell in network.cells_and_names():
            if isinstance(cell, (nn.Conv2d, nn.Dense)):
                cell.to_float(CELL_TYPES[precision])
            elif isinstance(cell, nn.BatchNorm2d):
                cell.to_float(ms.float32)
    return network


class DynamicLossScale(nn.Cell):
    """The number that the loss is multiplied and the gradients are divided by, so that small
    gradients are not 0 in float16.

    It is halved, but not below 1, when a gradient is not finite, and doubled after
    GOOD_STEPS_TO_GROW finite ones in a row. Both its parameters belong into a checkpoint.

    construct: finite bool () -> None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = ms.Parameter(ms.Tensor(FIRST_SCALE, ms.float32), name="loss_scale",
                                  requires_grad=False)
        self.good_steps = ms.Parameter(ms.Tensor(0, ms.int32), name="good_steps",
                                       requires_grad=False)

    def construct(self, finite: ms.Tensor) -> None:
        good_steps = ops.select(finite, self.good_steps + 1, ops.zeros_like(self.good_steps))
        grows = good_steps >= GOOD_STEPS_TO_GROW
        factor = ops.select(finite, ops.select(grows, 2.0, 1.0), 0.5)
        ops.assign(self.scale, ops.clamp(self.scale * factor, 1.0, HIGHEST_SCALE))
        ops.assign(self.good_steps, ops.select(grows, ops.zeros_like(good_steps), good_steps))
