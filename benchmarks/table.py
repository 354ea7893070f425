"""What every benchmark writes: ``speed.json`` for programs, ``speed.md`` for people, in both the
machine that the figures belong to."""

import dataclasses
import importlib.metadata
import itertools
import os
import platform
from pathlib import Path
from typing import Any

import psutil

from common.files import write_json, write_text
from common.forms import SpeedTable
from common.host import available_cores
from common.text import GIB
from evaluate.report.speed import describe_pairs, rows_table
from evaluate.report.translations import translator


def write_table(table: SpeedTable, out: Path) -> str:
    """Write ``out/speed.json`` and ``out/speed.md``; return the Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    table = table.with_figures()
    page = render(table)
    write_json(out / "speed.json", dataclasses.asdict(table))
    write_text(out / "speed.md", page)
    return page


def render(table: SpeedTable) -> str:
    """Return the table, whose figures are computed, as Markdown."""
    parts = [f"# {table.title}"]
    for section, rows in itertools.groupby(table.rows, key=lambda row: row.section):
        if section:
            parts.append(f"## {section}")
        parts.append(rows_table(table, list(rows), "", translator("en")).markdown())
    if table.closing:
        parts.append("\n".join(f"- {line}" for line in table.closing))
    items = f"; {table.items:,} {table.unit}" if table.items else ""
    parts.append(f"Settings: {describe_pairs(table.settings)}{items}.\n"
                 f"Machine: {describe_pairs(table.machine)}.")
    return "\n\n".join(parts) + "\n"


def describe_machine(folder: Path, device: str = "none, the host only") -> dict[str, Any]:
    """Return processor, usable cores, memory, disk and file system of ``folder``, device, versions.

    Args:
        device: on which networks ran.
    """
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
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
    """Return the kernel's name of the block device and its model, if known; a network or a layered
    file system has none."""
    number = folder.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    if not device.exists():
        return "no block device"
    models = (holder / "device" / "model" for holder in (device, device.parent))  # of a partition
    return " ".join([device.name, *(model.read_text(encoding="utf-8").strip() for model in models
                                    if model.exists())])


def _file_system(folder: Path) -> str:
    """Return the type of the mount that holds ``folder``: the longest mount point above it, the
    last one of those mounted over each other."""
    above = [mount for mount in psutil.disk_partitions(all=True)
             if folder.is_relative_to(mount.mountpoint)]
    return max(reversed(above), key=lambda mount: len(mount.mountpoint)).fstype
