"""A stand-in for the package of ModelArts, as far as this project uses it.

``obs://`` paths lie in the folder STAND_IN_OBS, where every call becomes a line of ``calls``.

``rule.json`` in that folder says what goes wrong: of the calls of ``operation`` after the next
``after`` ones, ``times`` raise, copy only half of each file or take a second longer (``how``).
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path

STORE = Path(os.environ["STAND_IN_OBS"])
file = sys.modules[__name__]  # moxing.file


def copy(source: str, target: str) -> None:
    _enter("copy", source, target)
    _place(target).parent.mkdir(parents=True, exist_ok=True)
    _place(target).write_bytes(_place(source).read_bytes())


def copy_parallel(source: str, target: str) -> None:
    how = _enter("copy_parallel", source, target)
    for path in [path for path in _place(source).rglob("*") if path.is_file()]:
        content, copied = path.read_bytes(), _place(target) / path.relative_to(_place(source))
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(content[:len(content) // 2] if how == "half" else content)


def exists(url: str) -> bool:
    return _place(url).exists()


def list_directory(url: str) -> list[str]:
    _enter("list_directory", url)
    return [path.name + "/" * path.is_dir() for path in _place(url).iterdir()]


def read(url: str, client_id: object = None, binary: bool = False) -> object:
    return _place(url).read_bytes() if binary else _place(url).read_text()


def remove(url: str) -> None:
    _enter("remove", url)
    _place(url).unlink()


def _place(url: str) -> Path:
    return STORE / url.removeprefix("obs://") if url.startswith("obs://") else Path(url)


def _enter(operation: str, *urls: str) -> str:
    """Note the call and let go wrong what the rule says; return how it does."""
    with open(STORE / "calls", "a", encoding="utf-8") as calls:
        fcntl.flock(calls, fcntl.LOCK_EX)
        calls.write(" ".join([operation, *urls]) + "\n")
        rule = json.loads((STORE / "rule.json").read_text())
        if operation != rule["operation"]:
            return ""
        rule["after"] -= 1
        (STORE / "rule.json").write_text(json.dumps(rule))
    if not -rule["times"] <= rule["after"] < 0:
        return ""
    if rule["how"] == "raise":
        raise ConnectionError("the bucket does not answer")
    if rule["how"] == "slow":
        time.sleep(1)
    return rule["how"]
