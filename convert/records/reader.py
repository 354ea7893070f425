"""Opening a record set: the packages that use records read them through this."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Sequence

from common.cli import RequestError
from common.files import PathLike, naming_file, sha256_of_lines
from common.host import open_file_limit, open_files
from common.text import counted, one_line
from convert.records.manifest import Manifest, read_manifest

READERS = 8  # at most: they only fetch encoded images
SPARE_FILES = 64  # that a process may open meanwhile: logs, libraries, sockets


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
    def image_bytes(self) -> int:
        """Return the size of all images as they are stored, encoded."""
        return self.manifest.image_bytes

    @property
    def class_names(self) -> list[str]:
        """Return them in label order."""
        return self.manifest.class_names

    @property
    def class_words(self) -> list[str]:
        """Return what people call them, in label order; empty where the name says it."""
        return [item.words for item in self.manifest.classes]

    @property
    def class_names_sha256(self) -> str:
        """Return their digest, which is equal where labels mean the same."""
        return sha256_of_lines(self.class_names)

    @property
    def files(self) -> list[str]:
        """Return the data files in order, for ``mindspore.dataset.MindDataset``."""
        return [str(self.folder / shard.file) for shard in self.manifest.shards]

    @property
    def sha256(self) -> str:
        """Identify the records by the digests of their shards, wherever they lie."""
        return sha256_of_lines(shard.sha256 for shard in self.manifest.shards)

    def open_files_with(self, readers: int) -> int:
        """Return how many files this process has open while ``MindDataset`` reads with so many
        threads: each opens every data file, and the data set opens each once more."""
        return (readers + 1) * len(self.manifest.shards) + open_files() + SPARE_FILES

    def readers(self, threads: int) -> int:
        """Return the number of threads, 1 to READERS and at most ``threads``, for ``MindDataset``.

        Their number changes neither the order of rows nor the crops, so that it can follow the
        limit on open files.

        Raises:
            RequestError: the limit does not allow even one.
        """
        shards, limit = len(self.manifest.shards), open_file_limit()
        needed = self.open_files_with(1)
        if needed > limit:
            raise RequestError(
                f"reading {self.folder} takes at least {needed:,} open files (2 for each of "
                f"{counted(shards, 'shard')}, {needed - 2 * shards} others), this process may have "
                f"{limit:,}: raise the limit with: ulimit -n {self.open_files_with(READERS)}")
        return min(READERS, threads, 1 + (limit - needed) // shards)

    def stored_rows(self) -> int:
        """Return the number of rows in the data files; raise RequestError if they are damaged."""
        import mindspore.dataset as ds  # takes seconds and 400 MB: not for the other commands
        with self.naming_damage():
            return ds.MindDataset(self.files, columns_list=["label"], shuffle=False,
                                  num_parallel_workers=1).get_dataset_size()

    def rows(self, columns: Sequence[str], sampler: Any = None) -> Iterator[dict[str, Any]]:
        """Yield rows as NumPy values by column, in file order or as a MindSpore ``sampler`` picks.

        Raises:
            RequestError: the files cannot be read.
        """
        import mindspore.dataset as ds
        picking: dict[str, Any] = {"sampler": sampler} if sampler else {"shuffle": False}
        readers = self.readers(os.cpu_count() or 1)
        with self.naming_damage():
            rows = ds.MindDataset(self.files, columns_list=list(columns),
                                  num_parallel_workers=readers, **picking)
            yield from rows.create_dict_iterator(num_epochs=1, output_numpy=True)

    @contextlib.contextmanager
    def naming_damage(self) -> Iterator[None]:
        """Raise RequestError where MindSpore raises RuntimeError (a damaged file) or ValueError (a
        missing one), or OSError (a disk that fails). What the limit on open files stopped looks
        like damage to MindSpore."""
        try:
            yield
        except (RuntimeError, ValueError) as error:
            self.readers(1)
            raise RequestError(
                f"{self.folder} cannot be read ({one_line(error, 200)}); see what is damaged "
                f"with: python -m convert verify {self.folder}") from error
        except OSError:  # from MindSpore's own check of the files, which does not say of which
            for shard in self.manifest.shards:
                for path in (self.folder / shard.file, self.folder / shard.index_file):
                    with naming_file(path), open(path, "rb") as file:
                        file.read(1)
            raise


def open_records(folder: PathLike) -> RecordSet:
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
