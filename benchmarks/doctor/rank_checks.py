"""What the ranks do together; started once per rank, by ``inceptionv4.launch``:
``python -m benchmarks.doctor.rank_checks DEVICE RESULTS``."""

import resource
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from benchmarks.doctor.checks import FAIL, Check, Verdict, add_result, check, fail, ok, warn
from benchmarks.doctor.data_checks import CARD_IMAGES_PER_SECOND
from common.cli import CheckFailed, run_command
from common.host import available_cores
from inceptionv4.device import Device, barrier, setup_device
from train.recipe import PRESETS, Recipe
from train.step import TrainStep, build_network

CLASSES = 1000
STEPS = 20
REPEATS = 5  # of the all-reduce


class Size(NamedTuple):
    """How much is computed on a device."""

    values: int  # float32, summed over the ranks
    changes: dict[str, Any]  # of the preset's values


SIZES = {"Ascend": Size(42_679_816, {}),  # as many as there are gradients
         "CPU": Size(1_000_000, {"batch_size": 4, "image_size": 75})}


class SumOverRanks(nn.Cell):
    """The sum over the ranks, and its first value: fetching that waits for the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce()

    def construct(self, values: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        total = self.all_reduce(values)
        return total, total[0]


def rank_checks(device: Device, joined: Check) -> Iterator[Check]:
    yield joined
    if device.ranks > 1:
        yield all_reduce(device, SumOverRanks())
    yield training_steps(device)


@check("ranks join")
def join(device: Device, seconds: float) -> Verdict:
    barrier(device)
    return ok(f"{device.ranks} joined in {seconds:.1f} s on {device.name}")


@check("all-reduce")
def all_reduce(device: Device, sum_over_ranks: Any) -> Verdict:
    """Sum small whole numbers, which float32 holds exactly, over the ranks."""
    count = SIZES[device.name].values
    pattern = np.arange(count, dtype=np.float32) % 7
    values = ms.Tensor(pattern * (device.rank + 1))
    total, _ = sum_over_ranks(values)
    expected = pattern * (device.ranks * (device.ranks + 1) // 2)
    wrong = int((total.asnumpy() != expected).sum())
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        sum_over_ranks(values)[1].asnumpy()
        seconds.append(time.perf_counter() - start)
    median, size = statistics.median(seconds), pattern.nbytes
    text = (f"{size / 1e6:,.0f} MB over {device.ranks} ranks in {1000 * median:.1f} ms, "
            f"{size / median / 1e9:.2f} GB/s")
    if wrong:
        return fail(f"{text}; {wrong:,} of {count:,} sums are wrong",
                    "do not train here: check the links with hccn_tool, report this")
    return ok(f"{text}; all sums right")


@check("training steps")
def training_steps(device: Device) -> Verdict:
    """Compile the training step of the preset and time it on one batch, without the feed."""
    if device.name == "CPU" and device.ranks > available_cores():
        return warn(f"not timed: {device.ranks} processes would share {available_cores()} cores",
                    f"give --ranks {available_cores()} (make: CARDS) or less")
    preset = PRESETS["adsl-1p" if device.ranks == 1 else "adsl-8p"]
    recipe = replace(preset, ranks=device.ranks, **SIZES[device.name].changes)
    rates = np.full(STEPS + 1, 1e-3, np.float32)
    step = TrainStep(recipe, build_network(recipe, CLASSES), rates, device.rank)
    batch = _batch(recipe, device.rank)
    start = time.perf_counter()
    step.compile(*batch)
    compiled = time.perf_counter() - start
    losses = [float(step(*batch))]  # also what is left to prepare at the first step
    start = time.perf_counter()
    losses += [float(step(*batch)) for _ in range(STEPS)]
    seconds = (time.perf_counter() - start) / STEPS
    rate = recipe.batch_size / seconds
    text = (f"compiled in {compiled:.1f} s; {STEPS} steps of {device.ranks} x {recipe.batch_size} "
            f"images of {recipe.image_size} px: {1000 * seconds:.0f} ms each, {rate:,.1f} images/s "
            f"per rank; loss {losses[0]:.3f} to {losses[-1]:.3f}; peak memory "
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20:.1f} GiB per rank")
    if not np.isfinite(losses).all():
        return fail(text, "the loss is not a number: see the checks of the device above")
    if device.name == "Ascend" and rate < CARD_IMAGES_PER_SECOND / 2:
        return warn(f"{text}; MindSpore's model zoo has {CARD_IMAGES_PER_SECOND} on a 910",
                    "see that no other job uses the cards (npu-smi info), and send this output")
    return ok(text)


def _batch(recipe: Recipe, rank: int) -> tuple[ms.Tensor, ms.Tensor]:
    rng, size = np.random.default_rng(rank), recipe.image_size
    images = rng.integers(0, 256, (recipe.batch_size, size, size, 3)).astype(np.uint8)
    labels = rng.integers(0, CLASSES, recipe.batch_size).astype(np.int32)
    return ms.Tensor(images), ms.Tensor(labels)


def main() -> None:
    """Rank 0 reports; a fail on any rank ends all, or the others would wait for it."""
    choice, results = sys.argv[1], Path(sys.argv[2])
    start = time.perf_counter()
    device = setup_device(choice, seed=0)
    for found in rank_checks(device, join(device, time.perf_counter() - start)):
        if device.rank == 0:
            add_result(results, found)
        if found.state == FAIL:
            raise CheckFailed(f"{found.name} on rank {device.rank}: {found.finding}")


if __name__ == "__main__":
    sys.exit(run_command(main))
