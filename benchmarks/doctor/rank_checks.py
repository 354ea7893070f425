"""What the ranks do together; started once per rank, by ``inceptionv4.launch``:
``python -m benchmarks.doctor.rank_checks DEVICE PRECISION RESULTS``."""

import statistics
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from benchmarks.doctor.checks import FAIL, Check, Verdict, add_result, check, fail, ok
from benchmarks.doctor.step_checks import CLASSES, training_steps
from common.cli import CheckFailed, run_command
from common.text import counted
from inceptionv4 import FEATURES, PARAMETERS_WITHOUT_CLASSIFIER
from inceptionv4.device import Device, barrier, setup_device

# float32, summed over the ranks: as many as the network has gradients; on CPU fewer.
VALUES = {"Ascend": PARAMETERS_WITHOUT_CLASSIFIER + (FEATURES + 1) * CLASSES, "CPU": 1_000_000}
REPEATS = 5


class SumOverRanks(nn.Cell):
    """The sum over the ranks, and its first value: fetching that waits for the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce()

    def construct(self, values: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        total = self.all_reduce(values)
        return total, total[0]


def rank_checks(device: Device, precision: str, joined: Check) -> Iterator[Check]:
    yield joined
    if device.ranks > 1:
        yield all_reduce(device, SumOverRanks())
    if device.name != "CPU":  # whose processes would share its cores: see device_checks
        yield training_steps(device, precision)


@check("ranks join")
def join(device: Device, seconds: float) -> Verdict:
    barrier(device)
    return ok(f"{device.ranks} joined in {seconds:.1f} s on {device.name}")


@check("all-reduce")
def all_reduce(device: Device, sum_over_ranks: Any) -> Verdict:
    """Sum small whole numbers, which float32 holds exactly, over the ranks."""
    count = VALUES[device.name]
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
    text = (f"{size / 1e6:,.0f} MB over {counted(device.ranks, 'rank')} in {1000 * median:.1f} ms, "
            f"{size / median / 1e9:.2f} GB/s")
    if wrong:
        return fail(f"{text}; {wrong:,} of {count:,} sums are wrong",
                    "do not train here: check the links with hccn_tool, report this")
    return ok(f"{text}; all sums right")


def main() -> None:
    """Rank 0 reports; a fail on any rank ends all, or the others would wait for it."""
    choice, precision, results = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    start = time.perf_counter()
    device = setup_device(choice, seed=0, precision=precision)
    for found in rank_checks(device, precision, join(device, time.perf_counter() - start)):
        if device.rank == 0:
            add_result(results, found)
        if found.state == FAIL:
            raise CheckFailed(f"{found.name} on rank {device.rank}: {found.finding}")


if __name__ == "__main__":
    sys.exit(run_command(main))
