"""Hugging Face's Parquet files of `ILSVRC/imagenet-1k`, read in place.

`data/train-00000-of-00294.parquet` and so on hold rows of `image` {bytes, path} and `label`. Paths
are ImageNet's names with the class at the end: ``n01440764_10026_n01440764.JPEG``. Their pages are
compressed, so an image is no run of bytes of the file: a row group is decoded as a whole.
"""

import contextlib
import importlib.util
import re
from itertools import groupby
from pathlib import Path
from typing import Any, Iterator, Sequence

from common.cli import RequestError, progress_bar
from convert.sources.class_labels import ClassLabels, refuse_twice
from convert.sources.listing import Entry, Scan, SourceFile, changed, check_utf8, imagenet_name

HUGGING_FACE_SPLIT = {"train": "train", "val": "validation"}
COLUMNS = ("image.bytes", "image.path", "label")
BATCH_ROWS = 64  # while listing; ImageNet's images are 0.1 MB each

_PART = r"-(\d{5})-of-(\d{5})\.parquet"


def parquet_files(folder: Path, split: str) -> list[Path]:
    """Return the files of the split, in order; empty if there are none."""
    name = re.compile(HUGGING_FACE_SPLIT[split] + _PART)
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if name.fullmatch(path.name))


def scan_parquet(folder: Path, split: str) -> Scan:
    """List the rows as ``<wnid>/<name>``; offsets are rows of a file.

    Sizes are known only once the images are decoded, so listing reads all files once. Memory is
    bounded by one row group.

    Raises:
        RequestError: pyarrow or a file is missing, a file is cut or has other columns, a path
            without a class, or labels that are not positions in the sorted classes.
    """
    files = parquet_files(folder, split)
    _check_complete(folder, files)
    scan, labels = Scan([], []), ClassLabels()
    total = sum(path.stat().st_size for path in files)
    with progress_bar(total >> 20, f"list {split} parquet", "MB") as bar:
        for path in files:
            for row, (size, image_path, label) in enumerate(_rows(path)):
                where = f"{path}, row {row}"
                check_utf8(image_path, path)
                name = imagenet_name(image_path)
                if name is None:
                    raise RequestError(f"{where}: path '{image_path}' is not like "
                                       "n01440764_10026_n01440764.JPEG; give the files of "
                                       "ILSVRC/imagenet-1k")
                labels.add(name.split("/")[0], label, where)
                scan.images.append(SourceFile(name, path.name, row, size))
            bar.update(path.stat().st_size >> 20)
    labels.check(folder)
    refuse_twice(scan.images, folder)
    return scan


def _check_complete(folder: Path, files: Sequence[Path]) -> None:
    """Raise RequestError unless the files are all that their names count."""
    if not files:
        return
    first = files[0].name
    count = int(first[-len("00000.parquet"):-len(".parquet")])
    stem = first[:-len("00000-of-00000.parquet")]
    expected = [f"{stem}{index:05d}-of-{count:05d}.parquet" for index in range(count)]
    names = [path.name for path in files]
    if names != expected:
        missing = sorted(set(expected) - set(names))
        wrong = f"{missing[0]} is missing" if missing else f"{names[-1]} is one too many"
        raise RequestError(f"{folder} has {len(files)} files of {stem}*.parquet, which count to "
                           f"{count}: {wrong}; complete the download")


def _rows(path: Path) -> Iterator[tuple[int, str, int]]:
    """Yield (bytes of the image, path, label) of each row."""
    with _opened(path) as file:
        from pyarrow import compute
        for batch in file.iter_batches(BATCH_ROWS, columns=list(COLUMNS)):
            image = batch.column("image")
            sizes = compute.binary_length(image.field("bytes"))
            columns = (sizes.to_pylist(), image.field("path").to_pylist(),
                       batch.column("label").to_pylist())
            for size, image_path, label in zip(*columns, strict=True):
                if size is None or image_path is None or label is None:
                    raise RequestError(f"{path} has a row without image, path or label; give the "
                                       "files of ILSVRC/imagenet-1k")
                yield size, image_path, label


def require_pyarrow(path: Path) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise RequestError(f"{path}: Parquet needs the package pyarrow: pip install '.[parquet]'")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file whose columns are right; damage that shows in reading it names the file."""
    require_pyarrow(path)
    # Imported here, since few sources need it and every worker would load it.
    import pyarrow
    from pyarrow import parquet
    try:
        with parquet.ParquetFile(path) as file:
            found = {column.path: column.physical_type for column in
                     (file.schema.column(k) for k in range(len(file.schema)))}
            if any(found.get(name) != kind for name, kind in
                   zip(COLUMNS, ("BYTE_ARRAY", "BYTE_ARRAY", "INT64"))):
                raise RequestError(f"{path} has the columns {', '.join(sorted(found))[:80]}; "
                                   f"expected {', '.join(COLUMNS)}, as in ILSVRC/imagenet-1k")
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RequestError(f"{path} is not a whole Parquet file ({reason[:120]}); fetch it "
                           "again") from None


class ParquetReader:
    """The images of one shard, decoded in the order in which they lie in the files.

    Training images are shuffled over the whole set, so a shard needs images of many row groups,
    and each is decoded for each shard that needs it. Memory: the shard's images and one row group.
    """

    def __init__(self, root: Path, entries: Sequence[Entry]):
        self.root = root
        self._images: dict[tuple[str, int], bytes] = {}
        in_files = sorted(entries, key=lambda entry: (entry.container, entry.offset))
        for container, wanted in groupby(in_files, key=lambda entry: entry.container):
            self._load(container, [entry.offset for entry in wanted])

    def __call__(self, entry: Entry) -> bytes:
        data = self._images.pop((entry.container, entry.offset), b"")
        if len(data) != entry.size:
            raise changed(self.root, entry)
        return data

    def _load(self, container: str, rows: list[int]) -> None:
        with _opened(self.root / container) as file:
            begin = 0
            for group in range(file.num_row_groups):
                end = begin + file.metadata.row_group(group).num_rows
                wanted = [row for row in rows if begin <= row < end]
                if wanted:
                    table = file.read_row_group(group, columns=["image.bytes"])
                    images = table.column("image").combine_chunks().field("bytes")
                    for row in wanted:
                        self._images[container, row] = images[row - begin].as_py() or b""
                begin = end
