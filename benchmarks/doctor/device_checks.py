"""Whether the device computes what NumPy computes: ``python -m benchmarks.doctor.device_checks
DEVICE PRECISION RANKS RESULTS``.

Each check runs a part of the trainer's own network or step as a graph, and compares its result with
the formula in float64.
"""

import os
import sys
from pathlib import Path
from typing import Callable, Iterator

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from benchmarks.doctor.checks import (DEVICES, FAIL, Check, Verdict, add_result, check, fail, ok,
                                      warn)
from benchmarks.doctor.number_formats import (FLOAT32, FORMATS, HF32, convolution, format_of,
                                              relative_error)
from benchmarks.doctor.step_checks import training_steps
from common.cli import run_command
from common.text import counted
from inceptionv4.device import Device, setup_device
from inceptionv4.dropout import mix_bits, mixed_array
from inceptionv4.network import ConvBlock
from inceptionv4.precision import cast_cells
from inceptionv4.preprocess import Preprocess
from train.recipe import PRESETS
from train.step import SmoothedCrossEntropy, TrainStep, smoothed_targets

# Largest difference from float64, relative to the largest value: some tens of float32's 6e-8, far
# below float16's 5e-4.
TOLERANCE = 1e-5
WRONG = "do not train here: report this with doctor.json; CANN's version may not be MindSpore's"


class Applied(nn.Cell):
    """Runs a function of tensors as one graph."""

    def __init__(self, function: Callable):
        super().__init__()
        self.function = function

    def construct(self, *values: ms.Tensor) -> ms.Tensor:
        return self.function(*values)


class Update(nn.Cell):
    """Gives the optimiser the gradient of its only weight."""

    def __init__(self, optimizer: nn.Optimizer):
        super().__init__()
        self.optimizer = optimizer

    def construct(self, gradient: ms.Tensor) -> tuple[ms.Tensor, ...]:
        return self.optimizer((gradient,))


def device_checks(choice: str, precision: str, ranks: int) -> Iterator[Check]:
    first = devices(choice, precision, ranks)
    yield first
    if first.state != FAIL:
        yield dropout_hash(Applied(mix_bits))
        yield rmsprop()
        yield batch_norm()
        yield normalisation(Applied(Preprocess()))
        yield convolution_format(nn.Conv2d, precision)
        yield loss(Applied(SmoothedCrossEntropy(PRESETS["adsl-8p"].label_smoothing)))
        if ms.get_context("device_target") == "CPU":  # else by the ranks, each on its card
            yield training_steps(Device("CPU", supports_sink=False, rank=0, ranks=1), precision)


@check(DEVICES)
def devices(choice: str, precision: str, ranks: int) -> Verdict:
    """Choose the device as every command does; this also sets it up for the other checks."""
    device = setup_device(choice, seed=0, precision=precision)
    if device.name == "Ascend":
        cards = ms.device_context.ascend.device_count()
        if cards < ranks:
            return fail(f"Ascend: MindSpore sees {counted(cards, 'card')}, for "
                        f"{counted(ranks, 'rank')}",
                        "see 'cards of the driver' and ASCEND_RT_VISIBLE_DEVICES, or start fewer "
                        "ranks")
        return ok(f"Ascend: MindSpore sees {counted(cards, 'card')}; {device.arithmetic}")
    if choice == "CPU":
        return ok(f"CPU: as asked for, {counted(os.cpu_count() or 1, 'core')}")
    return warn("CPU: MindSpore finds no Ascend card",
                "on a host without one: give --device CPU; else install driver and CANN, and "
                "source CANN's set_env.sh")


def _agreement(what: str, found: np.ndarray, exact: np.ndarray) -> Verdict:
    """Compare with float64."""
    error = float(np.max(np.abs(found.astype(np.float64) - exact)) / np.max(np.abs(exact)))
    text = f"{what}: largest difference from NumPy {error:.1e} of the largest value"
    return ok(text) if error <= TOLERANCE else fail(f"{text}, above {TOLERANCE:g}", WRONG)


def _numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@check("dropout's hash")
def dropout_hash(mix: Callable) -> Verdict:
    numbers = np.random.default_rng(0).integers(-2 ** 31, 2 ** 31, 10_000).astype(np.int32)
    differing = int((mix(ms.Tensor(numbers)).asnumpy() != mixed_array(numbers)).sum())
    text = f"{len(numbers):,} int32 mixed, {differing:,} differ from NumPy's"
    return fail(text, WRONG) if differing else ok(text)


@check("RMSProp")
def rmsprop() -> Verdict:
    """Let the trainer's optimiser update once a weight that is no multiple of 8 long."""
    recipe, rate = PRESETS["adsl-8p"], 0.2
    layer = nn.Dense(33, 21, has_bias=False)
    before = layer.weight.asnumpy().astype(np.float64)
    gradient = 3 * _numbers(21, 33)
    optimizer = TrainStep(recipe, layer, np.full(1, rate, np.float32), 0).optimizer
    Update(optimizer)(ms.Tensor(gradient))
    squares = recipe.decay + (1 - recipe.decay) * gradient.astype(np.float64) ** 2  # from 1
    exact = before - rate * gradient / np.sqrt(squares + recipe.epsilon)
    return _agreement(f"one update, decay {recipe.decay}, epsilon {recipe.epsilon}",
                      layer.weight.asnumpy(), exact)


@check("batch norm")
def batch_norm() -> Verdict:
    """Compare the moving averages after one step in training. The decay is the smoke preset's: with
    0.9997 one step would change them by little more than float32 resolves."""
    decay = PRESETS["smoke"].batch_norm_decay
    norm = ConvBlock(decay, 1, 6, 1).bn
    images = 3 * _numbers(4, 6, 9, 9) + 2
    Applied(norm).set_train()(ms.Tensor(images))
    channels = images.astype(np.float64).transpose(1, 0, 2, 3).reshape(6, -1)
    exact = np.stack([(1 - decay) * channels.mean(1),
                      decay + (1 - decay) * channels.var(1, ddof=1)])
    found = np.stack([norm.moving_mean.asnumpy(), norm.moving_variance.asnumpy()])
    return _agreement(f"moving mean and variance, decay {decay}", found, exact)


@check("normalisation")
def normalisation(preprocess: Callable) -> Verdict:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    exact = levels.transpose(0, 3, 1, 2) / 127.5 - 1
    return _agreement("all 256 levels, x / 127.5 - 1", preprocess(ms.Tensor(levels)).asnumpy(),
                      exact)


@check("3x3 convolution")
def convolution_format(make: Callable, precision: str) -> Verdict:
    """Compare the format in which the device multiplies with the one that is asked for."""
    asked = next(form for form in FORMATS if form.name.lower() == precision)
    images, weight = _numbers(2, 32, 16, 16), _numbers(32, 32, 3, 3, seed=1)
    layer = cast_cells(make(32, 32, 3, pad_mode="valid", has_bias=False), precision)
    layer.weight.set_data(ms.Tensor(weight))
    found = Applied(layer)(ms.Tensor(images)).astype(ms.float32).asnumpy()
    form = format_of(found, images, weight)
    text = f"computes in {form.name}: relative error " \
           f"{relative_error(found, convolution(images, weight)):.1e}"
    if form == asked:
        return ok(f"{text}, as asked for")
    text, instead = f"{text}, although {asked.name} is asked for", form.name.lower()
    if FORMATS.index(form) < FORMATS.index(asked):
        return warn(text, "results are no less exact; if steps are not faster than with "
                          f"--precision {instead}, train with that")
    if (form, asked) == (HF32, FLOAT32):
        return warn(text, f"results differ from float32's; say so with --precision {instead}")
    return fail(text, f"train and evaluate with --precision {instead}, and check that here, too")


@check("softmax and loss")
def loss(cross_entropy: Callable) -> Verdict:
    logits = 4 * _numbers(16, 1000)
    labels = np.arange(16, dtype=np.int32) * 61
    smoothing = PRESETS["adsl-8p"].label_smoothing
    exponents = np.exp(logits.astype(np.float64))
    softmax = exponents / exponents.sum(1, keepdims=True)
    of_label, of_others = smoothed_targets(smoothing, logits.shape[1])
    targets = np.full(logits.shape, of_others)
    targets[np.arange(16), labels] = of_label
    exact_loss = -(targets * np.log(softmax)).sum(1).mean()
    found = Applied(ops.softmax)(ms.Tensor(logits)).asnumpy()
    found_loss = cross_entropy(ms.Tensor(logits), ms.Tensor(labels)).asnumpy()
    return _agreement(f"softmax of 1,000 classes; loss {float(found_loss):.6f}",
                      np.append(found / softmax.max(), found_loss / exact_loss),
                      np.append(softmax / softmax.max(), 1))


def main() -> None:
    choice, precision, ranks, results = sys.argv[1:]
    for found in device_checks(choice, precision, int(ranks)):
        add_result(Path(results), found)


if __name__ == "__main__":
    sys.exit(run_command(main))
