"""How many shards, how large pages, and what the manifest says of the whole."""

import importlib.metadata
import json
from pathlib import Path

import pytest
from PIL import Image
from reading import blacklist_of, read_rows

from common.cli import RequestError
from common.files import sha256_of_file
from convert.conversion import convert
from convert.conversion_plan import plan_conversion
from convert import conversion_plan
from convert.images import ImageChecks
from convert.records.manifest import MANIFEST_NAME
from convert.request import Request
from convert.sources.listing import Entry, Listing

MIB, GIB = 1 << 20, 1 << 30


def listing(sizes):
    return Listing("train", "folders", Path("in"), ["a", "b"], [
        Entry(f"a/{k}.jpg", k % 2, k + 1, f"a/{k}.jpg", 0, size) for k, size in enumerate(sizes)])


@pytest.mark.parametrize("sizes, shards, page, known", [
    ([1] * 3, 3, 1 * MIB, True), ([1] * 9, 4, 1 * MIB, True),
    ([16 * MIB] * 4, 4, 32 * MIB, False),  # 64 MB is not small; one per image at most
    ([16 * MIB] * 3 + [16 * MIB - 1], 4, 32 * MIB, True),
    ([4 * MIB] * 16, 8, 8 * MIB, False), ([2 * MIB] * 40 + [6 * MIB + 1], 8, 16 * MIB, False),
    ([64 * MIB] * 191, 8, 128 * MIB, False),  # 11.9 GB: to 8, not 16
    ([64 * MIB] * 193, 16, 128 * MIB, False), ([100 * MIB] * 1410, 136, 200 * MIB, False),
    ([128 * MIB, 1], 2, 256 * MIB, False), ([512 * 1024, 1], 2, 1 * MIB, True),
    ([512 * 1024 + 1, 1], 2, 2 * MIB, True)])
def test_shards_and_pages_follow_from_the_sizes_of_images(monkeypatch, sizes, shards, page, known):
    monkeypatch.setattr(conversion_plan, "list_request", lambda *_: listing(sizes))
    plan = plan_conversion(Request("in", "train", "out"))
    assert len(plan.shards) == shards
    assert {shard.page_bytes for shard in plan.shards} == {page}
    assert plan.options.get("page_bytes") == (page if known else None)
    lengths = [len(shard.entries) for shard in plan.shards]
    assert sum(lengths) == len(sizes) and max(lengths) - min(lengths) <= 1


def test_pages_of_a_set_that_is_built_again_are_as_they_were(monkeypatch):
    monkeypatch.setattr(conversion_plan, "list_request", lambda *_: listing([1] * 6))
    for shards in (None, 3):
        plan = plan_conversion(Request("in", "train", "out", shards=shards), page_bytes=3 * MIB)
        assert {shard.page_bytes for shard in plan.shards} == {plan.options["page_bytes"]} == {
            3 * MIB}


def test_an_image_that_no_page_holds_is_named(monkeypatch):
    monkeypatch.setattr(conversion_plan, "list_request", lambda *_: listing([1, 128 * MIB + 1, 2]))
    with pytest.raises(RequestError, match=rf"in/a/1.jpg: image of {128 * MIB + 1} bytes is too"):
        plan_conversion(Request("in", "train", "out"))


@pytest.mark.parametrize("options, checks", [
    ({}, ImageChecks(True, None, 90)), ({"check": "header"}, ImageChecks(False, None, 90)),
    ({"short_side": 7}, ImageChecks(True, 7, 90)),
    ({"short_side": 7, "quality": 5}, ImageChecks(True, 7, 5))])
def test_options_decide_how_images_are_checked(monkeypatch, options, checks):
    monkeypatch.setattr(conversion_plan, "list_request", lambda *_: listing([1, 2]))
    plan = plan_conversion(Request("in", "train", "out", **options))
    assert {shard.checks for shard in plan.shards} == {checks}


def test_the_manifest_says_what_was_asked_for_and_what_was_made(source, tmp_path):
    """Each value is worked out from the source and the records; of two notes the first sorts last
    among the images of its class."""
    names = sorted(path.name for path in (source / "val").iterdir())
    for name in (names[8], names[2]):
        Image.open(source / "val" / name).convert("CMYK").save(source / "val" / name, "JPEG")
    for name in (names[10], names[4]):
        (source / "val" / name).write_bytes(b"")
    for name in ("z.txt", "b.txt"):
        (source / "val" / name).touch()
    (source / "list").write_text("5\n6\n12\n")
    out = tmp_path / "out"
    convert(Request(source, "val", out, shards=5, seed=3, blacklist=source / "list", short_side=80,
                    quality=70, on_bad="skip"), ["typed"])
    fields, rows = json.loads((out / MANIFEST_NAME).read_text()), read_rows(out)
    images = {row["file_name"]: row["image"] for row in rows}
    assert images.keys() == set(names) - {names[4], names[10]}
    kept = [(source / "val" / name).stat().st_size - len(data) for name, data in images.items()
            if min(Image.open(source / "val" / name).size) > 80]
    expected = {
        "format_version": 1, "split": "val", "layout": "flat", "seed": 3, "images": 10,
        "picture_bytes": sum(map(len, images.values())), "shrunk": len(kept),
        "bytes_saved": sum(kept), "ilsvrc": None, "ignored": ["b.txt", "z.txt"],
        "mindspore_version": importlib.metadata.version("mindspore"), "argv": ["typed"],
        "rejected": [{"file_name": names[k], "reason": "empty file"} for k in (4, 10)],
        "ilsvrc_numbers": {"images": 12, "expected": 50_000, "unusual_classes": {}},
        "blacklist": {"sha256": fields["options"]["blacklist_sha256"], "ids": 3, "images": 2,
                      "is_ilsvrc": False, "ids_are_positions": False}}
    assert {name: fields[name] for name in expected} == expected
    assert fields["options"] == {
        "split": "val", "seed": 3, "check": "decode", "short_side": 80, "quality": 70, "writer": 1,
        "blacklist_sha256": "29ebe496f1be20bbb0c91a7432a2199a8235fe8df8e5f3a2690cf5ca2985b067",
        "shards": 5, "source_sha256": fields["source_sha256"], "images": 12}
    repaired = [note["file_name"] for note in fields["repaired"]]
    assert repaired == sorted(repaired) and {names[2], names[8]} <= {*repaired}
    assert [item["images"] for item in fields["classes"]] == [
        sum(row["label"] == label for row in rows) for label in range(4)]
    assert [item["words"] for item in fields["classes"]][0] == "pink stripes on red"
    for index, shard in enumerate(fields["shards"]):
        path = out / f"val-0000{index}-of-00005.mindrecord"
        assert shard == {
            "file": path.name, "images": len(read_rows(out, path.name)),
            "bytes": path.stat().st_size, "sha256": sha256_of_file(path),
            "index_bytes": path.with_name(f"{path.name}.db").stat().st_size,
            "index_sha256": sha256_of_file(f"{path}.db")}


def test_ids_of_the_sample_s_blacklist_are_in_the_options(sample, tmp_path):
    plans = [plan_conversion(Request(sample, "val", tmp_path, blacklist=listed))
             for listed in (blacklist_of(sample), None)]
    assert [plan.options["blacklist_sha256"] is None for plan in plans] == [False, True]
    assert [sum(len(shard.blacklisted) for shard in plan.shards) for plan in plans] == [1, 0]
