"""The device a process computes on: Ascend or CPU, alone or as one of several ranks.

What differs between devices is in this file, so that the rest of the code is the same for both.
"""

import os
import tempfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, Sequence

import mindspore as ms
import numpy as np
from mindspore import communication, nn, ops

from common.cli import DUMP_FOLDER, RequestError
from common.host import cores_per_rank
from inceptionv4.precision import set_precision

# MindSpore 2.10's oneDNN has no AVX-512 kernel for convolutions wider than 1x1 in MindSpore's
# layout and takes its plain reference loop, some 50 times slower than the AVX2 kernel.
# ONEDNN_VERBOSE=1 shows which one runs.
ONEDNN_INSTRUCTIONS = "AVX2"

# Seconds that ranks wait for each other: to join (compiling takes minutes, and not the same number
# everywhere) and in a step (while rank 0 saves).
HCCL_TIMEOUTS = {"HCCL_CONNECT_TIMEOUT": "600", "HCCL_EXEC_TIMEOUT": "3600"}

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # the same in all containers of a host

COMPILING_TAKES = "half a minute on CPU, minutes on Ascend"  # what a user reads before it

TEXT_BYTES = 600  # of an error that a rank reports to the others


@dataclass(frozen=True)
class Device:
    """What ``setup_device`` chose for this process.

    Attributes:
        name: "CPU" or "Ascend".
        supports_sink: whether it can take its batches from a queue itself (data sink mode). On CPU
            MindSpore takes the request, feeds step by step all the same and only logs it.
        rank, ranks: position of this process, 0 to ranks - 1, and the number of processes.
        local_ranks: the number of processes on this host.
        arithmetic: the number formats that it computes in, for people.
        sharing_ranks: of those processes, the ones that may use the same cores as this one, itself
            included; None: all.
    """

    name: str
    supports_sink: bool
    rank: int
    ranks: int
    local_ranks: int = 1
    arithmetic: str = ""
    sharing_ranks: Optional[int] = None

    @property
    def cores(self) -> int:
        """Return the number of cores that this process may keep busy."""
        return cores_per_rank(self.local_ranks, self.sharing_ranks)

    def describe(self) -> str:
        """Return one line for the user: device, rank, arithmetic, and that there is no sink mode,
        if so."""
        rank = f", rank {self.rank} of {self.ranks}" if self.ranks > 1 else ""
        arithmetic = f"; {self.arithmetic}" if self.arithmetic else ""
        sink = "" if self.supports_sink else f"; sink mode is not available on {self.name}"
        return f"device: {self.name}{rank}{arithmetic}{sink}"


def setup_device(target: str = "auto", seed: Optional[int] = None,
                 precision: Optional[str] = None, jit_level: Optional[str] = None,
                 deterministic: bool = False) -> Device:
    """Choose the device for this process, in graph mode; call it once, before any tensor is made.

    Under a launcher (msrun, or one that sets RANK_SIZE and RANK_TABLE_FILE) it also joins the
    other ranks for data-parallel training, in which gradients are averaged over the ranks.

    Args:
        target: "auto" (Ascend where it can be used, else CPU), "CPU" or "Ascend".
        seed: seeds parameter initialisation and random operators, the same on every rank so that
            all ranks start with the same weights; None: a random one.
        precision: as ``common.options.precision_option``; the network's cells are cast by
            ``cast_cells``. None: whatever the device does unless it is told.
        jit_level: MindSpore's level of compilation, "O0" to "O2"; None: the device's own.
        deterministic: whether equal runs have to end alike on Ascend, at the cost of speed.

    Raises:
        RequestError: Ascend where it cannot be used, or a precision that the device does not have.
    """
    os.environ.setdefault(DUMP_FOLDER, os.path.join(tempfile.gettempdir(), "mindspore-dumps"))
    name = _choose_target(target)
    ms.set_device(name, _card_from_platform() if name == "Ascend" else None)
    if name == "CPU":  # read at the first operation; a value that the user chose stays
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", ONEDNN_INSTRUCTIONS)
    ms.set_context(mode=ms.GRAPH_MODE)
    arithmetic = "" if precision is None else set_precision(precision, name)
    if jit_level:  # globally, since mindspore.amp asks for it there
        ms.set_context(jit_config={"jit_level": jit_level})
    if deterministic:  # before ranks are joined: it holds for sums over them, too
        ms.set_deterministic(True)
    if seed is not None:
        ms.set_seed(seed)
    rank, ranks, local_ranks = _join_ranks() if started_by_launcher() else (0, 1, 1)
    device = Device(name, supports_sink=name == "Ascend", rank=rank, ranks=ranks,
                    local_ranks=local_ranks, arithmetic=arithmetic)
    return replace(device, sharing_ranks=_ranks_sharing_cores(device)) if ranks > 1 else device


def _choose_target(target: str) -> str:
    # Until something is set, MindSpore's target is the accelerator whose libraries it could
    # load, else CPU; asking device_context.ascend.is_available() would print a page of warnings.
    if target == "auto":
        return "Ascend" if ms.get_context("device_target") == "Ascend" else "CPU"
    if target == "Ascend" and not ms.device_context.ascend.is_available():
        raise RequestError("device 'Ascend' cannot be used here: install the Ascend driver and "
                           "CANN and source its set_env.sh, or choose CPU")
    return target


def started_by_launcher() -> bool:
    """Return whether this process has ranks to join: msrun sets MS_ROLE, even for one worker, whose
    scheduler waits until the worker joins."""
    return "MS_ROLE" in os.environ or int(os.environ.get("RANK_SIZE", "1")) > 1


def _card_from_platform() -> Optional[int]:
    """Return the card that a platform gave to this process; None lets MindSpore choose, as for
    msrun."""
    if "MS_ROLE" in os.environ or "DEVICE_ID" not in os.environ:
        return None
    return int(os.environ["DEVICE_ID"])


def _join_ranks() -> tuple[int, int, int]:
    """Join the other ranks; return (rank, ranks, ranks on this host)."""
    for name, seconds in HCCL_TIMEOUTS.items():
        os.environ.setdefault(name, seconds)
    communication.init()
    rank, ranks = communication.get_rank(), communication.get_group_size()
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL,
                                 gradients_mean=True, device_num=ranks)
    return rank, ranks, communication.get_local_rank_size()


def _ranks_sharing_cores(device: Device) -> int:
    """Return the number of ranks, this one included, that may use the same cores of this host; all
    ranks have to call this. They compare their cores, since no rank can tell from its own whether
    it alone or the whole job was bound to them."""
    cores = f"{BOOT_ID.read_text(encoding='ascii')}{sorted(os.sched_getaffinity(0))}"
    number = np.array([zlib.crc32(cores.encode()) % (1 << 24)], np.float32)  # which holds it
    return int((gather_over_ranks(device, number) == number).sum())


def barrier(device: Device) -> None:
    """Return when every rank has called this; at once if there is only one.

    It is a sum over the ranks, since MindSpore's CPU library has no barrier. The launcher ends all
    ranks when one of them fails before it gets here.
    """
    sum_over_ranks(device, np.ones(1, np.float32))


def sum_over_ranks(device: Device, values: np.ndarray) -> np.ndarray:
    """Return the sum of every rank's float32 array, all of one shape; all ranks have to call this.

    It is all that MindSpore's CPU library can do over ranks. Where one rank has a number and the
    others 0, every rank gets that number to the bit.
    """
    if device.ranks == 1:
        return values
    return ops.AllReduce()(ms.Tensor(values)).asnumpy()


def gather_over_ranks(device: Device, row: np.ndarray) -> np.ndarray:
    """Return float32 (ranks, N): the float32 (N,) of every rank; all ranks have to call this."""
    rows = np.zeros((device.ranks, *row.shape), np.float32)
    rows[device.rank] = row
    return sum_over_ranks(device, rows)


def ranks_agree(device: Device, *numbers: int) -> bool:
    """Return whether every rank passes the same numbers, each at least 0 and below 2 ** 24, which
    float32 holds exactly; all ranks have to call this."""
    gathered = gather_over_ranks(device, np.array(numbers, np.float32))
    return bool((gathered == gathered[0]).all())


def texts_of_ranks(device: Device, text: str) -> list[str]:
    """Return what each rank passes, the first ``TEXT_BYTES`` bytes; all ranks have to call this."""
    content = text.encode()[:TEXT_BYTES].ljust(TEXT_BYTES, b"\0")
    gathered = gather_over_ranks(device, np.frombuffer(content, np.uint8).astype(np.float32))
    return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in gathered.astype(np.uint8)]


def copy_from_rank_0(device: Device, parameters: Sequence[ms.Parameter]) -> None:
    """Give the float32 parameters of rank 0 to all ranks, which all have to call this."""
    if device.ranks == 1:
        return
    values = np.concatenate([parameter.asnumpy().ravel() for parameter in parameters])
    shared = sum_over_ranks(device, values if device.rank == 0 else np.zeros_like(values))
    if device.rank > 0:
        ends = np.cumsum([parameter.size for parameter in parameters])
        for parameter, part in zip(parameters, np.split(shared, ends)):
            parameter.set_data(ms.Tensor(part.reshape(parameter.shape)))


def exact_rmsprop(optimizer: nn.RMSProp) -> nn.RMSProp:
    """Return the optimiser, on CPU with the update that MindSpore documents.

    MindSpore 2.10's own CPU kernel computes it for a few elements of each weight only; for the
    others, in groups of eight, epsilon stands outside the root. Which ones those are is not the
    same in two equal runs, so that they do not end alike.
    """
    if ms.get_context("device_target") == "CPU":
        optimizer.opt = _RmspropUpdate(optimizer.momentum)
    return optimizer


class _RmspropUpdate(nn.Cell):
    """TensorFlow's RMSProp, with the arguments of ``ops.ApplyRMSProp``, which it replaces."""

    def __init__(self, momentum: float) -> None:
        super().__init__()
        self.has_momentum = momentum > 0  # without it, a fifth of the work is saved

    def construct(self, weight: ms.Parameter, mean_square: ms.Parameter, moment: ms.Parameter,
                  rate: ms.Tensor, gradient: ms.Tensor, decay: ms.Tensor, momentum: ms.Tensor,
                  epsilon: ms.Tensor) -> ms.Tensor:
        squares = ops.assign(mean_square,
                             decay * mean_square + (1 - decay) * gradient * gradient)
        change = rate * gradient * ops.rsqrt(squares + epsilon)
        if self.has_momentum:
            change = ops.assign(moment, momentum * moment + change)
        return ops.assign_sub(weight, change)
