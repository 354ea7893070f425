"""Reading a record set back for the tests, apart from the code under test."""

import hashlib

from mindspore.mindrecord import FileReader


def read_rows(folder):
    """All rows of a record set in file order, as dicts with ``image`` as bytes."""
    rows = []
    for path in sorted(folder.glob("*.mindrecord")):
        reader = FileReader(str(path))
        rows += [{**row, "image": bytes(row["image"])} for row in reader.get_next()]
        reader.close()
    return rows


def digests(folder):
    """sha256 of every file in it, by path."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file()}


def blacklist_of(source):
    """The sample's blacklist."""
    return source / "devkit" / "data" / "ILSVRC2015_clsloc_validation_blacklist.txt"
