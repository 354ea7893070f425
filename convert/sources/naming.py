"""Names of images, as ImageNet's archives and as people's disks have them."""

import os
import re
from typing import Optional

from common.cli import RequestError

IMAGE_EXTENSIONS = (".jpeg", ".jpg", ".png")

_VALIDATION_NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


def validation_id(file_name: str) -> Optional[int]:
    """The number in ``ILSVRC2012_val_NNNNNNNN.JPEG``, or None for any other name."""
    match = _VALIDATION_NAME.fullmatch(file_name)
    return int(match.group(1)) if match else None


def checked_name(name: str, place: object) -> str:
    """Return ``name``, or raise RequestError when it is not UTF-8: a record could not hold it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise RequestError(f"'{shown}' in {place} is not a UTF-8 name; rename it") from None
    return name
