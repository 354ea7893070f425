"""Make without what it would start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make(tmp_path):
    """Run make with a stand-in of its Python that writes its words, one list per command, to
    ``calls``, and the command of make that it knows to ``typed``; it ends with the numbers in
    ``codes``, one after the other."""
    (tmp_path / "stamp").touch()
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport json, os, pathlib, sys\n"
                      f"calls, codes, typed = (pathlib.Path({str(tmp_path)!r}) / name for name in "
                      "('calls', 'codes', 'typed'))\n"
                      "typed.write_text(os.environ.get('UNDER_MAKE', ''))\n"
                      "with calls.open('a') as file: print(json.dumps(sys.argv[1:]), file=file)\n"
                      "done = len(calls.read_text().splitlines())\n"
                      "sys.exit(int(codes.read_text().split()[done - 1]) if codes.exists() else 0)"
                      "\n")
    python.chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}

    def run(*words: str) -> tuple[int, list[list[str]]]:
        done = subprocess.run(["make", "-C", ROOT, "--no-print-directory", f"PY={python}",
                               f"DONE={tmp_path}/stamp", *words], env=clean, check=False,
                              stdout=subprocess.DEVNULL)
        calls = tmp_path / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return done.returncode, list(map(json.loads, lines))
    return run
