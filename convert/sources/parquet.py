"""Hugging Face's Parquet files of `ILSVRC/imagenet-1k`, read in place.

`data/train-00000-of-00294.parquet` and so on hold rows of `image` {bytes, path} and `label`. Paths
are ImageNet's names with the class at the end: ``n01440764_10026_n01440764.JPEG``.
"""

import contextlib
import importlib.util
import re
from pathlib import Path
from typing import Any, Iterator, Sequence

from common.cli import RequestError, progress_bar
from convert.sources.class_labels import ClassLabels, refuse_twice
from convert.sources.listing import Entry, Scan, SourceFile, changed, check_utf8, imagenet_name
from convert.sources.parquet_pages import NotFound, find_images, read_place

HUGGING_FACE_SPLIT = {"train": "train", "val": "validation"}
COLUMNS = ("image.bytes", "image.path", "label")

_PART = r"-(\d{5})-of-(\d{5})\.parquet"


def parquet_files(folder: Path, split: str) -> list[Path]:
    """Return the files of the split, in order; empty if there are none."""
    name = re.compile(HUGGING_FACE_SPLIT[split] + _PART)
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if name.fullmatch(path.name))


def scan_parquet(folder: Path, split: str) -> Scan:
    """List the rows as ``<wnid>/<name>``; offsets are places for ``read_place``.

    Sizes and places are known only once the images are decoded, so listing reads all files once.
    It needs the memory of a few copies of one row group, and reading that of one image.

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
            for row, (place, size, image_path, label) in enumerate(_rows(path)):
                where = f"{path}, row {row}"
                check_utf8(image_path, path)
                name = imagenet_name(image_path)
                if name is None:
                    raise RequestError(f"{where}: path '{image_path}' is not like "
                                       "n01440764_10026_n01440764.JPEG; give the files of "
                                       "ILSVRC/imagenet-1k")
                labels.add(name.split("/")[0], label, where)
                scan.images.append(SourceFile(name, path.name, place, size))
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


def _rows(path: Path) -> Iterator[tuple[int, int, str, int]]:
    """Yield (place, bytes of the image, path, label) of each row."""
    with _opened(path) as file, open(path, "rb", buffering=0) as raw:
        column = file.schema.names.index("bytes")
        levels = file.schema.column(column).max_definition_level
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=list(COLUMNS))
            image, labels = table.column("image").combine_chunks(), table.column("label")
            images, paths = image.field("bytes"), image.field("path").to_pylist()
            if images.null_count or None in paths or labels.null_count or image.null_count:
                raise RequestError(f"{path} has a row without image, path or label; give the "
                                   "files of ILSVRC/imagenet-1k")
            stored = file.metadata.row_group(group).column(column)
            places = find_images(raw, stored, levels, (item.as_py() for item in images))
            for place, item, image_path, label in zip(places, images, paths, labels.to_pylist(),
                                                      strict=True):
                yield place, len(item.as_buffer()), image_path, label


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
    except NotFound as error:
        raise RequestError(f"{path}: images cannot be read at their places ({error}); write it "
                           "again with pyarrow.parquet.write_table, whose default is Snappy"
                           ) from None
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, StopIteration,
            RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RequestError(f"{path} is not a whole Parquet file ({reason[:120]}); fetch it "
                           "again") from None


def read_parquet(root: Path, entry: Entry) -> bytes:
    """Return the image's encoded bytes.

    Raises:
        RequestError: the source changed since it was listed.
    """
    try:
        with open(root / entry.container, "rb", buffering=0) as file:
            data = read_place(file, entry.offset, entry.size)
    except (ValueError, IndexError):  # what is there now is no Snappy stream
        data = b""
    if len(data) != entry.size:
        raise changed(root, entry)
    return data
