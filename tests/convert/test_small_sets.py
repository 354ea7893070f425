"""Sets below 64 MB: four files with small pages, where nothing else was asked for."""

import os
from dataclasses import replace

import pytest

from common.cli import RequestError
from common.files import write_json
from convert import conversion_plan
from convert.conversion import convert
from convert.conversion_plan import PAGE_STEP_BYTES, SMALL_SET_PAGE_STEP_BYTES, plan_conversion
from convert.records.manifest import MANIFEST_NAME, read_manifest
from convert.records.reader import open_records
from convert.request import Request
from convert.shards import build_shards
from convert.verify import repair, verify
from convert.workspace import locked_workspace


def test_a_small_set_is_few_small_files(sample, tmp_path):
    manifest = convert(Request(sample, "train", tmp_path / "out"))
    assert len(manifest.shards) == 4
    for shard in manifest.shards:
        assert shard.bytes < manifest.image_bytes + (3 << 20)  # header and two pages
    assert manifest.options["page_bytes"] == SMALL_SET_PAGE_STEP_BYTES
    assert [int(row["image_id"]) for row in open_records(tmp_path / "out").rows(["image_id"])]


@pytest.mark.parametrize("shards, small, expected", [
    (None, True, (4, SMALL_SET_PAGE_STEP_BYTES)), (1, True, (1, PAGE_STEP_BYTES)),
    (3, True, (3, PAGE_STEP_BYTES)), (None, False, (8, PAGE_STEP_BYTES))])
def test_size_and_request_decide_on_files_and_pages(sample, tmp_path, monkeypatch, shards, small,
                                                    expected):
    """What is asked for has the bytes that it always had."""
    if not small:
        monkeypatch.setattr(conversion_plan, "SMALL_SET_BYTES", 1)
    plan = plan_conversion(Request(sample, "train", tmp_path / "out", shards=shards))
    assert (len(plan.shards), plan.shards[0].page_bytes) == expected
    assert ("page_bytes" in plan.options) == (expected[1] == SMALL_SET_PAGE_STEP_BYTES)


@pytest.mark.parametrize("first, second", [(None, 4), (4, None)])
def test_the_size_of_pages_makes_no_other_set(sample, tmp_path, first, second):
    """Nobody asks for it: it is never what differs between two requests."""
    out = tmp_path / "out"
    plans = [plan_conversion(Request(sample, "train", out, shards=n)) for n in (first, second)]
    assert plans[0].workspace_request() == plans[1].workspace_request()
    manifest = convert(plans[0].request)
    assert convert(plans[1].request) == manifest
    with pytest.raises(RequestError, match=r"another record set \(shards: was 4, now 2\)"):
        convert(Request(sample, "train", out, shards=2))


def test_a_half_done_conversion_of_an_older_version_is_resumed(sample, tmp_path):
    """It wrote the size of pages into its request; a shard with pages of another size is built
    again."""
    request = Request(sample, "train", tmp_path / "out")
    plan = plan_conversion(request)
    page_bytes = 2 * SMALL_SET_PAGE_STEP_BYTES
    with locked_workspace(request.out, plan.workspace_request()) as workspace:
        first, second = plan.shards[:2]
        build_shards(request, [first, replace(second, page_bytes=page_bytes)], workspace)
        write_json(workspace.building / "request.json",
                   {**plan.workspace_request(), "page_bytes": page_bytes})
        built = os.stat(workspace.building / "00000" / first.file).st_ino
    manifest = convert(request)
    assert os.stat(request.out / first.file).st_ino == built
    assert manifest == convert(replace(request, out=tmp_path / "anew"))


def test_a_set_without_images_is_refused(tmp_path):
    for name in ("a/1.jpg", "b/2.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    with pytest.raises(RequestError, match="none of 2 images of .* can be used .the first, 'a/1"):
        convert(Request(tmp_path / "in", "train", tmp_path / "out", on_bad="skip"))
    assert not (tmp_path / "out" / MANIFEST_NAME).exists()


def test_a_page_holds_the_largest_image(sample, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion_plan, "SMALL_SET_PAGE_STEP_BYTES", 4096)
    manifest = convert(Request(sample, "val", tmp_path / "out"))
    assert manifest.options["page_bytes"] % 4096 == 0 and verify(tmp_path / "out").images == 12


def test_a_small_set_is_repaired_to_the_byte(sample, tmp_path):
    request = Request(sample, "train", tmp_path / "out")
    name = convert(request).shards[0].file
    (tmp_path / "out" / name).unlink()
    assert repair(request) == [name]
    verify(tmp_path / "out")


def test_a_set_that_an_older_version_made_by_default_is_left_as_it_is(sample, tmp_path):
    older = convert(Request(sample, "train", tmp_path / "out", shards=8))
    assert convert(Request(sample, "train", tmp_path / "out")) == older
    assert read_manifest(tmp_path / "out") == older
