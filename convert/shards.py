"""Building one shard, in a worker process: read, check, write, count, digest, make durable."""

import contextlib
import dataclasses
import errno
import json
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List

from common import sha256_of_file, write_json
from common.files import fsync_folder, make_durable
from convert.listing import Entry, read_entry
from convert.manifest import Remark, Shard
from convert.pictures import BadPicture, check_picture
from convert.planning import HEADER_BYTES, ShardPlan
from convert.record_layout import Layout, RecordFormat
from convert.record_writer import RecordWriter, Written, errors_named

SCHEMA = {
    "image": {"type": "bytes"},
    "label": {"type": "int32"},
    "file_name": {"type": "string"},
    "image_id": {"type": "int32"},
    "blacklisted": {"type": "int32"},
}

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
    form = RecordFormat(SCHEMA, "ImageNet pictures", ("label", "image_id"), "file_name",
                        HEADER_BYTES, plan.page_bytes)
    with contextlib.closing(RecordWriter(data_file, form, _header_as_planned(plan, form)
                                         )) as writer:
        for row in rows:
            writer.append(row)
        written = writer.finish()
    if not written.rows == rows.stored == len(plan.entries) - len(rows.bad):
        raise RuntimeError(f"{data_file} holds {written.rows} rows; of {len(plan.entries)} pictures"
                           f" {rows.stored} were to be stored and {len(rows.bad)} left out")
    return ShardReport(_close_shard(data_file, written), rows.picture_bytes, rows.shrunk,
                       rows.bytes_saved, rows.repaired, rows.bad)


def _header_as_planned(plan: ShardPlan, form: RecordFormat) -> bytes:
    """Of the shard if each picture is stored as it is."""
    layout = Layout(plan.file, form)
    for entry in plan.entries:
        layout.add(entry.size, _fields(plan, entry))
    return layout.header()


def _fields(plan: ShardPlan, entry: Entry) -> Dict[str, Any]:
    """A row without its picture."""
    return {"label": entry.label, "file_name": entry.file_name, "image_id": entry.image_id,
            "blacklisted": int(entry.image_id in plan.blacklisted)}


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

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        for entry in self._plan.entries:
            try:
                yield self._row(entry)
            except BadPicture as reason:
                self.bad.append(Remark(entry.file_name, str(reason)))

    def _row(self, entry: Entry) -> Dict[str, Any]:
        data = read_entry(self._plan.root, entry)
        picture = check_picture(data, self._plan.treatment)
        if picture.repaired:
            self.repaired.append(Remark(entry.file_name, picture.repaired))
        if picture.shrunk:
            self.shrunk += 1
            self.bytes_saved += len(data) - len(picture.data)
        self.stored += 1
        self.picture_bytes += len(picture.data)
        return {"image": picture.data, **_fields(self._plan, entry)}


def _close_shard(data_file: Path, written: Written) -> Shard:
    """Make both files durable and of the mode that umask says, which SQLite does not heed."""
    index_file = data_file.with_name(f"{data_file.name}.db")
    for path in (data_file, index_file):
        with errors_named(path):
            make_durable(path)
    return Shard(data_file.name, written.rows, data_file.stat().st_size, written.sha256,
                 index_file.stat().st_size, sha256_of_file(index_file))
