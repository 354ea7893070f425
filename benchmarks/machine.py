"""The machine that figures belong to."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any, Dict

GIB = 1 << 30
HOST_ONLY = "none, the host only"


def describe_machine(folder: Path, device: str = HOST_ONLY) -> Dict[str, Any]:
    """Processor, usable cores, memory, disk and file system of ``folder``, device, versions.

    Args:
        device: that networks ran on.
    """
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1),
        "disk": _disk(folder),
        "file_system": _file_system(folder.resolve()),
        "device": device,
        "python": platform.python_version(),
        "mindspore": importlib.metadata.version("mindspore"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _disk(folder: Path) -> str:
    """What the kernel calls the block device, its model where it tells one; a network or a layered
    file system has none."""
    number = folder.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    if not device.exists():
        return "no block device"
    models = (holder / "device" / "model" for holder in (device, device.parent))  # of a partition
    return " ".join([device.name, *(model.read_text(encoding="utf-8").strip() for model in models
                                    if model.exists())])


def _file_system(folder: Path) -> str:
    """Type of the mount that holds ``folder``: the longest mount point above it."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, point, found, *_ = line.split()
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind
