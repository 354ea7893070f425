"""A blacklist for records that were converted without one: image ids decide, not positions."""

from dataclasses import replace
from pathlib import Path
from typing import Optional

import numpy as np

from blacklist.ids import Blacklist, load_blacklist
from common.cli import RequestError
from convert.records.reader import RecordSet
from convert.sources.listing import validation_id
from evaluate.predictions import Predictions


def blacklist_for(records: RecordSet, path: Optional[Path]) -> Optional[Blacklist]:
    """Return the blacklist at ``path``, checked against the ids of all rows; None without a path.

    Raises:
        RequestError: the records' ids are not numbers of validation images, an id is repeated,
            the list has an id that is not among them, or they were converted with another list.
    """
    if path is None:
        return None
    ids = _validation_ids(records, path)
    rejected = {validation_id(_base_name(remark.file_name)) or 0 for remark in
                records.manifest.rejected}
    blacklist = load_blacklist(path, max(ids | rejected))
    earlier = records.manifest.blacklist
    if earlier and earlier.sha256 != blacklist.sha256:
        raise RequestError(f"{records.folder} was converted with another blacklist (sha256 "
                           f"{earlier.sha256[:12]}) than {path} ({blacklist.sha256[:12]}); leave "
                           "--blacklist out or convert again")
    unknown = sorted(blacklist.ids - ids - rejected)
    if unknown:
        raise RequestError(f"{path} lists image id {unknown[0]}, which is not in {records.folder} "
                           f"({len(unknown):,} such ids): it belongs to another validation set")
    return blacklist


def mark(predictions: Predictions, blacklist: Optional[Blacklist]) -> Predictions:
    """Return the predictions with the list's flags; unchanged where there is no list."""
    if blacklist is None:
        return predictions
    listed = np.isin(predictions.image_id, np.fromiter(blacklist.ids, np.int32))
    return replace(predictions, blacklisted=listed)


def _validation_ids(records: RecordSet, path: Path) -> set[int]:
    """Return the ids of all rows, if they are the numbers in the names of validation images."""
    ids = set()
    for row in records.rows(["image_id", "file_name"]):
        image_id, name = int(row["image_id"]), str(row["file_name"])
        if records.split != "val" or validation_id(_base_name(name)) != image_id:
            raise RequestError(f"{path} lists validation images by number, but the image ids of "
                               f"{records.folder} ({records.split}) are positions ('{name}' has "
                               f"{image_id}); leave --blacklist out or give a validation set")
        if image_id in ids:
            raise RequestError(f"{records.folder} has image id {image_id} more than once; see "
                               f"what is damaged with: python -m convert verify {records.folder}")
        ids.add(image_id)
    return ids


def _base_name(file_name: str) -> str:
    return file_name.rsplit("/", 1)[-1]
