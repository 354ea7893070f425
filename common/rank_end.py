"""The exit code of a rank, noted for its launcher when all its work is done.

MindSpore 2.10 may hang afterwards, in the destructors of its cluster (seen once, of a rank that
worked for seconds on busy cores): it waits for a thread of its server that does not end.
"""

import contextlib
import os
from pathlib import Path
from typing import Iterable, Optional

FOLDER_OF_ENDS = "FOLDER_OF_RANK_ENDS"  # environment: of the ranks on this host, by their launcher


def take_place_of_note() -> Optional[Path]:
    """Return the file for the exit code of this process, if it is a rank whose launcher wants to
    know; processes that it starts do not note theirs."""
    folder = os.environ.pop(FOLDER_OF_ENDS, None)
    if not folder or os.environ.get("MS_ROLE") != "MS_WORKER":
        return None
    return Path(folder, os.environ["RANK_ID"])


def note_end(place: Optional[Path], exit_code: int) -> None:
    """Note the exit code, if there is a place for it. Without the note, as on a full disk, the
    launcher waits for the process."""
    if place is None:
        return
    unfinished = place.with_name(f"{place.name}.tmp")
    with contextlib.suppress(OSError):
        unfinished.write_text(str(exit_code), encoding="ascii")
        unfinished.replace(place)


def noted_ends(folder: Path, ranks: Iterable[int]) -> dict[int, int]:
    """Return the exit codes of those of the ranks whose work is done."""
    return {rank: int((folder / f"{rank}").read_text(encoding="ascii"))
            for rank in ranks if (folder / f"{rank}").exists()}
