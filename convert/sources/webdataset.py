"""WebDataset tars of ImageNet, read in place: timm's `imagenet1k-train-0000.tar`,
`imagenet1k-validation-00.tar`, and others named alike.

A sample is the members with one key: ``KEY.jpg``, ``KEY.cls`` (the label) and, often, ``KEY.json``.
"""

import re
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Optional, Sequence

from common.cli import RequestError
from common.files import read_json
from common.text import counted
from convert.sources.archives import tar_members
from convert.sources.class_labels import ClassLabels, refuse_twice
from convert.sources.listing import Scan, SourceFile
from convert.sources.names import (IMAGE_EXTENSIONS, check_class_names, imagenet_name,
                                   is_hidden, training_wnid, validation_id)
from convert.sources.packed import OpenArchive, stored_archive, unused_copies

SPLIT_WORDS = {"train": ("train",), "val": ("validation", "val")}
INFO_NAMES = ("_info.json", "info.json")
INFO_REMEDY = "give the file of this set or remove it"
MAX_LABEL_BYTES = 20

_TAR = re.compile(r"(?P<stem>.+-(?P<split>train|validation|val)-)(?P<number>[0-9]+)\.tar(?:\.gz)?")


class _SamplePart(NamedTuple):
    archive: Path
    key: str
    ending: str  # in lower case, with its dot
    container: str
    begin: int
    end: int
    text: bytes  # of a label


class _Sample(NamedTuple):
    image: _SamplePart
    label: int


def webdataset_tars(source: Path, split: str) -> list[Path]:
    """Return the tars of the split, in order; empty if there are none."""
    found = [(match["stem"], int(match["number"]), path) for path in source.iterdir()
             if (match := _TAR.fullmatch(path.name)) and match["split"] in SPLIT_WORDS[split]
             and not is_hidden(path.name)
             and stored_archive(path.with_name(path.name.removesuffix(".gz"))) == path]
    return [path for _, _, path in sorted(found)]


def scan_webdataset(source: Path, split: str, keep: Optional[Path] = None) -> Scan:
    """List the images as ``<class>/<name>``; a class is a wnid where the keys have them, else the
    label as a number, whose class ``--class-names`` says.

    Args:
        keep: where archives in gzip are unpacked, see ``packed``.

    Raises:
        RequestError: a tar is missing or cut, a sample without image or label, or labels that are
            not positions in the sorted wnids.
    """
    tars = webdataset_tars(source, split)
    _check_complete(source, tars)
    scan, labels = Scan([], unused_copies(tars)), ClassLabels()
    for sample in _samples(tars, keep, scan.ignored):
        image, where = sample.image, f"'{sample.image.key}' in {sample.image.archive}"
        wnid, name = _name(image)
        if wnid is not None:
            labels.add(wnid, sample.label, where)
        scan.images.append(SourceFile(f"{wnid or sample.label}/{name}", image.container,
                                      image.begin, image.end - image.begin))
    if not has_labels(scan):
        labels.check(source)
    _check_count(source, split, len(scan.images))
    refuse_twice(scan.images, source)
    return scan


def has_labels(scan: Scan) -> bool:
    """Return whether classes are labels, as numbers, whose names must be known."""
    return any(image.name.split("/")[0].isdecimal() for image in scan.images)


def info_class_names(source: Path) -> Optional[tuple[Path, list[str]]]:
    """Return the set's info file and the class names that it has, in label order; None without.

    They are a list ``class_names`` or ``classes``, or that of Hugging Face's features
    (``features.<column>.names`` of its ``ClassLabel``), or positions by name in ``class_to_idx``.
    timm's own file has none: timm/data/readers/reader_wds.py reads ``splits`` alone.

    Raises:
        RequestError: the file is damaged, or its names are not one word each, all different.
    """
    found = _info(source)
    if found is None:
        return None
    path, info = found
    features = info.get("features")
    lists = [info, *(features.values() if isinstance(features, dict) else ())]
    names = next((item[key] for item in lists if isinstance(item, dict)
                  for key in ("class_names", "classes", "names") if isinstance(item.get(key), list)
                  ), None)
    positions = info.get("class_to_idx")
    if names is None and isinstance(positions, dict):
        names = sorted(positions, key=lambda name: str(positions[name]).zfill(MAX_LABEL_BYTES))
        if [positions[name] for name in names] != list(range(len(names))):
            raise RequestError(f"{path}: class_to_idx does not count from 0; {INFO_REMEDY}")
    if names is None:
        return None
    seen: set[str] = set()
    for name in names:  # labels are positions among sorted names: descriptions sort otherwise
        if not isinstance(name, str) or len(name.split()) != 1 or "/" in name or name in seen:
            raise RequestError(f"{path}: '{str(name)[:60]}' among its class names is not one word "
                               "that appears once; give --class-names FILE with such names")
        seen.add(name)
    check_class_names(names, path)
    return path, names


def training_class_names(source: Path) -> Optional[list[str]]:
    """Return the wnids in the keys of the training tars next to validation tars, in order; None
    where there are no such tars or their keys have no wnids, either. All of their headers are read.

    Raises:
        RequestError: see ``scan_webdataset``.
    """
    if not webdataset_tars(source, "train"):
        return None
    scan = scan_webdataset(source, "train")
    if has_labels(scan):
        return None
    return sorted({image.name.partition("/")[0] for image in scan.images})


def name_classes(scan: Scan, class_names: Optional[Sequence[str]], origin: str, root: Path) -> Scan:
    """Replace labels in ``<label>/<file>`` by the names at these positions.

    Args:
        origin: what names the classes.

    Raises:
        RequestError: there are no names or no such position.
    """
    images = []
    for image in scan.images:
        class_name, file_name = image.name.split("/")
        if class_name.isdecimal():
            if class_names is None:
                raise RequestError(f"{root / image.container} says labels but not which classes "
                                   "they are; give --class-names FILE with one class name per "
                                   "line in label order")
            if int(class_name) >= len(class_names):
                raise RequestError(f"{root / image.container}: label {class_name}, but {origin} "
                                   f"names {counted(len(class_names), 'class')}; give the names "
                                   "of this set")
            image = image._replace(name=f"{class_names[int(class_name)]}/{file_name}")
        images.append(image)
    return Scan(images, scan.ignored)


def _check_complete(source: Path, tars: Sequence[Path]) -> None:
    matches = [match for match in (_TAR.fullmatch(path.name) for path in tars) if match]
    if not matches:
        return
    stems = sorted({match["stem"] for match in matches})
    if len(stems) > 1:
        raise RequestError(f"{source} has tars of several sets ({stems[0]}*.tar, {stems[1]}*.tar);"
                           " give each its own folder")
    numbers = [int(match["number"]) for match in matches]
    for position, number in enumerate(numbers):
        if number != position + min(numbers[0], 1):
            width = len(matches[0]["number"])
            raise RequestError(f"{source / stems[0]}{position + min(numbers[0], 1):0{width}}.tar "
                               "is missing; complete the download")


def _info(source: Path) -> Optional[tuple[Path, dict[str, Any]]]:
    """Return the set's info file and its content; None without one."""
    path = next((source / name for name in INFO_NAMES if (source / name).exists()), None)
    return None if path is None else (path, read_json(path, INFO_REMEDY))


def _check_count(source: Path, split: str, images: int) -> None:
    """Compare with timm's info file, where there is one."""
    path, info = _info(source) or (None, {})
    splits = info.get("splits")
    for word in SPLIT_WORDS[split]:
        note = splits.get(word) if isinstance(splits, dict) else None
        expected = note.get("num_samples") if isinstance(note, dict) else None
        if expected not in (None, images):
            raise RequestError(f"{path} says {expected} for the {split} set, but the tars have "
                               f"{counted(images, 'image')}; complete the download")


def _samples(tars: Sequence[Path], keep: Optional[Path], ignored: list[str]
             ) -> Iterator[_Sample]:
    """Yield the samples, in order."""
    sample: list[_SamplePart] = []
    for archive, opened, name, begin, end in tar_members(tars, keep):
        if is_hidden(name):
            ignored.append(f"{archive.name}/{name}")
            continue
        folder, slash, base = name.rpartition("/")
        key, dot, ending = base.partition(".")
        text = _label_text(opened, begin, end) if ending.lower() == "cls" else b""
        member = _SamplePart(archive, f"{folder}{slash}{key}", f".{ending.lower()}",
                             opened.container, begin, end, text)
        if sample and (sample[0].archive, sample[0].key) != (archive, member.key):
            yield _sample(sample)
            sample = []
        if member.ending in (*IMAGE_EXTENSIONS, ".cls", ".json"):
            sample.append(member)
        else:
            ignored.append(f"{archive.name}/{name}")
    if sample:
        yield _sample(sample)


def _label_text(opened: OpenArchive, begin: int, end: int) -> bytes:
    opened.file.seek(begin)
    return opened.file.read(min(end - begin, MAX_LABEL_BYTES)).strip()


def _sample(parts: Sequence[_SamplePart]) -> _Sample:
    where = f"'{parts[0].key}' in {parts[0].archive}"
    images = [part for part in parts if part.ending in IMAGE_EXTENSIONS]
    labels = [part for part in parts if part.ending == ".cls"]
    if len(images) != 1 or len(labels) != 1:
        raise RequestError(f"{where}: a sample has {counted(len(images), 'image')} and "
                           f"{counted(len(labels), 'label')} (.cls), expected one of each; fetch "
                           "the file again")
    text = labels[0].text
    if not text.isdigit():
        raise RequestError(f"{where}: label {text!r} is not a number from 0; fetch the file again")
    return _Sample(images[0], int(text))


def _name(image: _SamplePart) -> tuple[Optional[str], str]:
    """Return the wnid that the key has, if any, and ImageNet's own name where it can be told; other
    keys may recur in each tar, so the tar's name comes before them."""
    key = image.key.rpartition("/")[2]
    official = imagenet_name(f"{key}.JPEG")
    if official is not None:
        wnid, _, name = official.partition("/")
        return wnid, name
    of_train = training_wnid(f"{key}.JPEG")
    if of_train or validation_id(f"{key}.JPEG"):
        return of_train, f"{key}.JPEG"
    tar = image.archive.name.removesuffix(".gz").removesuffix(".tar")
    return None, f"{tar}-{image.key.replace('/', '-')}{image.ending}"
