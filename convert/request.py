"""What is asked of a conversion, and everything that is known before an image is read."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Sequence

from blacklist.ids import ILSVRC_VALIDATION_IMAGES, Blacklist, load_blacklist
from common.cli import RequestError
from convert.images import SHRUNK_JPEG_QUALITY, ImageChecks
from convert.mindrecord.record_layout import REVISION
from convert.sharding import ShardPlan, plan_shards
from convert.sources.ilsvrc import IlsvrcCheck, check_ilsvrc
from convert.sources.layouts import list_source
from convert.sources.listing import IMAGE_EXTENSIONS, Listing

CHECKS = ("decode", "header")
ON_BAD = ("fail", "skip")


@dataclass(frozen=True)
class Request:
    """What to convert and how. ``on_bad`` and what follows it do not change the bytes of a good
    image's record."""

    source: Path
    split: str
    out: Path
    blacklist: Optional[Path] = None
    ground_truth: Optional[Path] = None
    layout: Optional[str] = None
    extensions: Sequence[str] = IMAGE_EXTENSIONS
    shards: Optional[int] = None
    seed: int = 0
    check: str = "decode"
    short_side: Optional[int] = None
    quality: int = SHRUNK_JPEG_QUALITY
    allow_other_labels: bool = False
    on_bad: str = "fail"
    workers: int = 1
    backend: str = "loky"  # see convert.engine
    scheduler: Optional[str] = None


@dataclass(frozen=True)
class ConversionPlan:
    """A request whose source has been listed and whose shards have been planned."""

    request: Request
    listing: Listing
    blacklist: Optional[Blacklist]
    ilsvrc: Optional[IlsvrcCheck]  # None unless the numbers of images and classes are ILSVRC's
    plans: list[ShardPlan]
    options: dict[str, Any]  # everything that decides the bytes of the record set

    @property
    def images(self) -> int:
        return len(self.listing.entries)


def available_cores() -> int:
    """The cores this process may use, which a container may limit."""
    return len(os.sched_getaffinity(0))


def list_request(request: Request) -> Listing:
    """List what ``request`` would convert; nothing is written."""
    return list_source(request.source, request.split, request.ground_truth, request.extensions,
                       request.layout)


def prepare(request: Request) -> ConversionPlan:
    """List the source, read the blacklist and plan the shards; nothing is written.

    Raises:
        RequestError: see :func:`convert.sources.layouts.list_source` and the options.
    """
    listing = list_request(request)
    blacklist = _load_blacklist(request, listing)
    ilsvrc = check_ilsvrc(listing, blacklist, request.allow_other_labels)
    plans = plan_shards(listing, request.shards, request.seed,
                        blacklist.ids if blacklist else frozenset(), _image_checks(request))
    options = {
        "split": request.split, "source_sha256": listing.sha256(), "images": len(listing.entries),
        "blacklist_sha256": blacklist.sha256 if blacklist else None, "shards": len(plans),
        "seed": request.seed, "check": request.check, "short_side": request.short_side,
        "quality": request.quality if request.short_side else None,
        "writer": REVISION,
    }
    return ConversionPlan(request, listing, blacklist, ilsvrc, plans, options)


def _image_checks(request: Request) -> ImageChecks:
    if request.short_side is None:
        return ImageChecks(request.check == "decode")
    if not (request.short_side >= 1 and 1 <= request.quality <= 95):
        raise RequestError(f"--short-side {request.short_side} --quality {request.quality}: the "
                           "short side is at least 1 pixel, the quality 1 to 95")
    return ImageChecks(request.check == "decode", request.short_side, request.quality)


def _load_blacklist(request: Request, listing: Listing) -> Optional[Blacklist]:
    if request.blacklist is None:
        return None
    if request.split != "val":
        raise RequestError(f"--blacklist {request.blacklist} belongs to the validation set; leave "
                           f"it out for --split {request.split}")
    blacklist = load_blacklist(request.blacklist,
                               max(entry.image_id for entry in listing.entries))
    if len(listing.entries) == ILSVRC_VALIDATION_IMAGES and not blacklist.is_ilsvrc:
        print(f"warning: {request.blacklist} has {blacklist.describe()}", file=sys.stderr)
    return blacklist
