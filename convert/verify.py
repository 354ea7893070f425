"""Checking a record set against its manifest, every byte of it."""

from collections import Counter
from pathlib import Path
from typing import Iterator, List, Tuple

from joblib import Parallel, delayed

from common.cli import CheckFailed, progress_bar
from common.files import sha256_of_file
from convert.images import BadImage, ImageChecks, check_image
from convert.records.manifest import Manifest, RowsDigest, Shard, read_manifest


def verify(folder: Path, deep: bool = False, workers: int = 1) -> Manifest:
    """Compare every file and every row with the manifest.

    Args:
        deep: also decode every image.

    Raises:
        CheckFailed: names every damaged shard and what is wrong with it.
        RequestError: there is no manifest to compare with.
    """
    manifest = read_manifest(folder)
    faults = [fault for found in damaged_shards(folder, manifest, workers).values()
              for fault in found] + _unexpected_files(folder, manifest)
    if not faults:
        faults = list(_wrong_rows(folder, manifest))
    if not faults and deep:
        faults = _undecodable(folder, manifest, workers)
    if faults:
        raise CheckFailed(f"{folder}: " + "; ".join(faults) + "; repair its shards from the images "
                          "with --repair SOURCE, or convert again")
    return manifest


def damaged_shards(folder: Path, manifest: Manifest, workers: int) -> dict[int, list[str]]:
    """Return what is wrong with each damaged shard, by its index, in ascending order."""
    # Threads are enough, since hashing releases the GIL.
    checks = Parallel(n_jobs=workers, prefer="threads", return_as="generator")(
        delayed(_file_faults)(folder, shard) for shard in manifest.shards)
    damaged = {}
    with progress_bar(len(manifest.shards), "verify files", "shards") as bar:
        for index, faults in enumerate(checks):
            if faults:
                damaged[index] = faults
            bar.update(1)
    return damaged


def _unexpected_files(folder: Path, manifest: Manifest) -> List[str]:
    expected = {name for shard in manifest.shards for name in (shard.file, shard.index_file)}
    found = {path.name for path in folder.glob("*.mindrecord*")}
    return [f"{name} is not in the manifest (remove it)" for name in sorted(found - expected)]


def _file_faults(folder: Path, shard: Shard) -> List[str]:
    expected = ((shard.file, shard.bytes, shard.sha256),
                (shard.index_file, shard.index_bytes, shard.index_sha256))
    faults = []
    for name, size, sha256 in expected:
        path = folder / name
        if not path.exists():
            faults.append(f"{name} is missing")
        elif path.stat().st_size != size:
            faults.append(f"{name} has {path.stat().st_size} bytes instead of {size}")
        elif sha256_of_file(path) != sha256:
            faults.append(f"{name} has changed (its sha256 differs)")
    return faults


def _wrong_rows(folder: Path, manifest: Manifest) -> Iterator[str]:
    rows, flagged = RowsDigest(), 0
    per_class: Counter[int] = Counter()
    with progress_bar(manifest.images, "verify rows", "images") as bar:
        for shard in manifest.shards:
            count = 0
            for image_id, label, blacklisted in _scalars(folder / shard.file):
                rows.add(image_id, label, blacklisted)
                per_class[label] += 1
                flagged += blacklisted
                count += 1
            bar.update(count)
            if count != shard.images:
                yield f"{shard.file} holds {count} rows instead of {shard.images}"
    for label, item in enumerate(manifest.classes):
        if per_class[label] != item.images:
            yield f"class {item.name} has {per_class[label]} images instead of {item.images}"
    if rows.sha256() != manifest.rows_sha256:
        yield "ids, labels or blacklist flags differ from the manifest"
    if flagged != (manifest.blacklist.images if manifest.blacklist else 0):
        yield f"{flagged} images are marked as blacklisted, the manifest says otherwise"


def _scalars(data_file: Path) -> Iterator[Tuple[int, int, int]]:
    from mindspore.mindrecord import FileReader
    reader = FileReader(str(data_file), columns=["image_id", "label", "blacklisted"])
    try:
        for row in reader.get_next():
            yield int(row["image_id"]), int(row["label"]), int(row["blacklisted"])
    finally:
        reader.close()


def _undecodable(folder: Path, manifest: Manifest, workers: int) -> List[str]:
    checks = Parallel(n_jobs=workers, return_as="generator")(
        delayed(_undecodable_in)(folder / shard.file) for shard in manifest.shards)
    faults = []
    with progress_bar(manifest.images, "verify images", "images") as bar:
        for shard, found in zip(manifest.shards, checks):
            faults += found
            bar.update(shard.images)
    return faults


def _undecodable_in(data_file: Path) -> List[str]:
    from mindspore.mindrecord import FileReader
    reader = FileReader(str(data_file), columns=["image", "file_name"])
    faults = []
    for row in reader.get_next():
        try:
            check_image(bytes(row["image"]), ImageChecks())
        except BadImage as reason:
            faults.append(f"{data_file.name}: {row['file_name']}: {reason}")
    reader.close()
    return faults
