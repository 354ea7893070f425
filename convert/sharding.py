"""Planning a conversion before an image is read: its images, their order, its shards."""

import math
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, FrozenSet, List, Optional

from blacklist.ids import ILSVRC_VALIDATION_IMAGES, Blacklist, load_blacklist
from common.cli import RequestError
from convert.images import ImageChecks
from convert.mindrecord.record_layout import REVISION
from convert.request import Request
from convert.sources.ilsvrc import IlsvrcCheck, check_ilsvrc
from convert.sources.layouts import list_source
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


@dataclass(frozen=True)
class ConversionPlan:
    """A request whose source has been listed and whose shards have been planned."""

    request: Request
    listing: Listing
    blacklist: Optional[Blacklist]
    ilsvrc: Optional[IlsvrcCheck]  # None unless the numbers of images and classes are ILSVRC's
    shards: List[ShardPlan]
    options: dict[str, Any]  # everything that decides the bytes of the record set


def list_request(request: Request) -> Listing:
    """List what ``request`` would convert; nothing is written."""
    return list_source(request.source, request.split, request.ground_truth, request.extensions,
                       request.layout)


def plan_conversion(request: Request) -> ConversionPlan:
    """List the source, read the blacklist and plan the shards; nothing is written.

    Raises:
        RequestError: see :func:`convert.sources.layouts.list_source`, a wrong blacklist, more
            shards than images, or an image that no page can hold.
    """
    listing = list_request(request)
    blacklist = _load_blacklist(request, listing)
    ilsvrc = check_ilsvrc(listing, blacklist, request.allow_other_labels)
    shards = plan_shards(
        listing, request.shards, request.seed, blacklist.ids if blacklist else frozenset(),
        ImageChecks(request.check == "decode", request.short_side, request.quality))
    options = {
        "split": request.split, "source_sha256": listing.sha256(), "images": len(listing.entries),
        "blacklist_sha256": blacklist.sha256 if blacklist else None, "shards": len(shards),
        "seed": request.seed, "check": request.check, "short_side": request.short_side,
        "quality": request.quality if request.short_side else None,
        "writer": REVISION,
    }
    return ConversionPlan(request, listing, blacklist, ilsvrc, shards, options)


def _load_blacklist(request: Request, listing: Listing) -> Optional[Blacklist]:
    if request.blacklist is None:
        return None
    blacklist = load_blacklist(request.blacklist,
                               max(entry.image_id for entry in listing.entries))
    if len(listing.entries) == ILSVRC_VALIDATION_IMAGES and not blacklist.is_ilsvrc:
        print(f"warning: {request.blacklist} has {blacklist.describe()}", file=sys.stderr)
    return blacklist


def default_shard_count(listing: Listing) -> int:
    """Return a multiple of 8 that makes shards of about 1 GB, but at most one per image."""
    total = sum(entry.size for entry in listing.entries)
    steps = max(1, round(total / SHARD_BYTES / SHARD_COUNT_STEP))
    return min(steps * SHARD_COUNT_STEP, len(listing.entries))


def ordered_entries(listing: Listing, seed: int) -> List[Entry]:
    """Return validation images in their order, training images in one seeded permutation.

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
    """Return the page size of all shards: MindSpore opens no files together that differ in it."""
    largest = max(listing.entries, key=lambda entry: entry.size)
    steps = math.ceil(PAGE_BYTES_PER_IMAGE_BYTE * largest.size / PAGE_STEP_BYTES)
    page = PAGE_STEP_BYTES * max(1, steps)
    if page > MAX_PAGE_BYTES:
        raise RequestError(f"{listing.root / largest.container}: image of {largest.size} bytes "
                           "is too large for a MindRecord page; remove or shrink it")
    return page
