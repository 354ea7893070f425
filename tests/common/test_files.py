"""Files that matter are replaced whole or not at all."""

import hashlib
import os

import pytest

from common.files import replaced_file, sha256_of_file, write_json


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "result.json"
    write_json(path, {"a": 1})
    old = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        with replaced_file(path) as file:
            file.write(b"half")
            raise ZeroDivisionError
    assert path.read_bytes() == old and os.listdir(tmp_path) == ["result.json"]


def test_the_new_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "x"
    with replaced_file(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"


def test_nan_is_refused_in_json(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", float("nan"))
    assert not (tmp_path / "x.json").exists()


def test_digest_is_of_all_bytes(tmp_path):
    data = os.urandom((1 << 20) + 17)
    (tmp_path / "x").write_bytes(data)
    assert sha256_of_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()
