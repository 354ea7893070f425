"""What ranks tell each other, with a thread for each rank in the place of a process."""

import os
import threading
from typing import Any, Callable

import mindspore as ms
import numpy as np
import pytest
from mindspore import communication

from inceptionv4 import device as device_module
from inceptionv4.device import (TEXT_BYTES, Device, barrier, copy_from_rank_0, gather_over_ranks,
                                ranks_agree, setup_device, sum_over_ranks,
                                texts_of_ranks)

RANKS = 3


@pytest.fixture
def of_ranks(monkeypatch) -> Callable[[Callable[[Device], Any]], list]:
    """Calls a function for each of three ranks at once; the sum is all that they share."""
    given: dict[int, np.ndarray] = {}
    meeting = threading.Barrier(RANKS)

    def summed(device: Device, values: np.ndarray) -> np.ndarray:
        assert values.dtype == np.float32  # the type that MindSpore's sum takes
        given[device.rank] = values
        meeting.wait(60)
        total = sum(given[rank] for rank in range(RANKS))
        meeting.wait(60)
        return total

    def call(function: Callable[[Device], Any]) -> list:
        found: dict[int, Any] = {}

        def run(rank: int) -> None:
            found[rank] = function(Device("CPU", False, rank, RANKS))
        threads = [threading.Thread(target=run, args=[rank]) for rank in range(RANKS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [found[rank] for rank in range(RANKS)]
    monkeypatch.setattr(device_module, "sum_over_ranks", summed)
    return call


def test_every_rank_gets_the_rows_of_all_in_their_order(of_ranks):
    rows = of_ranks(lambda device: gather_over_ranks(
        device, np.array([device.rank, 10], np.float32)).tolist())
    assert rows == [[[0, 10], [1, 10], [2, 10]]] * RANKS


@pytest.mark.parametrize("numbers, agree", [
    ([(5, 2**24 - 1)] * 3, True), ([(5, 6), (5, 6), (5, 7)], False),
    ([(4, 6), (5, 6), (5, 6)], False)])
def test_ranks_agree_where_all_their_numbers_are_the_same(of_ranks, numbers, agree):
    assert of_ranks(lambda device: ranks_agree(device, *numbers[device.rank])) == [agree] * RANKS


def test_texts_reach_all_ranks_whole_or_cut(of_ranks):
    long = "é" * TEXT_BYTES  # of two bytes each
    texts = ["", "image id 5 ° is damaged", long]
    assert of_ranks(lambda device: texts_of_ranks(device, texts[device.rank])) == [
        [*texts[:2], long[:TEXT_BYTES // 2]]] * RANKS


def test_a_barrier_waits_for_every_rank(of_ranks):
    came: list[int] = []

    def wait(device: Device) -> int:
        came.append(device.rank)
        barrier(device)
        return len(came)
    assert of_ranks(wait) == [RANKS] * RANKS


def test_parameters_of_rank_0_go_to_the_others_alone(of_ranks):
    """Each in its shape; those of rank 0 are not written at all."""
    def parameters_of(rank: int) -> list[ms.Parameter]:
        return [ms.Parameter(ms.Tensor(np.full(shape, 10 * rank + place, np.float32)), name=name)
                for place, (name, shape) in enumerate((("a", (2, 3)), ("b", (1,)), ("c", (4,))))]
    own = [parameters_of(rank) for rank in range(RANKS)]
    written: list[int] = []
    for rank, parameters in enumerate(own):
        for parameter in parameters:
            put = parameter.set_data
            parameter.set_data = lambda value, put=put, rank=rank: (
                written.append(rank) or put(value))
    of_ranks(lambda device: copy_from_rank_0(device, own[device.rank]))
    for parameters in own:
        assert [parameter.shape for parameter in parameters] == [(2, 3), (1,), (4,)]
        for parameter, expected in zip(parameters, parameters_of(0)):
            np.testing.assert_array_equal(parameter.asnumpy(), expected.asnumpy())
    assert sorted(written) == [1, 1, 1, 2, 2, 2]


def test_the_sum_is_mindspores(monkeypatch):
    monkeypatch.setattr(device_module.ops, "AllReduce", lambda: lambda values: values * RANKS)
    values = np.array([1.5, 2.0], np.float32)
    assert sum_over_ranks(Device("CPU", False, 0, RANKS), values).tolist() == [4.5, 6.0]


def test_one_process_shares_nothing():
    alone = Device("CPU", False, 0, 1)
    assert ranks_agree(alone, 7) and texts_of_ranks(alone, "a") == ["a"]
    parameter = ms.Parameter(ms.Tensor(np.ones(2, np.float32)), name="a")
    parameter.set_data = None
    copy_from_rank_0(alone, [parameter])


@pytest.mark.parametrize("chosen, expected", [
    ({}, {"HCCL_CONNECT_TIMEOUT": "600", "HCCL_EXEC_TIMEOUT": "3600"}),
    ({"HCCL_EXEC_TIMEOUT": "7"}, {"HCCL_CONNECT_TIMEOUT": "600", "HCCL_EXEC_TIMEOUT": "7"})])
def test_a_process_joins_its_ranks_after_its_time_limits_are_set(monkeypatch, chosen, expected):
    """What the user chose stays. Gradients are then averaged over the ranks."""
    calls: list = []
    for name in ("HCCL_CONNECT_TIMEOUT", "HCCL_EXEC_TIMEOUT"):
        monkeypatch.setenv(name, "")  # so that its value of now comes back
        monkeypatch.delenv(name)
    for name, value in {**chosen, "MS_ROLE": "MS_WORKER"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(communication, "init", lambda: calls.append(
        {name: os.environ.get(name) for name in expected}))
    for name, value in (("get_rank", 5), ("get_group_size", 8), ("get_local_rank_size", 4)):
        monkeypatch.setattr(communication, name, lambda value=value: value)
    monkeypatch.setattr(ms, "set_auto_parallel_context", lambda **values: calls.append(values))
    monkeypatch.setattr(device_module, "_ranks_sharing_cores", lambda device: device.ranks - 6)
    monkeypatch.setattr("common.host.available_cores", lambda: 12)
    monkeypatch.setattr("common.host._quota", lambda: None)
    device = setup_device("CPU", precision="float32")
    assert device == Device("CPU", False, 5, 8, local_ranks=4, arithmetic="float32 throughout",
                            sharing_ranks=2)
    assert device.cores == 6
    assert calls == [expected, {"parallel_mode": ms.ParallelMode.DATA_PARALLEL,
                                "gradients_mean": True, "device_num": 8}]
