"""A wrong sum is found on any rank and ends the job."""

import mindspore as ms
import pytest

from benchmarks.doctor import rank_checks as checks
from benchmarks.doctor.rank_checks import all_reduce, rank_checks
from common.cli import CheckFailed
from inceptionv4.device import Device

CPU = Device("CPU", False, 0, 1)
SECOND_OF_THREE = Device("CPU", False, 1, 3)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(checks, "VALUES", {"CPU": 100})


@pytest.mark.parametrize("wrong, state", [(0, "ok"), (1, "fail")])
def test_the_sums_of_all_ranks_are_compared(wrong, state):
    def summed(values):
        total = values.asnumpy() * 3  # this rank's values are twice the first's: 1 + 2 + 3 = 3 x 2
        total[8] += wrong
        return ms.Tensor(total), ms.Tensor(total[0])
    found = all_reduce(SECOND_OF_THREE, summed)
    assert found.state == state and "over 3 ranks" in found.finding
    assert ("1 of 100 sums" in found.finding) == bool(wrong)


def test_a_sum_is_timed_by_the_median_of_five(monkeypatch):
    """The first sum, whose values are compared, is not timed."""
    calls, now, seconds = [], [0.0], iter([90, 0.2, 0.5, 0.4, 0.3, 7])

    def summed(values):
        calls.append(values.asnumpy())
        now[0] += next(seconds)
        return ms.Tensor(calls[0] * 3), ms.Tensor(0.0)
    monkeypatch.setattr(checks, "VALUES", {"CPU": 2_000_000})
    monkeypatch.setattr(checks.time, "perf_counter", lambda: now[0])
    found = all_reduce(SECOND_OF_THREE, summed)
    assert found.finding == "8 MB over 3 ranks in 400.0 ms, 0.02 GB/s; all sums right"
    assert len(calls) == 6 and calls[0][:9].tolist() == [0, 2, 4, 6, 8, 10, 12, 0, 2]


def test_steps_are_timed_on_cards_and_sums_made_by_several(monkeypatch):
    monkeypatch.setattr(checks, "training_steps",
                        lambda device, precision: f"{precision} steps on {device.ranks}")
    monkeypatch.setattr(checks, "all_reduce", lambda device, _: f"sum of {device.ranks}")
    assert list(rank_checks(CPU, "hf32", "joined")) == ["joined"]
    assert list(rank_checks(SECOND_OF_THREE, "hf32", "joined")) == ["joined", "sum of 3"]
    assert list(rank_checks(Device("Ascend", True, 0, 8), "hf32", "joined")) == [
        "joined", "sum of 8", "hf32 steps on 8"]


def test_a_fail_of_any_rank_ends_the_job(monkeypatch, tmp_path):
    results = tmp_path / "results"
    monkeypatch.setattr(checks.sys, "argv", ["rank_checks", "CPU", "float32", str(results)])
    monkeypatch.setattr(checks, "setup_device", lambda *_, **__: SECOND_OF_THREE)
    monkeypatch.setattr(checks, "barrier", lambda _: None)
    monkeypatch.setattr(checks, "SumOverRanks", lambda: lambda values: (values, values[0]))
    with pytest.raises(CheckFailed, match="all-reduce on rank 1: .* sums are wrong"):
        checks.main()
    assert not results.exists()
