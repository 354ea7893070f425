"""MindSpore's compile cache (MS_COMPILER_CACHE_ENABLE) around the compilation of the training step.

Left to itself it takes the n-th graph of a process for the n-th graph of an earlier one, as long
as the source files are the same: with another batch size or loss scale, a run would silently
train with the graph of the earlier one (MindSpore 2.10, tried). So it is only switched on for the
step, and everything that the step's graph follows from decides the folder.
"""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Iterator, Optional

from common.cli import RequestError
from common.files import read_json, sha256_of_file, write_json
from inceptionv4.device import Device
from train.recipe import Recipe

DIGESTS = "digests.json"  # in the folder of a graph, of its files
SOURCES = ("inceptionv4", "train")  # packages that the step's graph is made from
STALE_SECONDS = 6 * 3600  # compiling takes minutes


def cache_folder(base: Path, recipe: Recipe, device: Device, **settings: object) -> Path:
    """Return the folder below ``base`` for the graph that this rank compiles from the recipe, on
    the device, and with whatever ``settings`` else it follows from."""
    root = Path(__file__).parents[1]
    sources = {str(path.relative_to(root)): sha256_of_file(path)
               for package in SOURCES for path in sorted((root / package).rglob("*.py"))}
    parts = {"recipe": dataclasses.asdict(recipe), "device": dataclasses.asdict(device),
             "settings": settings, "sources": sources,
             "mindspore": importlib.metadata.version("mindspore")}
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return base / f"step-{digest[:16]}"


def _remove_stale(base: Path) -> None:
    """Remove what processes that were ended while they compiled have left: by its age, since
    other ranks and hosts may be compiling there."""
    for work in base.glob(".step-*"):
        with contextlib.suppress(FileNotFoundError):  # another rank removes it, too
            if time.time() - work.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(work, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of a graph."""
    return {str(path.relative_to(folder)): sha256_of_file(path)
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != DIGESTS}


def _noted_digests(folder: Path) -> Optional[dict[str, str]]:
    """Return those that were noted when the graph was complete; None where that note is damaged."""
    try:
        return read_json(folder / DIGESTS, "")
    except (OSError, RequestError):
        return None


@contextlib.contextmanager
def compile_cache(folder: Optional[Path]) -> Iterator[None]:
    """Let the one graph that is compiled within come from ``folder``, or go there; None: neither.

    A folder appears when its graph is complete, whoever else compiles the same one meanwhile.
    """
    if folder is None:
        yield
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder.parent)
    if folder.exists() and _digests(folder) != _noted_digests(folder):
        # MindSpore would report a damaged graph as an error of its own, each time anew.
        shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        new = Path(work, "graph")
        os.environ["MS_COMPILER_CACHE_ENABLE"] = "1"
        os.environ["MS_COMPILER_CACHE_PATH"] = str(folder if folder.exists() else new)
        try:
            yield
        finally:
            del os.environ["MS_COMPILER_CACHE_ENABLE"], os.environ["MS_COMPILER_CACHE_PATH"]
        if not folder.exists() and new.exists():
            write_json(new / DIGESTS, _digests(new))
            with contextlib.suppress(OSError):  # another process was faster
                os.replace(new, folder)
