"""Where a result comes from: when, on which host and from which commit of this code."""

import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIGITS = 12  # of a commit
LONGEST_SECONDS = 10  # a checkout on slow storage


def origin() -> dict[str, str]:
    """Return the date of now, the commit and the host; the commit is empty where it is unknown."""
    return {"date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "commit": commit_of(ROOT), "host": platform.node()}


def commit_of(root: Path) -> str:
    """Return the commit of the checkout ``root``, with "-dirty" at its end where a file of it was
    changed.

    Empty where there is no git, or ``root`` is no checkout: installed by pip or copied to
    ModelArts. Git alone would take that of a folder above.
    """
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*",
             f"--abbrev={DIGITS}"], capture_output=True, text=True, check=False,
            timeout=LONGEST_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
