"""Damaged shards are built again to the same bytes, from the right images only."""

import shutil
import subprocess
import sys

import pytest
from PIL import Image
from reading import blacklist_of, digests

from common.cli import CheckFailed, RequestError
from convert.conversion import convert
from convert.request import Request
from convert.sample.arrange import arrange_sample
from convert.verify import repair, verify
from convert.workspace import BUILDING


@pytest.fixture(scope="module")
def whole(sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "records"
    convert(Request(sample, "val", out, shards=3, blacklist=blacklist_of(sample)))
    return out


@pytest.fixture
def records(whole, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(whole, tmp_path / "records")


def flip_a_byte(path, position=2_000_000):
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1
    path.write_bytes(data)


def again(sample, records, **changes):
    return Request(**{"source": sample, "split": "val", "out": records,
                      "blacklist": blacklist_of(sample), **changes})


def test_nothing_is_done_to_whole_records(sample, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.iterdir()}
    assert repair(again(sample, whole)) == []
    assert {path: path.stat().st_mtime_ns for path in whole.iterdir()} == before


def test_damaged_shards_alone_are_built_again(sample, whole, records):
    kept = records / "val-00001-of-00003.mindrecord"
    before = kept.stat().st_ino
    flip_a_byte(records / "val-00000-of-00003.mindrecord")
    (records / "val-00002-of-00003.mindrecord.db").unlink()
    assert repair(again(sample, records)) == ["val-00000-of-00003.mindrecord",
                                              "val-00002-of-00003.mindrecord"]
    assert digests(records) == digests(whole)
    assert kept.stat().st_ino == before
    verify(records, deep=True)


def test_another_layout_of_the_same_images_will_do(sample, whole, records, tmp_path):
    tars = shutil.copytree(sample, tmp_path / "tars")
    arrange_sample(tars, "archives")
    (records / "val-00000-of-00003.mindrecord").unlink()
    repair(again(tars, records))
    assert digests(records) == digests(whole)


def test_without_the_blacklist_it_is_refused(sample, records):
    flip_a_byte(records / "val-00000-of-00003.mindrecord")
    with pytest.raises(RequestError, match="with a blacklist; give it with --blacklist FILE"):
        repair(again(sample, records, blacklist=None))


def test_another_source_is_refused(sample, records, tmp_path):
    other = shutil.copytree(sample, tmp_path / "other")
    victim = sorted((other / "val").iterdir())[0]
    victim.write_bytes(victim.read_bytes() + b"\0")
    flip_a_byte(records / "val-00000-of-00003.mindrecord")
    before = digests(records)
    with pytest.raises(RequestError, match="is not what .* was made of.*source_sha256: was"):
        repair(again(other, records))
    assert digests(records) == before


def test_a_image_that_changed_without_its_size_replaces_nothing(sample, records, tmp_path):
    other = shutil.copytree(sample, tmp_path / "other")
    victim = sorted((other / "val").iterdir())[0]
    data = bytearray(victim.read_bytes())
    quantiser = data.index(b"\xff\xdb") + 10  # a byte of a table: other colours, same length
    data[quantiser] ^= 1
    victim.write_bytes(data)
    Image.open(victim).load()
    flip_a_byte(records / "val-00000-of-00003.mindrecord")
    before = digests(records)
    with pytest.raises(CheckFailed, match="val-00000-of-00003.mindrecord: built again with other"):
        repair(again(other, records))
    assert {name: digest for name, digest in digests(records).items()
            if not name.startswith(BUILDING)} == before


def test_the_command_repairs_and_verifies(sample, whole, records):
    flip_a_byte(records / "val-00001-of-00003.mindrecord")
    command = [sys.executable, "-m", "convert", "verify", records]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "val-00001-of-00003.mindrecord has changed" in done.stderr
    assert "--repair SOURCE" in done.stderr
    done = subprocess.run([*command, "--repair", sample, "--blacklist", blacklist_of(sample)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "built again: val-00001-of-00003.mindrecord\n" in done.stdout
    assert digests(records) == digests(whole)
