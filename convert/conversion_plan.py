"""Planning a conversion: the images of the source, the blacklist, and which image goes into which
shard. No shard is written."""

import math
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from blacklist.ids import ILSVRC_VALIDATION_IMAGES, Blacklist, load_blacklist
from common.cli import RequestError
from common.files import sha256_of_lines
from common.text import counted
from convert.images import SHRUNK_JPEG_QUALITY, ImageChecks
from convert.mindrecord.record_layout import REVISION
from convert.records.manifest import MANIFEST_NAME, read_manifest
from convert.request import Request
from convert.shards import ShardPlan
from convert.sources.class_words import find_class_words
from convert.sources.ilsvrc import (IlsvrcCheck, IlsvrcNumbers, check_ilsvrc, count_like_ilsvrc,
                                    devkit_numbers, misfiled_images, unused_numbers)
from convert.sources.listing import Entry, Listing
from convert.sources.misplaced import OTHER_SPLIT
from convert.sources.packed import state_of_files
from convert.sources.split_listing import list_source

SHARD_BYTES = 1 << 30
SHARD_COUNT_STEP = 8  # so that 1, 2, 4 and 8 ranks read equally many files
# Below this, four files with small pages, enough for a few ranks and a shuffle of shards: eight
# with large ones would be mostly header and half-filled pages.
SMALL_SET_BYTES = 64 << 20
SMALL_SET_SHARDS = 4
SMALL_SET_PAGE_STEP_BYTES = 1 << 20

# With pages of 16 MB and 32 MB, MindSpore's defaults, a 1 GB shard is 5.3 % larger than its images.
PAGE_STEP_BYTES = 4 << 20
MAX_PAGE_BYTES = 256 << 20  # what MindSpore's FileWriter.set_page_size allows
# A page must hold the largest image, and a repaired one (CMYK, PNG) may grow.
PAGE_BYTES_PER_IMAGE_BYTE = 2


@dataclass(frozen=True)
class ConversionPlan:
    """A request whose source has been listed and whose shards have been planned."""

    request: Request
    listing: Listing
    blacklist: Optional[Blacklist]
    ilsvrc: Optional[IlsvrcCheck]  # None unless the numbers of images and classes are ILSVRC's
    ilsvrc_numbers: Optional[IlsvrcNumbers]
    shards: list[ShardPlan]
    options: dict[str, Any]  # everything that decides the bytes of the record set
    class_words: dict[str, str]  # by class name: what people call it, where the source says it
    source_files: str  # before it was listed: see ``convert.sources.packed.state_of_files``

    def workspace_request(self) -> dict[str, Any]:
        """Return what a conversion under way must have in common with this one to be resumed.

        Damaged images may be replaced or removed between two attempts: what changes with them is
        compared shard by shard (``ShardPlan.entries_sha256``), and so is the size of pages, which
        nobody asks for."""
        request = {key: value for key, value in self.options.items()
                   if key not in ("source_sha256", "images", "page_bytes")}
        return {**request, "classes_sha256": sha256_of_lines(self.listing.class_names)}


def list_request(request: Request, keep: Optional[Path] = None) -> Listing:
    """List what ``request`` would convert; without ``keep``, nothing is written."""
    return list_source(request.source, request.split, request.ground_truth, request.extensions,
                       request.layout, request.class_names, request.both_splits, keep,
                       request.worker_count)


def plan_conversion(request: Request, keep: Optional[Path] = None, *,
                    page_bytes: Optional[int] = None) -> ConversionPlan:
    """List the source, read the blacklist and plan the shards.

    Args:
        keep: folder for what a later attempt can use of the listing; None: write nothing. Images
            of archives in gzip can be read only where they were unpacked into it.
        page_bytes: of a record set that is to be built again; None: what its images need.

    Raises:
        RequestError: see :func:`convert.sources.split_listing.list_source`, a wrong blacklist,
            more shards than images, or an image that no page can hold.
    """
    source_files = state_of_files(request.source, request.extensions) if keep else ""
    listing = list_request(request, keep)
    blacklist = read_blacklist(request, listing)
    ilsvrc = check_ilsvrc(listing, blacklist, request.allow_other_labels)
    numbers = count_like_ilsvrc(listing)
    _warn_of_classes(listing, numbers)
    if page_bytes is None and request.shards is None and _is_small(listing):
        page_bytes = _page_bytes(listing, SMALL_SET_PAGE_STEP_BYTES)
    shards = _plan_shards(request, listing, blacklist.ids if blacklist else frozenset(),
                          page_bytes or _page_bytes(listing, PAGE_STEP_BYTES))
    options = {**options_without_source(request, blacklist), "shards": len(shards),
               "source_sha256": listing.sha256(), "images": len(listing.entries)}
    if page_bytes:  # without the key: as in every set of an older version
        options["page_bytes"] = page_bytes
    words = find_class_words(request.source, request.ground_truth)
    return ConversionPlan(request, listing, blacklist, ilsvrc, numbers, shards, options,
                          {name: words[name] for name in listing.class_names if name in words},
                          source_files)


def options_without_source(request: Request, blacklist: Optional[Blacklist]) -> dict[str, Any]:
    """Return what decides the bytes of a record set besides the images and their shards."""
    return {"split": request.split, "blacklist_sha256": blacklist.sha256 if blacklist else None,
            "seed": request.seed, "check": request.check, "short_side": request.short_side,
            "quality": request.shrunk_quality, "writer": REVISION}


def refuse_other_split(plan: ConversionPlan) -> None:
    """Raise RequestError where a record set next to this one has the same images as another split:
    a validation set must not be made of the training images."""
    request = plan.request
    for path in sorted(request.out.absolute().parent.glob(f"*/{MANIFEST_NAME}")):
        try:
            other = read_manifest(path.parent)
        except (RequestError, OSError):  # not a record set of this conversion
            continue
        if (other.split, other.source_sha256) == (OTHER_SPLIT[request.split],
                                                  plan.options["source_sha256"]):
            raise RequestError(f"{request.source} has, as its {request.split} set, the images that "
                               f"are in {path.parent} as a {other.split} set; a validation set "
                               "must not be made of the training images: give the folder that "
                               f"train/ and val/ are in, or remove {path.parent} if it is the "
                               "wrong one")


def _warn_of_classes(listing: Listing, numbers: Optional[IlsvrcNumbers]) -> None:
    if listing.split == "train" and numbers and not numbers.complete:
        print(f"warning: {listing.root} has {numbers.describe(listing.split)}", file=sys.stderr)
    for warning in filter(None, (devkit_numbers(listing), unused_numbers(listing),
                                 misfiled_images(listing))):
        print(f"warning: {warning}", file=sys.stderr)


def read_blacklist(request: Request, listing: Listing) -> Optional[Blacklist]:
    """Return the blacklist that was given, or None.

    Raises:
        RequestError: it is no blacklist, or not one of these images.
    """
    if request.blacklist is None:
        return None
    _check_ids(request, listing)
    blacklist = load_blacklist(request.blacklist,
                               max(entry.image_id for entry in listing.entries))
    if len(listing.entries) == ILSVRC_VALIDATION_IMAGES and not blacklist.is_ilsvrc:
        print(f"warning: {request.blacklist} has {blacklist.describe()}", file=sys.stderr)
    return blacklist


def _check_ids(request: Request, listing: Listing) -> None:
    """Raise RequestError unless the blacklist and the images have the same kind of ids."""
    first = listing.entries[0].file_name
    if listing.ids_are_positions and not request.ids_are_positions:
        raise RequestError(f"--blacklist {request.blacklist} lists numbers of ILSVRC's validation "
                           f"images, but names like '{first}' in {listing.root} have none: ids are "
                           "positions in the sorted names; leave it out, or give "
                           "--ids-are-positions if the list counts those")
    if request.ids_are_positions and not listing.ids_are_positions:
        raise RequestError(f"--ids-are-positions: the ids of {listing.root} are the numbers in "
                           f"names like '{first}'; leave it out")


def _plan_shards(request: Request, listing: Listing, blacklist_ids: frozenset[int],
                 page_bytes: int) -> list[ShardPlan]:
    """Cut the ordered entries into consecutive runs whose lengths differ by one at the most."""
    total = len(listing.entries)
    number = request.shards or _default_shard_count(listing)
    if number > total:
        raise RequestError(f"--shards {number}: {counted(total, 'image')} can be cut into "
                           f"1 to {counted(total, 'shard')}")
    entries = ordered_entries(listing, request.seed)
    checks = ImageChecks(request.check == "decode", request.short_side,
                         request.shrunk_quality or SHRUNK_JPEG_QUALITY)
    plans = []
    for index in range(number):
        part = entries[total * index // number:total * (index + 1) // number]
        plans.append(ShardPlan(
            index=index, file=f"{listing.split}-{index:05d}-of-{number:05d}.mindrecord",
            layout=listing.layout, root=listing.root, entries=part,
            blacklisted=frozenset(e.image_id for e in part if e.image_id in blacklist_ids),
            page_bytes=page_bytes, checks=checks))
    return plans


def _is_small(listing: Listing) -> bool:
    return sum(entry.size for entry in listing.entries) < SMALL_SET_BYTES


def _default_shard_count(listing: Listing) -> int:
    """Return 4 for a small set, else a multiple of 8 that makes shards of about 1 GB, but at most
    one per image."""
    if _is_small(listing):
        return min(SMALL_SET_SHARDS, len(listing.entries))
    total = sum(entry.size for entry in listing.entries)
    steps = max(1, round(total / SHARD_BYTES / SHARD_COUNT_STEP))
    return min(steps * SHARD_COUNT_STEP, len(listing.entries))


def ordered_entries(listing: Listing, seed: int) -> list[Entry]:
    """Return validation images in their order, training images in one seeded permutation.

    ``random.Random`` keeps its sequence between Python versions for ``random()``, which is all
    that is used here.
    """
    if listing.split == "val":
        return listing.entries
    draw = random.Random(seed).random
    keys = [draw() for _ in listing.entries]
    return [listing.entries[k] for k in sorted(range(len(keys)), key=keys.__getitem__)]


def _page_bytes(listing: Listing, step: int) -> int:
    """Return the page size of all shards, a multiple of ``step``: MindSpore opens no files together
    that differ in it."""
    largest = max(listing.entries, key=lambda entry: entry.size)
    page = step * max(1, math.ceil(PAGE_BYTES_PER_IMAGE_BYTE * largest.size / step))
    if page > MAX_PAGE_BYTES:
        raise RequestError(f"{listing.root / largest.container}: image of {largest.size} bytes "
                           "is too large for a MindRecord page; remove or shrink it")
    return page
