"""Building one shard, in a worker process: read, check, write, count, digest, make durable."""

import contextlib
from pathlib import Path
from typing import Any, Dict, Iterator, List

from common.files import make_durable, sha256_of_file
from convert.images import BadImage, check_image
from convert.mindrecord.record_layout import RecordFormat, RecordLayout
from convert.mindrecord.writer import RecordWriter, Written, naming_file
from convert.records.manifest import FileNote, Shard
from convert.sharding import HEADER_BYTES, ShardPlan
from convert.sources.listing import Entry, read_entry
from convert.workspace import ShardReport, Workspace

SCHEMA = {
    "image": {"type": "bytes"},
    "label": {"type": "int32"},
    "file_name": {"type": "string"},
    "image_id": {"type": "int32"},
    "blacklisted": {"type": "int32"},
}

# In the header of every data file: other words would change the digests of all record sets.
DESCRIPTION = "ImageNet pictures"


def build_shard(plan: ShardPlan, workspace: Workspace, keep_bad: bool) -> ShardReport:
    """Build the shard of ``plan`` in the workspace, complete or not at all.

    Args:
        keep_bad: finish the shard without its bad images; otherwise only report them.

    Raises:
        RequestError: the source changed, or a disk or permission error, naming the file.
    """
    with workspace.unfinished_folder(plan.index) as folder:
        report = _write(plan, folder)
        if keep_bad or not report.bad:
            workspace.keep(plan.index, folder, report)
        return report


def _write(plan: ShardPlan, folder: Path) -> ShardReport:
    rows = _Rows(plan)
    data_file = folder / plan.file
    form = RecordFormat(SCHEMA, DESCRIPTION, ("label", "image_id"), "file_name",
                        HEADER_BYTES, plan.page_bytes)
    with contextlib.closing(RecordWriter(data_file, form, _header_as_planned(plan, form)
                                         )) as writer:
        for row in rows:
            writer.append(row)
        written = writer.finish()
    if not written.rows == rows.stored == len(plan.entries) - len(rows.bad):
        raise RuntimeError(f"{data_file} holds {written.rows} rows; of {len(plan.entries)} images"
                           f" {rows.stored} were to be stored and {len(rows.bad)} left out")
    return ShardReport(_close_shard(data_file, written), rows.image_bytes, rows.shrunk,
                       rows.bytes_saved, rows.repaired, rows.bad)


def _header_as_planned(plan: ShardPlan, form: RecordFormat) -> bytes:
    """Return the header that the shard has if each image is stored as it is."""
    layout = RecordLayout(plan.file, form)
    for entry in plan.entries:
        layout.add(entry.size, _fields(plan, entry))
    return layout.header()


def _fields(plan: ShardPlan, entry: Entry) -> Dict[str, Any]:
    """Return a row without its image."""
    return {"label": entry.label, "file_name": entry.file_name, "image_id": entry.image_id,
            "blacklisted": int(entry.image_id in plan.blacklisted)}


class _Rows:
    """The rows of a shard in order, and what was found while reading them."""

    def __init__(self, plan: ShardPlan) -> None:
        self._plan = plan
        self.stored = 0
        self.image_bytes = 0
        self.shrunk = 0
        self.bytes_saved = 0
        self.repaired: List[FileNote] = []
        self.bad: List[FileNote] = []

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        for entry in self._plan.entries:
            try:
                yield self._row(entry)
            except BadImage as reason:
                self.bad.append(FileNote(entry.file_name, str(reason)))

    def _row(self, entry: Entry) -> Dict[str, Any]:
        data = read_entry(self._plan.root, entry)
        image = check_image(data, self._plan.checks)
        if image.repaired:
            self.repaired.append(FileNote(entry.file_name, image.repaired))
        if image.shrunk:
            self.shrunk += 1
            self.bytes_saved += len(data) - len(image.data)
        self.stored += 1
        self.image_bytes += len(image.data)
        return {"image": image.data, **_fields(self._plan, entry)}


def _close_shard(data_file: Path, written: Written) -> Shard:
    """Make both files durable, with the mode that umask says, which SQLite ignores."""
    index_file = data_file.with_name(f"{data_file.name}.db")
    for path in (data_file, index_file):
        with naming_file(path):
            make_durable(path)
    return Shard(data_file.name, written.rows, data_file.stat().st_size, written.sha256,
                 index_file.stat().st_size, sha256_of_file(index_file))
