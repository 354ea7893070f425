"""The bytes of a record set are a contract: a change of these digests makes every set that people
have differ from one that is converted anew."""

import json

import pytest
from reading import digests, read_rows

from convert.conversion import convert
from convert.conversion_plan import ordered_entries
from convert.records.manifest import MANIFEST_NAME, read_manifest, sha256_of_rows
from convert.request import Request
from convert.sources.listing import Listing, SourceFile, entries_by_class
from convert.verify import verify

# A JPEG of 1 x 1 pixel, the smallest that libjpeg decodes.
JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300080606070605080707070909080a0c140d0c0b0b0c"
    "1912130f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc000"
    "0b080001000101011100ffc4001f0000010501010101010100000000000000000102030405060708090a0bffc400"
    "b5100002010303020403050504040000017d01020300041105122131410613516107227114328191a1082342b1c1"
    "1552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a535455565758595a63"
    "6465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6"
    "b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9faffda0008"
    "010100003f00fbd3ffd9")

GOLDEN = {
    "train-00000-of-00001.mindrecord":
        "27b19f2760896072a3a912dcece74b245753e75ad241354b40b112ae493c4cec",
    "train-00000-of-00001.mindrecord.db":
        "eaf7a42e0fe61c485f66bf6e322037ff0cd03744dfba6d7a0f3d88134e57a0cd",
}


@pytest.fixture
def folders(tmp_path):
    """Two classes of two and one images, the same bytes everywhere."""
    for name in ("n01/n01_3.JPEG", "n01/n01_12.JPEG", "n02/n02_1.JPEG"):
        path = tmp_path / "source" / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)
    return tmp_path / "source"


def test_files_and_manifest_are_as_they_always_were(folders, tmp_path):
    convert(Request(folders, "train", tmp_path / "out", shards=1, check="header"))
    found = digests(tmp_path / "out")
    del found[MANIFEST_NAME]
    assert found == GOLDEN
    fields = json.loads((tmp_path / "out" / MANIFEST_NAME).read_text())
    assert list(fields) == [
        "format_version", "split", "layout", "options", "seed", "images", "picture_bytes",
        "shrunk", "bytes_saved", "source_sha256", "rows_sha256", "classes", "shards", "blacklist",
        "ilsvrc", "repaired", "rejected", "ignored", "mindspore_version",
        "ilsvrc_numbers"]
    assert fields["picture_bytes"] == 3 * len(JPEG) == read_manifest(tmp_path / "out").image_bytes


def test_every_image_may_land_anywhere_in_the_training_order():
    """Over many seeds each place of the order holds images of the first and of the last part."""
    names = [f"c/{k:02d}.JPEG" for k in range(20)]
    entries = entries_by_class([SourceFile(name, name, 0, 1) for name in names], ["c"], "train")
    listing = Listing("train", "folders", None, ["c"], entries)
    places = {place: set() for place in range(20)}
    for seed in range(200):
        order = ordered_entries(listing, seed)
        assert sorted(order) == entries
        for place, entry in enumerate(order):
            places[place].add(entry.image_id)
    assert all(len(found) == 20 for found in places.values())


def test_a_rejected_image_on_the_blacklist_is_neither_stored_nor_counted(source, tmp_path):
    listed = source / "list.txt"
    listed.write_text("2\n5\n")
    (source / "val" / "ILSVRC2012_val_00000005.JPEG").write_bytes(b"no image")
    manifest = convert(Request(source, "val", tmp_path / "out", shards=2, blacklist=listed,
                               on_bad="skip"))
    rows = read_rows(tmp_path / "out")
    assert [row["image_id"] for row in rows if row["blacklisted"]] == [2]
    assert (manifest.blacklist.ids, manifest.blacklist.images, manifest.images) == (2, 1, 11)
    assert [note.file_name for note in manifest.rejected] == ["ILSVRC2012_val_00000005.JPEG"]
    assert manifest.rows_sha256 == sha256_of_rows(
        (row["image_id"], row["label"], row["blacklisted"]) for row in rows)
    assert verify(tmp_path / "out").images == 11


def test_a_deep_check_decodes_every_image_of_every_shard(folders, tmp_path, say, fail):
    """A header check accepts an image that begins again after its data; a deep one finds it."""
    broken = JPEG[:-2] + b"\xff\xd8" + JPEG[-2:]
    convert(Request(folders, "train", tmp_path / "whole", shards=2, check="header"))
    last = {f"train-0000{k}-of-00002.mindrecord": read_rows(
        tmp_path / "whole", f"train-0000{k}-*.mindrecord")[-1]["file_name"] for k in range(2)}
    for name in last.values():
        (folders / "train" / name).write_bytes(broken)
    convert(Request(folders, "train", tmp_path / "out", shards=2, check="header"))
    assert "3 images in 2 shards are as" in say("verify", tmp_path / "out").out
    errors = fail(1, "verify", tmp_path / "out", "--deep")
    assert all(f"{shard}: {name}: undecodable" in errors for shard, name in last.items())
