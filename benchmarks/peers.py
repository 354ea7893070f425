"""Other tools that pack pictures into few files, for ``python -m benchmarks convert``.

``python -m benchmarks.peers NAME TRAIN OUT`` packs the class folders of TRAIN into OUT: a process
of its own, so that start-up counts for every row.
"""

import sys
from pathlib import Path
from typing import Callable, Iterator

from common import CheckFailed

SHARD_BYTES = 1 << 30  # as ours


def _pictures(train: Path) -> Iterator[tuple[str, int, bytes]]:
    """(name, label, encoded bytes) of each picture, classes and names sorted."""
    for label, folder in enumerate(sorted(train.iterdir())):
        for path in sorted(folder.iterdir()):
            yield path.stem, label, path.read_bytes()


def pack_webdataset(train: Path, out: Path) -> int:
    """Tars of ``<name>.jpg`` and ``<name>.cls``; no fsync; one process."""
    from webdataset import ShardWriter
    with ShardWriter(str(out / "train-%05d.tar"), maxcount=sys.maxsize, maxsize=SHARD_BYTES,
                     verbose=0) as writer:
        for name, label, data in _pictures(train):
            writer.write({"__key__": name, "jpg": data, "cls": label})
        return writer.total


# Row -> the package that it needs, of the ``bench`` extra, and what packs.
PEERS: dict[str, tuple[str, Callable[[Path, Path], int]]] = {
    "webdataset": ("webdataset", pack_webdataset),
}


def main() -> None:
    name, train, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    out.mkdir()
    stored = PEERS[name][1](train, out)
    there = sum(1 for _ in train.glob("*/*"))
    if stored != there:
        raise CheckFailed(f"{name} stored {stored} of {there} pictures")


if __name__ == "__main__":
    main()
