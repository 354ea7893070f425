"""Hugging Face's Parquet files of `ILSVRC/imagenet-1k`, read in place.

`data/train-00000-of-00294.parquet` and so on hold rows of `image` {bytes, path} and `label`. Paths
are ImageNet's names with the class at the end: ``n01440764_10026_n01440764.JPEG``.
"""

import contextlib
import importlib.util
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Iterator, Optional, Sequence

from joblib import delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from common.cli import RequestError
from common.files import naming_file, open_regular, read_json, write_json
from common.progress import progress_bar
from common.text import counted
from convert.sources.class_labels import ClassLabels, refuse_twice
from convert.sources.listing import Entry, Scan, ScanOptions, SourceFile, changed
from convert.sources.names import check_utf8, imagenet_name
from convert.sources.parquet_pages import NotFound, NullFound, Place, find_images, read_place
from convert.workers import results_of_workers

HUGGING_FACE_SPLIT = {"train": "train", "val": "validation"}
COLUMNS = ("image.bytes", "image.path", "label")

BYTES_PER_WORKER = 1 << 30  # less is listed before another process has started
LIST_VERSION = 1  # of what is kept of a listing

_PART = r"-(\d{5})-of-(\d{5})\.parquet"


@dataclass(frozen=True)
class Rows:
    """What a file's rows hold, column by column."""

    places: list[int]
    sizes: list[int]  # bytes of the images
    paths: list[str]
    labels: list[int]


def parquet_files(folder: Path, split: str) -> list[Path]:
    """Return the files of the split, in order; empty if there are none."""
    name = re.compile(HUGGING_FACE_SPLIT[split] + _PART)
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if name.fullmatch(path.name))


def scan_parquet(folder: Path, split: str, options: ScanOptions) -> Scan:
    """List the rows as ``<wnid>/<name>``; offsets are places for ``read_place``.

    Workers read a file each, of which they need labels, paths and what says where the images are.
    What they find is kept for a conversion that resumes.

    Raises:
        RequestError: pyarrow or a file is missing, a file is cut or has other columns, a path
            without a class, or labels that are not positions in the sorted classes.
    """
    files = parquet_files(folder, split)
    _check_complete(folder, files)
    scan, labels = Scan([], []), ClassLabels()
    if files:
        require_pyarrow(files[0])
    tasks = [delayed(_listed)(path, options.keep, path == files[0]) for path in files]
    total = sum(path.stat().st_size for path in files)
    jobs = max(1, min(options.workers, len(files), total // BYTES_PER_WORKER))
    try:
        with progress_bar(total >> 20, f"list {split} parquet", "MB") as bar, \
                contextlib.closing(results_of_workers(tasks, n_jobs=jobs)) as results:
            for path, rows in zip(files, results):
                _add(scan, labels, path, rows)
                bar.update(path.stat().st_size >> 20)
    except TerminatedWorkerError as error:
        raise RequestError(f"a worker that listed {folder} was killed "
                           f"({str(error).split('.')[0]}); if memory ran out lower --workers"
                           ) from error
    labels.check(folder)
    refuse_twice(scan.images, folder)
    return scan


def _add(scan: Scan, labels: ClassLabels, path: Path, rows: Rows) -> None:
    columns = zip(rows.places, rows.sizes, rows.paths, rows.labels, strict=True)
    for row, (place, size, image_path, label) in enumerate(columns):
        where = f"{path}, row {row}"
        check_utf8(image_path, path)
        name = imagenet_name(image_path)
        if name is None:
            raise RequestError(f"{where}: path '{image_path}' is not like "
                               "n01440764_10026_n01440764.JPEG; give the files of "
                               "ILSVRC/imagenet-1k")
        labels.add(name.split("/")[0], label, where)
        scan.images.append(SourceFile(name, path.name, place, size))


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
        raise RequestError(f"{folder} has {counted(len(files), 'file')} of {stem}*.parquet, whose "
                           f"names count to {count}: {wrong}; complete the download")


def _listed(path: Path, keep: Optional[Path], compare: bool) -> Rows:
    """Return the rows of a file, from ``keep`` if it was listed as it is now."""
    status = path.stat()
    version = {"version": LIST_VERSION, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
    kept = keep / f"{path.name}.json" if keep else None
    if kept and kept.exists():
        with contextlib.suppress(RequestError, KeyError, TypeError):  # damaged: it is made again
            found = read_json(kept, "")
            if found["file"] == version:
                return Rows(**found["rows"])
    rows = _rows(path, compare)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, {"file": version, "rows": asdict(rows)})
    return rows


def _rows(path: Path, compare: bool) -> Rows:
    """List the rows of a file; ``compare`` says to compare the first images with pyarrow's."""
    rows = Rows([], [], [], [])
    with _opened(path) as file, open_regular(path) as raw:
        os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_RANDOM)  # skip what is not asked for
        column = file.schema.names.index("bytes")
        levels = file.schema.column(column).max_definition_level
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=list(COLUMNS[1:]))
            paths = table.column("image").combine_chunks().field("path").to_pylist()
            labels = table.column("label")
            if None in paths or labels.null_count:
                raise NullFound
            if not all(isinstance(image_path, str) for image_path in paths):
                raise ValueError("its paths are not text")
            stored = file.metadata.row_group(group).column(column)
            places = find_images(raw, stored, levels)
            if group == 0 and compare:
                _compare(file, raw, places)
            rows.places.extend(place for place, _ in places)
            rows.sizes.extend(size for _, size in places)
            rows.paths.extend(paths)
            rows.labels.extend(labels.to_pylist())
            if not len(rows.places) == len(rows.paths) == len(rows.labels):
                raise NotFound("columns of different lengths")
    return rows


def _compare(file: Any, raw: IO[bytes], places: Sequence[Place]) -> None:
    """Compare the images at these places with those that pyarrow reads from the first row group:
    what wrote the file may store them in a way that is not known here."""
    images = file.read_row_group(0, columns=COLUMNS[:1]).column("image").combine_chunks()
    for (place, size), image in zip(places, images.field("bytes")):
        if read_place(raw, place, size) != image.as_py():
            raise NotFound("an image is not where its page should have it")


def require_pyarrow(path: Path) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise RequestError(f"{path}: Parquet needs the package pyarrow: pip install '.[parquet]'")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file whose columns are right; damage that shows in reading it names the file."""
    # Imported here, since few sources need it and every worker would load it.
    import pyarrow
    from pyarrow import parquet
    try:
        with open_regular(path), \
                parquet.ParquetFile(path, page_checksum_verification=True) as file:
            found = {column.path: column.physical_type for column in
                     (file.schema.column(k) for k in range(len(file.schema)))}
            if any(found.get(name) != kind for name, kind in
                   zip(COLUMNS, ("BYTE_ARRAY", "BYTE_ARRAY", "INT64"))):
                raise RequestError(f"{path} has the columns {', '.join(sorted(found))[:80]}; "
                                   f"expected {', '.join(COLUMNS)}, as in ILSVRC/imagenet-1k")
            with naming_file(path):
                yield file
    except NullFound:
        raise RequestError(f"{path} has a row without image, path or label; give the files of "
                           "ILSVRC/imagenet-1k") from None
    except NotFound as error:
        raise RequestError(f"{path}: images cannot be read at their places ({error}); fetch it "
                           "again or, if it is whole, write it again with "
                           "pyarrow.parquet.write_table, whose default is Snappy") from None
    # What a damaged file has in place of a number leads to any of these.
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, StopIteration, RuntimeError,
            TypeError, AttributeError, ArithmeticError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, KeyError):
            reason = f"a page header without its field {reason}"
        raise RequestError(f"{path} is not a whole Parquet file ({reason[:120]}); fetch it "
                           "again") from None


def read_parquet(root: Path, entry: Entry) -> bytes:
    """Return the image's encoded bytes.

    Raises:
        RequestError: the source changed since it was listed.
    """
    try:
        with naming_file(root / entry.container), open_regular(root / entry.container) as file:
            data = read_place(file, entry.offset, entry.size)
    except (ValueError, IndexError):  # what is there now is no Snappy stream
        data = b""
    if len(data) != entry.size:
        raise changed(root, entry)
    return data
