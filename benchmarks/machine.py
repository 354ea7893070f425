"""The machine that figures belong to."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any, Dict

GIB = 1 << 30


def describe_machine(folder: Path) -> Dict[str, Any]:
    """Processor, usable cores, memory, the file system type of ``folder``, versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1),
        "file_system": _file_system(folder.resolve()),
        "python": platform.python_version(),
        "mindspore": importlib.metadata.version("mindspore"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """Type of the mount that holds ``folder``: the longest mount point above it."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, point, found, *_ = line.split()
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind
