"""Hugging Face's older tars of ImageNet: `train_images_0.tar.gz` to `train_images_4.tar.gz` and
`val_images.tar.gz`, flat, with the class at the end of each name. Those that `gunzip` has unpacked
are read in place, the others as `packed` says.
"""

import os
import re
from pathlib import Path
from typing import Optional

from common.cli import RequestError
from convert.sources.archives import file_name, tar_members
from convert.sources.class_labels import refuse_twice
from convert.sources.folders import flat_files
from convert.sources.listing import Scan, SourceFile
from convert.sources.names import IMAGE_EXTENSIONS, imagenet_name, is_hidden, is_training_image
from convert.sources.packed import stored_archive, unused_copies

FILES = {"train": [f"train_images_{part}.tar" for part in range(5)], "val": ["val_images.tar"]}

_PACKED = re.compile(r"(?P<whole>.*\.(?:tar|tgz|zip)(?:\.(?P<kind>gz|xz|bz2))?)"
                     r"(?P<first>\.(?:part)?(?:0?0[01]|aa))?")
_COMMANDS = {"gz": "gunzip -k", "xz": "unxz -k", "bz2": "bunzip2 -k"}


def fits_flat_tars(source: Path, split: str) -> bool:
    return any(stored_archive(source / name).is_file() for name in FILES[split])


def scan_flat_tars(source: Path, split: str, keep: Optional[Path] = None) -> Scan:
    """List the images as ``<wnid>/<name>``, with ImageNet's own names.

    Args:
        keep: where archives in gzip are unpacked, see ``packed``.

    Raises:
        RequestError: a tar is missing or cut, or an image has a name without a class.
    """
    archives = [stored_archive(source / name) for name in FILES[split]]
    scan = Scan([], unused_copies(archives))
    missing = [path for path in archives if not path.is_file()]
    if missing:
        raise RequestError(f"{missing[0]} does not exist, nor {missing[0].name}.gz; the {split} "
                           f"set is {', '.join(FILES[split])}: complete the download")
    for archive, opened, member, begin, end in tar_members(archives, keep):
        _add(scan, SourceFile(file_name(member), opened.container, begin, end - begin), archive)
    refuse_twice(scan.images, source)
    return scan


def scan_names_with_wnids(folder: Path) -> Scan:
    """List a flat folder of training images whose names end in the class, as these tars unpack."""
    scan = Scan([], [])
    for file in flat_files(folder, scan.ignored, other_split="val"):
        _add(scan, file, folder)
    return scan


def classes_in_names(folder: Path) -> list[str]:
    """Return the sorted classes at the end of the names of a flat folder of training images."""
    return sorted({name.partition("/")[0] for name in map(imagenet_name, os.listdir(folder))
                   if name is not None and is_training_image(name)})


def _add(scan: Scan, file: SourceFile, place: Path) -> None:
    name = imagenet_name(file.name)
    if is_hidden(file.name):
        scan.ignored.append(file.name)
    elif name is not None:
        scan.images.append(file._replace(name=name))
    elif file.name.lower().endswith(IMAGE_EXTENSIONS):
        raise RequestError(f"'{file.name}' in {place} has no class at the end of its name, as in "
                           "n01440764_10026_n01440764.JPEG; give Hugging Face's own files")
    else:
        scan.ignored.append(file.name)


def refuse_packed(source: Path) -> None:
    """Raise RequestError with the command to use, if the source has archives that cannot be read
    in place: parts of one file, or compressed."""
    names = sorted(item.name for item in source.iterdir() if item.is_file())
    matches = [match for match in map(_PACKED.fullmatch, names) if match]
    for match in matches:
        if match["first"]:
            pattern = re.sub("[0-9]", "[0-9]", re.sub("aa$", "[a-z][a-z]", match["first"]))
            raise RequestError(f"{source / match[0]} is a part of an archive, which is read as "
                               f"one file only: cat {source / match['whole']}{pattern} > "
                               f"{source / match['whole']}")
        if (match["kind"] or not match[0].endswith(".tar")) and "devkit" not in match[0]:
            command = "unzip" if match[0].endswith("zip") else _COMMANDS[match["kind"] or "gz"]
            raise RequestError(f"{source / match[0]} is compressed, but not in gzip under a name "
                               f"that is known; first, for each such file: {command} "
                               f"{source / match[0]}")
