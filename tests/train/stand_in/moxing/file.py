"""``obs://`` paths lie in the folder STAND_IN_OBS, where every call becomes a line of ``calls``.

``rules.json`` in that folder says what goes wrong: ``{operation: {"after": M, "times": N, "how":
HOW}}`` lets the N calls after the next M go wrong, with HOW one of

    raise           an exception
    half            half of each file is copied
    half, killed    the same, then this process dies by SIGKILL, and a helper that it had started
                    lives on for a while, with the open files that it inherited: ``helper`` holds
                    its number, ``helper-ended`` is there when its time was over
    slow            a second's wait
"""

import fcntl
import json
import os
import signal
import time
from pathlib import Path

STORE = Path(os.environ["STAND_IN_OBS"])
HELPER_SECONDS = 20


def copy(source: str, target: str) -> None:
    _go_wrong(_enter("copy", source, target))
    _copy_file(_place(source), _place(target))


def copy_parallel(source: str, target: str) -> None:
    how = _enter("copy_parallel", source, target)
    for path in sorted(_place(source).rglob("*")):
        if path.is_file():
            _copy_file(path, _place(target) / path.relative_to(_place(source)),
                       half=how.startswith("half"))
    _go_wrong(how)


def exists(url: str) -> bool:
    return _place(url).exists()


def list_directory(url: str) -> list[str]:
    _go_wrong(_enter("list_directory", url))
    return [path.name + "/" * path.is_dir() for path in _place(url).iterdir()]


def remove(url: str) -> None:
    _go_wrong(_enter("remove", url))
    _place(url).unlink()


def _place(url: str) -> Path:
    return STORE / url.removeprefix("obs://") if url.startswith("obs://") else Path(url)


def _enter(operation: str, *urls: str) -> str:
    """Note the call; what the rules let go wrong with it."""
    with open(STORE / "calls", "a", encoding="utf-8") as calls:
        fcntl.flock(calls, fcntl.LOCK_EX)
        calls.write(" ".join([operation, *urls]) + "\n")
        path = STORE / "rules.json"
        rules = json.loads(path.read_text()) if path.exists() else {}
        rule = rules.get(operation, {"after": 0, "times": 0})
        counter = "after" if rule["after"] else "times"
        if not rule[counter]:
            return ""
        rule[counter] -= 1
        path.write_text(json.dumps(rules))
        return rule["how"] if counter == "times" else ""


def _copy_file(source: Path, target: Path, half: bool = False) -> None:
    content = source.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content[:len(content) // 2] if half else content)


def _go_wrong(how: str) -> None:
    if how == "raise":
        raise ConnectionError("the bucket does not answer")
    if how == "slow":
        time.sleep(1)
    if how == "half, killed":
        if os.fork() == 0:
            (STORE / "helper").write_text(str(os.getpid()))
            time.sleep(HELPER_SECONDS)
            (STORE / "helper-ended").write_text("")
            os._exit(0)
        while not (STORE / "helper").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
