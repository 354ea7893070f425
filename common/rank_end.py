"""The exit code of a rank, noted for its launcher when all its work is done.

MindSpore 2.10 may hang afterwards, in the destructors of its cluster (seen once, of a rank that
worked for seconds on busy cores): it waits for a thread of its server that does not end.
"""

import os
from pathlib import Path
from typing import Iterable

FOLDER_OF_ENDS = "FOLDER_OF_RANK_ENDS"  # environment: of the ranks on this host, by their launcher


def note_end(exit_code: int) -> None:
    """Note the exit code, if this process is a rank of a launcher that wants to know."""
    folder = os.environ.get(FOLDER_OF_ENDS)
    if folder and os.environ.get("MS_ROLE") == "MS_WORKER":
        path = Path(folder, os.environ["RANK_ID"])
        unfinished = path.with_name(f"{path.name}.tmp")
        unfinished.write_text(str(exit_code), encoding="ascii")
        unfinished.replace(path)


def noted_ends(folder: Path, ranks: Iterable[int]) -> dict[int, int]:
    """Return the exit codes of those of the ranks whose work is done."""
    return {rank: int((folder / f"{rank}").read_text(encoding="ascii"))
            for rank in ranks if (folder / f"{rank}").exists()}
