"""Labels: from class folders, or read for validation images that are not in class folders.

The devkit numbers the classes 1 to 1000 in an order of its own (n02119789 is 1), which is not the
order of the sorted wnids that everybody trains with (n01440764 is 0): `map_clsloc.txt` or
`meta.mat` maps one to the other. Kaggle's `LOC_val_solution.csv` names wnids, in no order.
"""

import csv
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from common.cli import RequestError
from convert.sources.listing import Entry, SourceFile, validation_id

_TRUTH_ENDING = "validation_ground_truth.txt"
_MAP_NAME = "map_clsloc.txt"
_META_NAME = "meta.mat"
_LEAF_IDS = 1000  # meta.mat numbers the inner nodes of the WordNet tree from 1001 on

KAGGLE_SOLUTION = "LOC_val_solution.csv"
KAGGLE_CLASSES = "LOC_synset_mapping.txt"


@dataclass(frozen=True)
class GroundTruth:
    """The label of every validation image, and the file it was read from."""

    origin: Path
    class_names: List[str]  # sorted wnids: the index is the label
    labels: Dict[int, int]  # image id (1-based) -> label (0-based)


def find_ground_truth(source: Path) -> Optional[Path]:
    """Return the devkit ground truth in ``source``, ``source/data`` or ``source/*/data``, or None.

    Raises:
        RequestError: several were found.
    """
    folders = [source, source / "data", *sorted(source.glob("*/data"))]
    found = [path for folder in folders for path in sorted(folder.glob(f"*{_TRUTH_ENDING}"))]
    if len(found) > 1:
        raise RequestError("several ground truths: " + ", ".join(map(str, found)) +
                           "; choose with --ground-truth FILE")
    return found[0] if found else None


def read_ground_truth(truth: Path) -> GroundTruth:
    """Read a devkit's ground truth and the class map next to it.

    Raises:
        RequestError: a file is missing or not of its form.
    """
    def read(name: str) -> Optional[bytes]:
        path = truth.with_name(name)
        return path.read_bytes() if path.exists() else None
    return _devkit_truth(truth, truth.name, read)


def read_devkit_archive(archive: Path) -> GroundTruth:
    """Read the same from `ILSVRC2012_devkit_t12.tar.gz`, without unpacking it.

    Raises:
        RequestError: the archive is damaged, or a file in it is missing or not of its form.
    """
    try:
        with tarfile.open(archive, "r:*") as tar:
            members = {member.name.rsplit("/", 1)[-1]: member for member in tar if member.isfile()}
            truth = next((name for name in sorted(members) if name.endswith(_TRUTH_ENDING)), None)
            if truth is None:
                raise RequestError(f"{archive} contains no *{_TRUTH_ENDING}; give the "
                                   "ILSVRC devkit")
            files = {name: _read_member(tar, members[name])
                     for name in (truth, _MAP_NAME, _META_NAME) if name in members}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise RequestError(f"{archive} cannot be read as an archive ({error}); "
                           "fetch it again") from None
    return _devkit_truth(archive, truth, files.get)


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None, member.name  # a plain file, see isfile above
    return file.read()


def _devkit_truth(origin: Path, truth: str, read: Callable[[str], Optional[bytes]]) -> GroundTruth:
    data = read(truth)
    if data is None:
        raise RequestError(f"{origin} does not exist; give the devkit's validation ground truth")
    wnids = _read_classes(origin, read)
    class_names = sorted(wnids.values())
    position = {wnid: label for label, wnid in enumerate(class_names)}
    label_of = {devkit_id: position[wnid] for devkit_id, wnid in wnids.items()}
    return GroundTruth(origin, class_names, _read_labels(f"{origin}", data, label_of))


def _read_labels(where: str, data: bytes, label_of: Dict[int, int]) -> Dict[int, int]:
    labels = {}
    for number, line in enumerate(_text(where, data).splitlines(), start=1):
        text = line.strip()
        if not text.isdecimal() or int(text) not in label_of:
            raise RequestError(f"{where}, line {number}: '{text[:40]}' is not a devkit class id "
                               f"of its class map (1 to {len(label_of)}); give the devkit's file")
        labels[number] = label_of[int(text)]
    if not labels:
        raise RequestError(f"{where} is empty; give the devkit's validation ground truth")
    return labels


def _read_classes(origin: Path, read: Callable[[str], Optional[bytes]]) -> Dict[int, str]:
    """Return the wnid of each devkit id (1-based)."""
    text, matlab = read(_MAP_NAME), read(_META_NAME)
    if text is not None:
        return _parse_class_map(f"{_MAP_NAME} of {origin}", text)
    if matlab is not None:
        return _parse_meta(f"{_META_NAME} of {origin}", matlab)
    raise RequestError(f"{origin} has neither {_MAP_NAME} nor {_META_NAME} next to it, which map "
                       "devkit ids to wnids; keep the devkit's files together")


def _parse_class_map(where: str, data: bytes) -> Dict[int, str]:
    """Turn lines like ``n02119789 1 kit_fox`` into {1: 'n02119789'}."""
    wnids: Dict[int, str] = {}
    for number, line in enumerate(_text(where, data).splitlines(), start=1):
        fields = line.split()
        if len(fields) < 2 or not fields[1].isdecimal():
            raise RequestError(f"{where}, line {number}: expected 'wnid id name', got "
                               f"'{line[:40]}'; give the devkit's file")
        if int(fields[1]) in wnids or fields[0] in wnids.values():
            raise RequestError(f"{where}, line {number}: '{fields[0]} {fields[1]}' appears twice; "
                               "give the devkit's file")
        wnids[int(fields[1])] = fields[0]
    return wnids


def _parse_meta(where: str, data: bytes) -> Dict[int, str]:
    """Read `synsets`: structs with ILSVRC2012_ID and WNID (devkit readme, section 3)."""
    # Imported here, since few sources need SciPy and every worker would load it.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError
    try:
        synsets = loadmat(io.BytesIO(data), squeeze_me=True, struct_as_record=False)["synsets"]
        wnids = {int(synset.ILSVRC2012_ID): str(synset.WNID) for synset in synsets}
    except (MatReadError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise RequestError(f"{where} is not the devkit's class table ({error}); "
                           "give the devkit's file") from None
    return {devkit_id: wnid for devkit_id, wnid in wnids.items() if devkit_id <= _LEAF_IDS}


def read_kaggle(folder: Path) -> GroundTruth:
    """Read Kaggle's two files: ``ImageId,PredictionString`` rows in any order, and the classes.

    Raises:
        RequestError: a file is missing, a row is not of its form, or a class is not in the map.
    """
    class_names = sorted(_kaggle_classes(folder / KAGGLE_CLASSES))
    position = {wnid: label for label, wnid in enumerate(class_names)}
    origin = folder / KAGGLE_SOLUTION
    labels: Dict[int, int] = {}
    rows = csv.DictReader(io.StringIO(_file_text(origin)))
    for number, row in enumerate(rows, start=2):
        image_id = validation_id(f"{row.get('ImageId')}.JPEG")
        wnid = (row.get("PredictionString") or "").split(" ")[0]
        if image_id is None or wnid not in position or image_id in labels:
            raise RequestError(f"{origin}, line {number}: '{row.get('ImageId')}, {wnid}' is not a "
                               "new validation image with a class of "
                               f"{KAGGLE_CLASSES}; give Kaggle's file")
        labels[image_id] = position[wnid]
    return GroundTruth(origin, class_names, labels)


def _kaggle_classes(path: Path) -> List[str]:
    return [line.split(" ", 1)[0] for line in _file_text(path).splitlines() if line.strip()]


def _file_text(path: Path) -> str:
    if not path.exists():
        raise RequestError(f"{path} does not exist; Kaggle's {KAGGLE_SOLUTION} and "
                           f"{KAGGLE_CLASSES} must be next to the ILSVRC folder")
    return _text(str(path), path.read_bytes())


def _text(where: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(f"{where} is not a text file; give the original file") from None


def entries_by_class(files: Sequence[SourceFile], class_names: Sequence[str], split: str
                     ) -> List[Entry]:
    """Label images named ``<class>/<file>``; ids are positions in sorted file-name order.

    Validation images with ILSVRC's names keep its ids and are listed by their bare names, as in
    the official archive, so that every layout gives the same records.
    """
    label_of = {name: label for label, name in enumerate(class_names)}
    ids = [validation_id(file.name.rsplit("/", 1)[-1]) for file in files]
    if split == "val" and None not in ids:
        return _in_id_order([
            Entry(file.name.rsplit("/", 1)[-1], label_of[file.name.split("/", 1)[0]],
                  image_id or 0, file.container, file.offset, file.size)
            for file, image_id in zip(files, ids)])
    return [Entry(file.name, label_of[file.name.split("/", 1)[0]], position, *file[1:])
            for position, file in enumerate(sorted(files), start=1)]


def entries_by_truth(files: Sequence[SourceFile], truth: GroundTruth) -> List[Entry]:
    """Label images named ``ILSVRC2012_val_NNNNNNNN.JPEG`` by their ids.

    Raises:
        RequestError: an image without a label, or a label without an image.
    """
    entries = []
    for file in files:
        image_id = validation_id(file.name)
        if image_id not in truth.labels:
            raise RequestError(f"{file.name} has no label: {truth.origin} has "
                               f"{len(truth.labels)} labels; give the ground truth of this set")
        entries.append(Entry(file.name, truth.labels[image_id], image_id, *file[1:]))
    entries = _in_id_order(entries)
    if len(entries) != len(truth.labels):
        missing = min(truth.labels.keys() - {entry.image_id for entry in entries})
        raise RequestError(f"{truth.origin} has {len(truth.labels)} labels but there are "
                           f"{len(entries)} validation images (ILSVRC2012_val_{missing:08d}.JPEG "
                           "is missing); complete them or give the ground truth of this set")
    return entries


def _in_id_order(entries: List[Entry]) -> List[Entry]:
    """Return the entries in id order; raise RequestError when two of them have one id."""
    seen: Dict[int, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.image_id, entry)
        if other is not entry:
            raise RequestError(f"'{other.container}' and '{entry.container}' both have image id "
                               f"{entry.image_id}; remove one of them")
    return sorted(entries, key=lambda entry: entry.image_id)
