"""What several tests need: a record set read back, apart from the code under test, and the command.
"""

import builtins
import hashlib
import io
import json
import os
import sys

from mindspore.mindrecord import FileReader

from convert.records.manifest import MANIFEST_NAME


def read_rows(folder, files="*.mindrecord"):
    """All rows of a record set in file order, as dicts with ``image`` as bytes."""
    rows = []
    for path in sorted(folder.glob(files)):
        reader = FileReader(str(path))
        rows += [{**row, "image": bytes(row["image"])} for row in reader.get_next()]
        reader.close()
    return rows


def digests(folder):
    """sha256 of every file in it, by path; of a manifest, without the command that made it."""
    return {path.relative_to(folder).as_posix(): hashlib.sha256(_content(path)).hexdigest()
            for path in folder.rglob("*") if path.is_file()}


def _content(path):
    if path.name != MANIFEST_NAME:
        return path.read_bytes()
    fields = json.loads(path.read_text())
    fields.pop("argv", None)
    return json.dumps(fields).encode()


def blacklist_of(source):
    """The sample's blacklist."""
    return source / "devkit" / "data" / "ILSVRC2015_clsloc_validation_blacklist.txt"


def command(source, out, *options):
    """The words that convert the training set in three shards."""
    return [sys.executable, "-m", "convert", "run", "--source", str(source), "--split", "train",
            "--out", str(out), "--shards", "3", *map(str, options)]


def fail_to_read(monkeypatch, victim, cause):
    """Let reads of the file fail as a disk lets them: the file can be opened, the error has no
    name."""
    def opened(path, *args, really=builtins.open, **kwargs):
        file = really(path, *args, **kwargs)
        return FailingFile(file, cause) if str(path) == str(victim) else file
    monkeypatch.setattr(builtins, "open", opened)
    monkeypatch.setattr(io, "open", opened)  # pathlib's


class FailingFile:
    def __init__(self, file, cause):
        self._file, self._cause = file, cause

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def read(self, *_):
        raise OSError(self._cause, os.strerror(self._cause))
