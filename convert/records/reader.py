"""Opening a record set: the packages that use records read them through this."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

from common.cli import RequestError
from common.files import sha256_of_lines
from convert.records.manifest import Manifest, read_manifest


@dataclass(frozen=True)
class RecordSet:
    """A record set whose files are all there with the sizes that its manifest says.

    Columns: ``image`` (uint8, the encoded image), ``label`` int32 (0-based), ``file_name`` str,
    ``image_id`` int32 (1-based), ``blacklisted`` int32 (0 or 1).
    """

    folder: Path
    manifest: Manifest

    @property
    def split(self) -> str:
        return self.manifest.split

    @property
    def images(self) -> int:
        return self.manifest.images

    @property
    def bytes(self) -> int:
        """Return the size of all data files."""
        return sum(shard.bytes for shard in self.manifest.shards)

    @property
    def class_names(self) -> List[str]:
        """Sorted; the position is the label."""
        return [item.name for item in self.manifest.classes]

    @property
    def class_names_sha256(self) -> str:
        """Digest of the class names, one per line: equal where labels mean the same."""
        return sha256_of_lines(self.class_names)

    @property
    def files(self) -> List[str]:
        """Data files in order, for ``mindspore.dataset.MindDataset``."""
        return [str(self.folder / shard.file) for shard in self.manifest.shards]

    @property
    def sha256(self) -> str:
        """Identify the records by the digests of their shards, wherever they lie."""
        return sha256_of_lines(shard.sha256 for shard in self.manifest.shards)

    def stored_rows(self) -> int:
        """Return the number of rows in the data files; raise RequestError if they are damaged."""
        import mindspore.dataset as ds  # takes seconds and 400 MB: not for the other commands
        with _naming_damage(self.folder):
            return ds.MindDataset(self.files, columns_list=["label"],
                                  shuffle=False).get_dataset_size()

    def rows(self, columns: Sequence[str], sampler: Any = None) -> Iterator[Dict[str, Any]]:
        """Yield rows as NumPy values by column, in file order or as a MindSpore ``sampler`` picks.

        Raises:
            RequestError: the files cannot be read.
        """
        import mindspore.dataset as ds
        picking: Dict[str, Any] = {"sampler": sampler} if sampler else {"shuffle": False}
        with _naming_damage(self.folder):
            rows = ds.MindDataset(self.files, columns_list=list(columns), **picking)
            yield from rows.create_dict_iterator(num_epochs=1, output_numpy=True)


@contextlib.contextmanager
def _naming_damage(folder: Path) -> Iterator[None]:
    """MindSpore reports a damaged file as RuntimeError and a missing one as ValueError."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
        raise RequestError(f"{folder} cannot be read ({' '.join(lines)[:200]}); see what is "
                           f"damaged with: python -m convert verify {folder}") from error


def open_records(folder: Path) -> RecordSet:
    """Open a record set after a check of names and sizes; ``verify`` reads every byte.

    Raises:
        RequestError: no record set, or a file that is missing or of another size.
    """
    folder = Path(folder).absolute()
    manifest = read_manifest(folder)
    for shard in manifest.shards:
        for fault in shard.faults(folder):
            raise RequestError(f"{folder}/{fault}; repair it with: python -m convert verify "
                               f"{folder} --repair SOURCE")
    return RecordSet(folder, manifest)
