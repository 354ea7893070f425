"""Labels of the flat validation folder, from the files of the ILSVRC devkit.

The devkit numbers the classes 1 to 1000 in an order of its own (n02119789 is 1), which is not the
order of the sorted wnids that everybody trains with (n01440764 is 0): `map_clsloc.txt` maps one to
the other.
"""

from pathlib import Path
from typing import Dict, List, Optional, Tuple

from common import RequestError

_TRUTH_PATTERN = "*validation_ground_truth.txt"
_MAP_NAME = "map_clsloc.txt"


def find_ground_truth(source: Path) -> Optional[Path]:
    """The one ground-truth file under ``source`` (``data/``, ``*/data/``), or None.

    Raises:
        RequestError: there are several.
    """
    folders = [source, source / "data", *sorted(source.glob("*/data"))]
    found = [path for folder in folders for path in sorted(folder.glob(_TRUTH_PATTERN))]
    if len(found) > 1:
        raise RequestError("several ground truths: " + ", ".join(map(str, found)) +
                           "; choose with --ground-truth FILE")
    return found[0] if found else None


def read_ground_truth(truth: Path) -> Tuple[List[int], List[str]]:
    """Read a devkit ground truth and the class map beside it.

    Returns:
        labels: the 0-based label (position in the sorted wnids) of validation image k at k - 1.
        class_names: the sorted wnids.

    Raises:
        RequestError: a file is missing or a line is not of its form.
    """
    wnids = _read_class_map(truth.with_name(_MAP_NAME))
    class_names = sorted(wnids.values())
    label_of = {devkit_id: class_names.index(wnid) for devkit_id, wnid in wnids.items()}
    labels = [label_of[devkit_id] for devkit_id in _read_devkit_ids(truth, label_of)]
    return labels, class_names


def _read_devkit_ids(truth: Path, known: Dict[int, int]) -> List[int]:
    ids = []
    for number, line in enumerate(_lines(truth), start=1):
        text = line.strip()
        if not text.isdecimal() or int(text) not in known:
            raise RequestError(f"{truth}, line {number}: '{text[:40]}' is not a devkit class id "
                               f"of {_MAP_NAME} (1 to {len(known)}); give the devkit's file")
        ids.append(int(text))
    if not ids:
        raise RequestError(f"{truth} is empty; give the devkit's validation ground truth")
    return ids


def _read_class_map(path: Path) -> Dict[int, str]:
    """Read lines ``n02119789 1 kit_fox`` into {1: 'n02119789'}."""
    wnids: Dict[int, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split()
        if len(fields) < 2 or not fields[1].isdecimal():
            raise RequestError(f"{path}, line {number}: expected 'wnid id name', got "
                               f"'{line[:40]}'; give the devkit's file")
        wnid, devkit_id = fields[0], int(fields[1])
        if devkit_id in wnids or wnid in wnids.values():
            raise RequestError(f"{path}, line {number}: '{wnid} {devkit_id}' is there twice; "
                               "give the devkit's file")
        wnids[devkit_id] = wnid
    return wnids


def _lines(path: Path) -> List[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise RequestError(f"{path} does not exist; ground truth and {_MAP_NAME} of the ILSVRC "
                           "devkit must lie side by side") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not a text file; give the devkit's file") from None
