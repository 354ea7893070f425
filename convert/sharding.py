"""Dividing a listing into shards: which images, in which order, with which page size."""

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import FrozenSet, List, Optional

from common.cli import RequestError
from convert.images import ImageChecks
from convert.sources.listing import Entry, Listing

SHARD_BYTES = 1 << 30
SHARD_COUNT_STEP = 8  # so that 1, 2, 4 and 8 ranks read equally many files

# A MindRecord file is a header, then pages. With 16 MB and 32 MB, MindSpore's defaults, a 1 GB
# shard is 5.3 % larger than its images. 1 MB lists the pages of a shard of 20 GB.
HEADER_BYTES = 1 << 20
PAGE_STEP_BYTES = 4 << 20
MAX_PAGE_BYTES = 256 << 20  # what MindSpore's FileWriter.set_page_size allows
# A page must hold the largest image, and a repaired one (CMYK, PNG) may grow.
PAGE_BYTES_PER_IMAGE_BYTE = 2


@dataclass(frozen=True)
class ShardPlan:
    """All that a worker needs to build one shard."""

    index: int
    file: str
    root: Path
    entries: List[Entry]
    blacklisted: FrozenSet[int]  # those of its entries' ids
    page_bytes: int
    checks: ImageChecks


def default_shard_count(listing: Listing) -> int:
    """Shards of about 1 GB, a multiple of 8; never more shards than images."""
    total = sum(entry.size for entry in listing.entries)
    steps = max(1, round(total / SHARD_BYTES / SHARD_COUNT_STEP))
    return min(steps * SHARD_COUNT_STEP, len(listing.entries))


def ordered_entries(listing: Listing, seed: int) -> List[Entry]:
    """Validation keeps its order; training is one seeded permutation of the sorted list.

    ``random.Random`` keeps its sequence between Python versions for ``random()``, which is all
    that is used here.
    """
    if listing.split == "val":
        return listing.entries
    draw = random.Random(seed).random
    keys = [draw() for _ in listing.entries]
    return [listing.entries[k] for k in sorted(range(len(keys)), key=keys.__getitem__)]


def plan_shards(listing: Listing, shards: Optional[int], seed: int, blacklist_ids: FrozenSet[int],
                checks: ImageChecks) -> List[ShardPlan]:
    """Cut the ordered entries into consecutive runs whose lengths differ by one at the most.

    Raises:
        RequestError: more shards than images, or an image too large for any page.
    """
    total = len(listing.entries)
    count = default_shard_count(listing) if shards is None else shards
    if not 1 <= count <= min(total, 99_999):
        raise RequestError(f"--shards {count}: {total} images can be cut into 1 to "
                           f"{min(total, 99_999)} shards")
    entries = ordered_entries(listing, seed)
    page_bytes = _page_bytes(listing)
    plans = []
    for index in range(count):
        part = entries[total * index // count:total * (index + 1) // count]
        plans.append(ShardPlan(
            index=index, file=f"{listing.split}-{index:05d}-of-{count:05d}.mindrecord",
            root=listing.root, entries=part,
            blacklisted=frozenset(e.image_id for e in part if e.image_id in blacklist_ids),
            page_bytes=page_bytes, checks=checks))
    return plans


def _page_bytes(listing: Listing) -> int:
    """One size for all shards: MindSpore opens no files together that differ in it."""
    largest = max(listing.entries, key=lambda entry: entry.size)
    steps = math.ceil(PAGE_BYTES_PER_IMAGE_BYTE * largest.size / PAGE_STEP_BYTES)
    page = PAGE_STEP_BYTES * max(1, steps)
    if page > MAX_PAGE_BYTES:
        raise RequestError(f"{listing.root / largest.container}: image of {largest.size} bytes "
                           "is too large for a MindRecord page; remove or shrink it")
    return page
