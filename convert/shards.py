"""Building one shard, in a worker process: read, check, write, count, digest, make durable.

MindSpore is imported inside the functions: only workers need it, and the parent process stays
small and quick to start.
"""

import contextlib
import dataclasses
import errno
import json
import os
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List

from common import RequestError, sha256_of_file, write_json
from common.files import fsync_folder, make_durable
from convert.listing import Entry, read_entry
from convert.manifest import Remark, Shard
from convert.pictures import BadPicture, check_picture
from convert.planning import HEADER_BYTES, ShardPlan

SCHEMA = {
    "image": {"type": "bytes"},
    "label": {"type": "int32"},
    "file_name": {"type": "string"},
    "image_id": {"type": "int32"},
    "blacklisted": {"type": "int32"},
}
# Without add_index every scalar field is indexed, file names included.
INDEXED_FIELDS = ["label", "image_id"]

ROWS_PER_WRITE = 64  # from 16 on, FileWriter is bound by copying

REPORT_NAME = "report.json"


@dataclass(frozen=True)
class ShardReport:
    """What a finished shard holds. ``bad`` pictures are not in it."""

    shard: Shard
    picture_bytes: int
    shrunk: int  # pictures
    bytes_saved: int  # by shrinking them
    repaired: List[Remark]
    bad: List[Remark]

    @staticmethod
    def read(path: Path) -> "ShardReport":
        fields = json.loads(path.read_text(encoding="utf-8"))
        return ShardReport(
            shard=Shard(**fields.pop("shard")),
            repaired=[Remark(**item) for item in fields.pop("repaired")],
            bad=[Remark(**item) for item in fields.pop("bad")], **fields)


def build_shard(plan: ShardPlan, building: Path, keep_bad: bool) -> ShardReport:
    """Build the shard of ``plan`` as folder ``building/<index>``, complete or not at all.

    Args:
        keep_bad: finish the shard without its bad pictures; otherwise only report them.

    Raises:
        RequestError: the source changed, or a disk or permission error, naming the file.
    """
    finished = finished_folder(building, plan.index)
    temporary = finished.with_name(f"{finished.name}.{unfinished_suffix()}")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed process with our number
    temporary.mkdir()
    try:
        report = _write(plan, temporary)
        if report.bad and not keep_bad:
            return report
        write_json(temporary / REPORT_NAME, dataclasses.asdict(report))
        _move_if_first(temporary, finished)
        return report
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_if_first(temporary: Path, finished: Path) -> None:
    """Another host may have built the shard at the same time: then its files, the same, stay."""
    try:
        os.replace(temporary, finished)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    fsync_folder(finished.parent)


def finished_folder(building: Path, index: int) -> Path:
    return building / f"{index:05d}"


def unfinished_suffix() -> str:
    """Ends the name of what this process is making; no other process on any host has the same."""
    return f"{socket.gethostname()}.{os.getpid()}.tmp"


def _write(plan: ShardPlan, folder: Path) -> ShardReport:
    rows = _Rows(plan)
    data_file = folder / plan.file
    with _mindrecord_errors(data_file):
        writer = _open_writer(data_file, plan.page_bytes)
        for batch in rows.batches():
            writer.write_raw_data(batch)
        writer.commit()
    _check_count(data_file, rows.stored)
    return ShardReport(_close_shard(data_file, rows.stored), rows.picture_bytes, rows.shrunk,
                       rows.bytes_saved, rows.repaired, rows.bad)


class _Rows:
    """The rows of a shard in order, and what was found while reading them."""

    def __init__(self, plan: ShardPlan) -> None:
        self._plan = plan
        self.stored = 0
        self.picture_bytes = 0
        self.shrunk = 0
        self.bytes_saved = 0
        self.repaired: List[Remark] = []
        self.bad: List[Remark] = []

    def batches(self) -> Iterator[List[Dict]]:
        batch = []
        for entry in self._plan.entries:
            try:
                batch.append(self._row(entry))
            except BadPicture as reason:
                self.bad.append(Remark(entry.file_name, str(reason)))
            if len(batch) == ROWS_PER_WRITE:
                yield batch
                batch = []
        if batch:
            yield batch

    def _row(self, entry: Entry) -> Dict:
        data = read_entry(self._plan.root, entry)
        picture = check_picture(data, self._plan.treatment)
        if picture.repaired:
            self.repaired.append(Remark(entry.file_name, picture.repaired))
        if picture.shrunk:
            self.shrunk += 1
            self.bytes_saved += len(data) - len(picture.data)
        self.stored += 1
        self.picture_bytes += len(picture.data)
        return {"image": picture.data, "label": entry.label, "file_name": entry.file_name,
                "image_id": entry.image_id,
                "blacklisted": int(entry.image_id in self._plan.blacklisted)}


def _open_writer(data_file: Path, page_bytes: int):
    from mindspore.mindrecord import FileWriter
    writer = FileWriter(str(data_file), shard_num=1)
    writer.set_header_size(HEADER_BYTES)
    writer.set_page_size(page_bytes)
    writer.add_schema(SCHEMA, "ImageNet pictures")
    writer.add_index(INDEXED_FIELDS)
    return writer


def _check_count(data_file: Path, expected: int) -> None:
    """Count what was stored: FileWriter drops rows that fail the schema with a mere warning."""
    from mindspore.mindrecord import FileReader
    reader = FileReader(str(data_file))
    stored = reader.len()
    reader.close()
    if stored != expected:
        raise RuntimeError(f"{data_file} holds {stored} rows, {expected} were written")


def _close_shard(data_file: Path, images: int) -> Shard:
    """Make data and index file durable and readable as umask says (MindSpore makes them 0600)."""
    index_file = data_file.with_name(f"{data_file.name}.db")
    with ThreadPoolExecutor(1) as beside:  # the disk writes what the processor digests
        durable = [beside.submit(make_durable, path) for path in (data_file, index_file)]
        shard = Shard(data_file.name, images,
                      data_file.stat().st_size, sha256_of_file(data_file),
                      index_file.stat().st_size, sha256_of_file(index_file))
        for done in durable:
            done.result()
    return shard


@contextlib.contextmanager
def _mindrecord_errors(data_file: Path) -> Iterator[None]:
    """MindSpore reports a full disk and the like as RuntimeError: say which file it was."""
    try:
        yield
    except RuntimeError as error:
        raise RequestError(f"{data_file} could not be written ({_cause(error)}); check the room "
                           "and the permissions of the output disk, then run the same command "
                           "again") from error


def _cause(error: RuntimeError) -> str:
    """The line of MindSpore's message that tells it, which stands amid headings and rulers."""
    lines = str(error).strip().splitlines()
    told = [line.removeprefix("[ERROR]").strip() for line in lines if line.startswith("[ERROR]")]
    return (told or lines)[0]
