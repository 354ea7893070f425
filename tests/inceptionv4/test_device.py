"""Which device is chosen, and when ranks are joined."""

import os
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from common.cli import DUMP_FOLDER, RequestError
from inceptionv4 import device as device_module
from inceptionv4.device import (Device, _card_from_platform, exact_rmsprop, setup_device,
                                started_by_launcher)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(monkeypatch):
    for name in ("MS_ROLE", "RANK_SIZE", "DEVICE_ID"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("target", ["auto", "CPU"])
def test_one_process_on_cpu(environment, target):
    environment.setattr(ms, "get_context", lambda name: "CPU")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    device = setup_device(target, seed=1)
    environment.undo()
    assert device == Device("CPU", supports_sink=False, rank=0, ranks=1)
    assert ms.get_context("mode") == ms.GRAPH_MODE
    assert ms.get_seed() == 1


@pytest.mark.parametrize("chosen, used", [(None, "AVX2"), ("AVX", "AVX")])
def test_cpu_kernels_that_are_fast_unless_the_user_chose(environment, chosen, used):
    environment.setenv("ONEDNN_MAX_CPU_ISA", chosen or "")
    if chosen is None:
        environment.delenv("ONEDNN_MAX_CPU_ISA")
    setup_device("CPU")
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == used


def test_ascend_without_its_libraries_is_refused(monkeypatch):
    monkeypatch.setattr(ms.device_context.ascend, "is_available", lambda: False)
    with pytest.raises(RequestError, match="'Ascend' cannot be used here.*choose CPU"):
        setup_device("Ascend")


def test_description_says_where_sink_mode_is_missing():
    assert Device("CPU", False, 0, 1).describe() == \
        "device: CPU; sink mode is not available on CPU"
    assert Device("Ascend", True, 3, 8).describe() == "device: Ascend, rank 3 of 8"


@pytest.mark.parametrize("variables, launched, card", [
    ({}, False, None), ({"RANK_SIZE": "1", "DEVICE_ID": "5"}, False, 5),
    ({"RANK_SIZE": "8", "DEVICE_ID": "0"}, True, 0), ({"MS_ROLE": "MS_SCHED"}, True, None),
    ({"MS_ROLE": "MS_WORKER", "RANK_SIZE": "1", "DEVICE_ID": "5"}, True, None)])
def test_ranks_are_joined_and_cards_given_by_the_launcher(environment, variables, launched, card):
    for name, value in variables.items():
        environment.setenv(name, value)
    assert (started_by_launcher(), _card_from_platform()) == (launched, card)


def test_the_platforms_card_is_the_one_that_is_computed_on(environment):
    used = []
    environment.setenv("DEVICE_ID", "5")
    environment.setattr(ms.device_context.ascend, "is_available", lambda: True)
    environment.setattr(ms, "set_device", lambda name, card=None: used.append((name, card)))
    for target in ("Ascend", "CPU"):
        setup_device(target)
    assert used == [("Ascend", 5), ("CPU", None)]


class OneWeight(nn.Cell):
    """A weight that an optimiser moves by the gradients it is given."""

    def __init__(self, start: np.ndarray, rates: np.ndarray, momentum: float) -> None:
        super().__init__()
        self.weight = ms.Parameter(start, name="weight")
        self.optimizer = exact_rmsprop(nn.RMSProp(
            [self.weight], learning_rate=ms.Tensor(rates), decay=0.9, momentum=momentum,
            epsilon=1.0))

    def construct(self, gradient: ms.Tensor) -> ms.Tensor:
        return self.optimizer((gradient,))


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("size", [1, 9, 100_003])  # MindSpore's kernel took groups of eight
def test_rmsprop_is_tensorflows_for_every_element(size, momentum):
    drawn = np.random.default_rng(1)
    weight, square, moment = drawn.normal(size=size), np.ones(size), np.zeros(size)
    rates = np.array([0.5, 0.1, 0.1, 0.1], np.float32)
    trained = OneWeight(weight.astype(np.float32), rates, momentum)
    for rate in rates[:3]:
        gradient = drawn.normal(size=size)
        trained(ms.Tensor(gradient.astype(np.float32)))
        square = 0.9 * square + 0.1 * gradient ** 2
        moment = momentum * moment + rate * gradient / np.sqrt(square + 1)
        weight = weight - moment
    assert np.abs(trained.weight.asnumpy() - weight).max() < 1e-5


def test_level_and_determinism_are_set_before_ranks_join(environment):
    """MindSpore asks for the second: else sums over ranks stay as they are."""
    calls = []
    environment.setenv("RANK_SIZE", "2")
    environment.setattr(ms, "set_context", lambda **values: calls.append(values))
    environment.setattr(ms, "set_deterministic", lambda value: calls.append(value))
    environment.setattr("inceptionv4.device._join_ranks", lambda: calls.append("join") or (0, 2, 2))
    environment.setattr("inceptionv4.device._ranks_sharing_cores", lambda device: device.ranks)
    setup_device("CPU", jit_level="O1", deterministic=True)
    assert calls == [{"mode": ms.GRAPH_MODE}, {"jit_config": {"jit_level": "O1"}}, True, "join"]
    calls.clear()
    setup_device("CPU")
    assert calls == [{"mode": ms.GRAPH_MODE}, "join"]


@pytest.mark.parametrize("cores_of_ranks, sharing", [
    (["a 0-23", "a 24-47", "b 0-23", "b 24-47"], 1),
    (["a 0-95", "a 0-95", "b 0-95", "b 0-95"], 2)])
def test_ranks_share_cores_where_they_are_bound_to_the_same_of_a_host(
        cores_of_ranks, sharing, environment, tmp_path):
    """Whatever bound them: a launcher, taskset around a script, or the limits of the job."""
    def number_of(cores: str) -> np.ndarray:
        host, first, last = cores.replace("-", " ").split()
        environment.setattr(os, "sched_getaffinity", lambda _: {*range(int(first), int(last) + 1)})
        environment.setattr(device_module, "BOOT_ID", tmp_path / host)
        (tmp_path / host).write_text(host)
        numbers = []
        environment.setattr(device_module, "gather_over_ranks",
                            lambda _, row: numbers.append(row) or row)
        device_module._ranks_sharing_cores(Device("CPU", False, 0, 4))
        return numbers[0]
    numbers = np.stack([number_of(cores) for cores in reversed(cores_of_ranks)])
    environment.setattr(device_module, "gather_over_ranks", lambda *_: numbers)
    assert device_module._ranks_sharing_cores(Device("CPU", False, 0, 4)) == sharing


def test_the_dump_of_a_graph_that_does_not_compile_is_not_in_the_working_folder(tmp_path):
    """It may be a gigabyte, of which the error says all that a user can use."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "fail.py").write_text(
        "from inceptionv4.device import setup_device\n"
        "setup_device('CPU')\n"
        "import mindspore as ms\n"
        "class Undefined(ms.nn.Cell):\n"
        "    def construct(self, x):\n"
        "        return undefined(x)\n"
        "Undefined().compile(ms.Tensor([1.0]))\n")
    done = subprocess.run(
        [sys.executable, "fail.py"], cwd=tmp_path, text=True, capture_output=True, check=False,
        env={**{name: value for name, value in os.environ.items() if name != DUMP_FOLDER},
             "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp")})
    assert "'undefined' is not defined" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fail.py", "tmp"]
    assert list((tmp_path / "tmp").rglob("analyze_fail.ir"))
