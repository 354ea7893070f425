"""Timing rows: in turns, so that a drifting machine is fair to all, each in a process of its own
where its framework or its start-up would matter to the others."""

import contextlib
import importlib.util
import os
import subprocess
import time
from typing import Callable, Hashable, Iterable, Mapping, Optional, TypeVar

import psutil

from common import jpeg
from common.cli import CheckFailed
from common.forms import SpeedRow
from common.progress import progress_bar

Name = TypeVar("Name", bound=Hashable)
T = TypeVar("T")
BENCH_EXTRA = "pip install '.[bench]'"
MINDSPORES_DECODER = {jpeg.CHOICE: "mindspore"}  # environment of its rows as it is installed


def in_turns(actions: Mapping[Name, Callable[[], T]], repeats: int, description: str
             ) -> dict[Name, list[T]]:
    """Run every action ``repeats`` times, A B A B …, and return each one's results."""
    results: dict[Name, list[T]] = {name: [] for name in actions}
    with progress_bar(len(actions) * repeats, description, "runs") as bar:
        for _ in range(repeats):
            for name, action in actions.items():
                results[name].append(action())
                bar.update(1)
    return results


def time_rows(actions: Mapping[str, Callable[[], float]], repeats: int, section: str = "",
              items: Optional[int] = None, reasons: Mapping[str, str] = {}) -> list[SpeedRow]:
    """Return the rows of a section, their actions run in turns.

    Args:
        actions: by the row's name; each returns the seconds that it took.
        items: done in each of them; None: the table's number.
        reasons: why a row cannot run here, by its name; missing or empty: it can.
    """
    seconds = in_turns({name: action for name, action in actions.items() if not reasons.get(name)},
                       repeats, f"time {section.lower() or 'rows'}")
    return [SpeedRow(name, seconds.get(name, []), reasons.get(name, ""), section, items)
            for name in actions]


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that the action took."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def run_process(*command: object, environment: Mapping[str, str] = {}) -> str:
    """Run the command to its end and return what it printed.

    Args:
        environment: variables that replace this process's own.

    Raises:
        CheckFailed: it ended with an error; the message holds the end of what it printed.
    """
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True,
                          env={**os.environ, **environment}) as process:
        try:
            printed, errors = process.communicate()
        except KeyboardInterrupt:
            family = family_of(process.pid)
            process.terminate()  # killed, it could not end the processes that it has started
            process.wait()
            kill_all(family)  # those that it has left all the same
            raise
    if process.returncode != 0:
        raise CheckFailed(f"{command[0]} ended with {process.returncode}: "
                          f"{(printed + errors)[-300:]}")
    return printed


def family_of(pid: int) -> list[psutil.Process]:
    """Return the process and all that descend from it; none if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def kill_all(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def not_installed(*modules: str, install: str = BENCH_EXTRA) -> str:
    """Return why a row that needs the modules cannot run here; empty if it can. A package comes
    before the modules in it, which cannot be searched for without it."""
    installed = all(importlib.util.find_spec(module) for module in modules)
    return "" if installed else f"not installed: {install}"
