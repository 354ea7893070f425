"""Reading the labels of validation images that are not in class folders.

The devkit numbers the classes 1 to 1000 in an order of its own (n02119789 is 1), which is not the
order of the sorted wnids that everybody trains with (n01440764 is 0): `map_clsloc.txt` or
`meta.mat` maps one to the other. Lists that name each image are read in `label_lists`.
"""

import gzip
import io
import json
import subprocess
import sys
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Mapping, Optional, Sequence

from common.cli import RequestError
from common.files import read_bytes, read_lines
from convert.sources.archives import members
from convert.sources.label_lists import is_label_list, read_label_list
from convert.sources.listing import GroundTruth
from convert.sources.names import check_class_names, is_hidden
from convert.sources.packed import GZIP_MAGIC

_TRUTH_ENDING = "validation_ground_truth.txt"
MAP_NAME = "map_clsloc.txt"
META_NAME = "meta.mat"
_LEAF_IDS = 1000  # meta.mat numbers the inner nodes of the WordNet tree from 1001 on
_MAX_DIGITS = 9
_READ_META = """
import io, json, sys
from scipy.io import loadmat
synsets = loadmat(io.BytesIO(sys.stdin.buffer.read()), squeeze_me=True,
                  struct_as_record=False)["synsets"]
json.dump([(int(synset.ILSVRC2012_ID), str(synset.WNID), str(getattr(synset, "words", "")))
           for synset in synsets], sys.stdout)
"""


def devkit_folders(source: Path) -> list[Path]:
    """Return where the files of a devkit are looked for."""
    return [source, source / "data", *sorted(source.glob("*/data"))]


def find_blacklists(source: Path, ground_truth: Optional[Path] = None) -> list[Path]:
    """Return the lists of discarded images next to the ground truth that was given, else in the
    devkit in the source, else in one next to the source."""
    places = [[ground_truth.parent]] if ground_truth else [devkit_folders(source),
                                                           devkit_folders(source.parent)]
    found = ([path for folder in folders for path in sorted(folder.glob("*blacklist*.txt"))
              if not is_hidden(path.name)] for folders in places)
    return next(filter(None, found), [])


def find_ground_truth(source: Path) -> Optional[Path]:
    """Return the devkit ground truth in ``source``, ``source/data`` or ``source/*/data``, or None.

    Raises:
        RequestError: several were found.
    """
    found = [path for folder in devkit_folders(source)
             for path in sorted(folder.glob(f"*{_TRUTH_ENDING}")) if not is_hidden(path.name)]
    if len(found) > 1:
        raise RequestError("several ground truths: " + ", ".join(map(str, found)) +
                           "; choose with --ground-truth FILE")
    return found[0] if found else None


def read_ground_truth(truth: Path, class_names: Optional[Sequence[str]] = None) -> GroundTruth:
    """Read a devkit's ground truth and the class map next to it, or a label list.

    Args:
        class_names: what the labels of a list mean, see ``read_label_list``.

    Raises:
        RequestError: a file is missing or not of its form.
    """
    lines = read_lines(truth, "label of a validation image")
    if is_label_list(lines):
        return read_label_list(truth, lines, class_names)
    if not any(lines):
        raise RequestError(f"{truth} is empty; give the labels of the validation images")
    tables = [truth.with_name(name) for name in (MAP_NAME, META_NAME)
              if truth.with_name(name).exists()]
    first = next(filter(None, lines))
    if not truth.name.endswith(_TRUTH_ENDING) and not (tables and _is_number(first)):
        raise RequestError(f"{truth} is not a list of labels ('{first[:40]}' is its first line); "
                           "give lines like ILSVRC2012_val_00000001.JPEG 65, or the devkit's "
                           f"ground truth with {MAP_NAME} or {META_NAME} next to it")
    return _devkit_truth(truth, read_bytes(truth),
                         {path.name: read_bytes(path) for path in tables})


def read_devkit_archive(archive: Path) -> GroundTruth:
    """Read the same from `ILSVRC2012_devkit_t12.tar.gz`, without unpacking it.

    Raises:
        RequestError: the archive is damaged, or a file in it is missing or not of its form.
    """
    files = devkit_files(archive)
    truth = next((name for name in sorted(files) if name.endswith(_TRUTH_ENDING)), None)
    if truth is None:
        raise RequestError(f"{archive} contains no *{_TRUTH_ENDING}; give the ILSVRC devkit")
    return _devkit_truth(archive, files[truth], files)


def devkit_files(archive: Path) -> dict[str, bytes]:
    """Return the ground truth and the class tables in a devkit's archive by their names.

    Raises:
        RequestError: the archive is damaged.
    """
    data = _unpacked(archive)
    files = {}
    for member, begin, end in members(io.BytesIO(data), archive, 0, len(data)):
        name = member.rsplit("/", 1)[-1]
        if not is_hidden(member) and (name in (MAP_NAME, META_NAME)
                                      or name.endswith(_TRUTH_ENDING)):
            files[name] = data[begin:end]
    return files


def _unpacked(archive: Path) -> bytes:
    """Return the bytes of the tar in a gzip file, or of one that a browser has unpacked."""
    data = read_bytes(archive)
    if data[:len(GZIP_MAGIC)] != GZIP_MAGIC:
        return data
    try:
        return gzip.decompress(data)  # it checks the length and the checksum at the end, too
    except (EOFError, OSError, zlib.error) as error:
        raise RequestError(f"{archive} cannot be read as an archive ({error}); "
                           "fetch it again") from None


def _devkit_truth(origin: Path, truth: bytes, files: Mapping[str, bytes]) -> GroundTruth:
    if MAP_NAME in files:
        wnids = _parse_class_map(f"{MAP_NAME} of {origin}", files[MAP_NAME])
    elif META_NAME in files:
        wnids = _parse_meta(f"{META_NAME} of {origin}", files[META_NAME])
    else:
        raise RequestError(f"{origin} has neither {MAP_NAME} nor {META_NAME} next to it, which "
                           "map devkit ids to wnids; keep the devkit's files together")
    class_names = sorted(wnids.values())
    check_class_names(class_names, f"the class map of {origin}")
    position = {wnid: label for label, wnid in enumerate(class_names)}
    labels = {}
    for number, line in enumerate(_text(f"{origin}", truth).splitlines(), start=1):
        text = line.strip()
        if not _is_number(text) or int(text) not in wnids:
            raise RequestError(f"{origin}, line {number}: '{text[:40]}' is not a devkit class id "
                               f"of its class map (1 to {len(wnids)}); give the devkit's file")
        labels[number] = position[wnids[int(text)]]
    if not labels:
        raise RequestError(f"{origin} is empty; give the devkit's validation ground truth")
    return GroundTruth(origin, class_names, labels)


def _parse_class_map(where: str, data: bytes) -> dict[int, str]:
    """Turn lines like ``n02119789 1 kit_fox`` into {1: 'n02119789'}."""
    wnids: dict[int, str] = {}
    for number, line in enumerate(_text(where, data).splitlines(), start=1):
        fields = line.split()
        if len(fields) < 2 or not _is_number(fields[1]):
            raise RequestError(f"{where}, line {number}: expected 'wnid id name', got "
                               f"'{line[:40]}'; give the devkit's file")
        _add_class(wnids, int(fields[1]), fields[0], f"{where}, line {number}")
    return wnids


def _add_class(wnids: dict[int, str], devkit_id: int, wnid: str, where: str) -> None:
    """Raise RequestError if the id or the wnid is there already: labels would shift."""
    if devkit_id in wnids or wnid in wnids.values():
        raise RequestError(f"{where}: '{wnid} {devkit_id}' appears twice; give the devkit's file")
    wnids[devkit_id] = wnid


def _parse_meta(where: str, data: bytes) -> dict[int, str]:
    try:
        table = read_class_table(data)
    except ValueError as error:
        raise RequestError(f"{where} is {error}; give the devkit's file") from None
    wnids: dict[int, str] = {}
    for devkit_id, wnid, _ in table:
        if devkit_id <= _LEAF_IDS:
            _add_class(wnids, devkit_id, wnid, where)
    return wnids


@lru_cache(maxsize=1)  # labels and words of the classes are read one after the other
def read_class_table(data: bytes) -> tuple[tuple[int, str, str], ...]:
    """Return devkit id, wnid and words of each class in the content of a ``meta.mat``: `synsets`,
    structs with ILSVRC2012_ID, WNID and words (devkit readme, section 3).

    Raises:
        ValueError: it is not the devkit's class table.
    """
    # In a process of its own, since some damaged files end SciPy's with SIGSEGV.
    done = subprocess.run([sys.executable, "-c", _READ_META], input=data, capture_output=True)
    if done.returncode:
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or ["killed"])[-1]
        raise ValueError(f"not the devkit's class table ({reason[:120]})")
    return tuple((int(devkit_id), wnid, words)
                 for devkit_id, wnid, words in json.loads(done.stdout))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS


def _text(where: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError(f"{where} is not a text file; give the original file") from None
