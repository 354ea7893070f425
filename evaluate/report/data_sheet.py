"""What the record sets hold: counts, repaired and rejected files, digests."""

import statistics
from typing import Union

from convert.records.manifest import MANIFEST_NAME, Manifest
from convert.records.reader import RecordSet
from evaluate.report.content import Block, Missing, Section, Table
from evaluate.report.inputs import Inputs
from evaluate.report.texts import Translate

REMARKS = 50  # files that are named


def data_section(inputs: Inputs, say: Translate) -> Union[Section, Missing]:
    if not inputs.record_sets:
        return Missing(say("data.title"), say("data.missing"))
    blocks = []
    for records in inputs.record_sets.values():
        blocks += [_counts(records, say), _digests(records, say), *_remarks(records, say),
                   _shards(records, say)]
    return Section("data", say("data.title"), blocks)


def _counts(records: RecordSet, say: Translate) -> Table:
    manifest = records.manifest
    per_class = [item.images for item in manifest.classes]
    file_bytes = sum(shard.bytes + shard.index_bytes for shard in manifest.shards)
    values = {
        "images": f"{manifest.images:,}",
        "classes": f"{len(per_class):,}",
        "per_class": f"{min(per_class):,} / {statistics.median(per_class):,g} / "
                     f"{max(per_class):,}",
        "shards": f"{len(manifest.shards):,}",
        "bytes": f"{manifest.image_bytes:,} / {file_bytes:,}",
        "shrunk": f"{manifest.shrunk:,} / {manifest.bytes_saved:,}",
        "layout": manifest.layout,
        "seed": f"{manifest.seed}",
        "blacklist": _blacklist(manifest, say),
        "ilsvrc": say("yes") if manifest.ilsvrc and manifest.ilsvrc.labels
        and manifest.ilsvrc.class_names else say("no"),
        "remarks": " / ".join(f"{len(files):,}" for files in (
            manifest.repaired, manifest.rejected, manifest.ignored))}
    caption = say("data.caption", folder=records.folder, split=manifest.split)
    return Table([say("what"), say("value")],
                 [[say(f"data.{key}"), value] for key, value in values.items()], caption)


def _blacklist(manifest: Manifest, say: Translate) -> str:
    if manifest.blacklist is None:
        return say("data.no_blacklist")
    return f"{manifest.blacklist.ids:,} / {manifest.blacklist.images:,}"


def _digests(records: RecordSet, say: Translate) -> Table:
    manifest = records.manifest
    values = {"records": records.sha256, "source": manifest.source_sha256,
              "rows": manifest.rows_sha256, "classes": records.class_names_sha256}
    if manifest.blacklist:
        values["blacklist"] = manifest.blacklist.sha256
    return Table([say("what"), say("value")],
                 [[say(f"data.{key}_digest"), value] for key, value in values.items()],
                 left=(0, 1), code=(1,))


def _remarks(records: RecordSet, say: Translate) -> list[Block]:
    manifest = records.manifest
    rows = [[remark.file_name, say(f"data.{kind}"), remark.reason]
            for kind in ("rejected", "repaired") for remark in getattr(manifest, kind)]
    rows += [[name, say("data.ignored"), say("data.not_image")] for name in manifest.ignored]
    if not rows:
        return []
    blocks: list[Block] = [Table(
        [say(key) for key in ("data.file", "data.state", "data.reason")], rows[:REMARKS],
        say("data.files", folder=records.folder), left=(0, 1, 2))]
    if len(rows) > REMARKS:
        blocks.append(say("data.more", count=f"{len(rows) - REMARKS:,}",
                          path=records.folder / MANIFEST_NAME))
    return blocks


def _shards(records: RecordSet, say: Translate) -> Table:
    rows = [[shard.file, f"{shard.images:,}", f"{shard.bytes:,}", shard.sha256]
            for shard in records.manifest.shards]
    heads = [say("data.file"), say("images"), say("data.shard_bytes"), "sha256"]
    return Table(heads, rows, say("data.shard_table", folder=records.folder), left=(0, 3),
                 code=(3,), folded=True)
