"""The data sheet of the record sets: counts, repaired and rejected files, digests."""

import statistics

from convert.records.manifest import MANIFEST_NAME
from convert.records.reader import RecordSet
from evaluate.report.blocks import Block, LeftOut, Table
from evaluate.report.inputs import Inputs
from evaluate.report.translations import Translate

FILES_SHOWN = 50


def data_section(inputs: Inputs, t: Translate) -> list[Block]:
    if not inputs.record_sets:
        raise LeftOut(t("no record set was found; give them with --records."))
    blocks: list[Block] = []
    for records in inputs.record_sets.values():
        blocks += [_counts(records, t), _digests(records, t), *_files(records, t),
                   _shards(records, t)]
    return blocks


def _counts(records: RecordSet, t: Translate) -> Table:
    manifest = records.manifest
    per_class = [item.images for item in manifest.classes]
    file_bytes = sum(shard.bytes + shard.index_bytes for shard in manifest.shards)
    check, blacklist = manifest.ilsvrc, manifest.blacklist
    files = (manifest.repaired, manifest.rejected, manifest.ignored)
    rows = [
        [t("images"), f"{manifest.images:,}"],
        [t("classes"), f"{len(per_class):,}"],
        [t("images per class: min, median, max"),
         f"{min(per_class):,} / {statistics.median(per_class):,g} / {max(per_class):,}"],
        [t("shards"), f"{len(manifest.shards):,}"],
        [t("bytes of images, of files"), f"{manifest.image_bytes:,} / {file_bytes:,}"],
        [t("images shrunk, bytes saved"), f"{manifest.shrunk:,} / {manifest.bytes_saved:,}"],
        [t("layout of the source"), manifest.layout],
        [t("random seed of the order"), f"{manifest.seed}"],
        *([] if not (blacklist or manifest.has_ilsvrc_names) else [
            [t("blacklist: ids, stored images flagged"),
             f"{blacklist.ids:,} / {blacklist.images:,}" if blacklist else t("none")],
            [t("ILSVRC2012's validation set"),
             t("yes") if check and check.labels and check.class_names else t("no")]]),
        [t("files repaired, rejected, ignored"), " / ".join(f"{len(kind):,}" for kind in files)]]
    return Table([t("what"), t("value")], rows,
                 t("{folder} ({split})", folder=records.folder, split=manifest.split))


def _digests(records: RecordSet, t: Translate) -> Table:
    manifest = records.manifest
    rows = [[t("sha256 of the shards"), records.sha256],
            [t("sha256 of the source listing"), manifest.source_sha256],
            [t("sha256 of the rows"), manifest.rows_sha256],
            [t("sha256 of the class names"), records.class_names_sha256]]
    if manifest.blacklist:
        rows.append([t("sha256 of the blacklist"), manifest.blacklist.sha256])
    return Table([t("what"), t("value")], rows, t("Digests of {folder}", folder=records.folder),
                 left=(0, 1), code=(1,), folded=True)


def _files(records: RecordSet, t: Translate) -> list[Block]:
    manifest = records.manifest
    rows = [[note.file_name, t("rejected"), note.reason] for note in manifest.rejected]
    rows += [[note.file_name, t("repaired"), note.reason] for note in manifest.repaired]
    rows += [[name, t("ignored"), t("not an image by its name or place")]
             for name in manifest.ignored]
    if not rows:
        return []
    blocks: list[Block] = [Table(
        [t(head) for head in ("file", "action", "reason")], rows[:FILES_SHOWN],
        t("Repaired, rejected and ignored files of {folder}", folder=records.folder),
        left=(0, 1, 2))]
    if len(rows) > FILES_SHOWN:
        blocks.append(t("More files are listed in {path}: {count}.",
                        count=f"{len(rows) - FILES_SHOWN:,}",
                        path=records.folder / MANIFEST_NAME))
    return blocks


def _shards(records: RecordSet, t: Translate) -> Table:
    rows = [[shard.file, f"{shard.images:,}", f"{shard.bytes:,}", shard.sha256]
            for shard in records.manifest.shards]
    heads = [t("file"), t("images"), t("bytes"), "sha256"]
    return Table(heads, rows, t("Shards of {folder}", folder=records.folder), left=(0, 3),
                 code=(3,), folded=True)
