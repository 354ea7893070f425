"""A blacklist for records that were converted without one: ids decide, nothing passes silently."""

from dataclasses import replace

import numpy as np
import pytest
from small import converted, draw_image, encode_image

from common.cli import RequestError
from convert.records.manifest import FileNote
from evaluate.command import blacklist_for, mark
from evaluate.predictions import gather_predictions


@pytest.fixture(scope="module")
def plain(source, tmp_path_factory):
    """The seven images, converted without a blacklist."""
    return converted(source, tmp_path_factory.mktemp("plain") / "val", shards=2)


def listed(tmp_path, *ids):
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{image_id}\n" for image_id in ids))
    return path


def test_ids_decide_whatever_the_order_of_the_rows(plain, source, tmp_path):
    blacklist = blacklist_for(plain, source / "blacklist.txt")
    predictions = gather_predictions([7, 5, 2, 3], [0] * 4, [False] * 4, np.ones((4, 3), "f4"))
    assert mark(predictions, blacklist).blacklisted.tolist() == [True, False, True, False]
    assert blacklist_for(plain, None) is None and mark(predictions, None) is predictions


def test_the_result_is_that_of_records_converted_with_the_list(run, plain, source, tmp_path):
    assert run("a")[0] == 0
    assert run("b", records=plain, blacklist=source / "blacklist.txt")[0] == 0
    with np.load(tmp_path / "a" / "predictions.npz") as a, \
            np.load(tmp_path / "b" / "predictions.npz") as b:
        assert all(np.array_equal(a[name], b[name]) for name in a)
    assert "| filtered |      5 |" in (tmp_path / "b" / "result.md").read_text()


def test_a_list_of_more_images_than_the_records_is_refused(plain, tmp_path):
    with pytest.raises(RequestError, match="image id 8 is outside 1 to 7"):
        blacklist_for(plain, listed(tmp_path, 2, 8))


def test_an_id_that_is_missing_is_named_unless_its_image_was_rejected(source, tmp_path):
    (tmp_path / "val").mkdir()
    for path in (source / "val").iterdir():
        damaged = "00000002" in path.name
        (tmp_path / "val" / path.name).write_bytes(b"" if damaged else path.read_bytes())
    (tmp_path / "devkit").symlink_to(source / "devkit")
    gap = converted(tmp_path, tmp_path / "out", shards=1, on_bad="skip")
    assert gap.images == 6
    assert blacklist_for(gap, source / "blacklist.txt").ids == {2, 5}
    other = replace(gap, manifest=replace(gap.manifest, rejected=[FileNote("other", "bad")]))
    with pytest.raises(RequestError, match="lists image id 2, which is not in"):
        blacklist_for(other, source / "blacklist.txt")


def test_another_list_than_the_records_own_is_refused(records, source, tmp_path):
    assert blacklist_for(records, source / "blacklist.txt").ids == {2, 5}
    with pytest.raises(RequestError, match="converted with another blacklist"):
        blacklist_for(records, listed(tmp_path, 2))


def test_positions_are_no_validation_ids(source, tmp_path):
    for name in ("n1/a.JPEG", "n2/b.JPEG"):
        path = tmp_path / "imagenet" / "train" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(encode_image(draw_image(20, 20)))
    train = converted(tmp_path / "imagenet", tmp_path / "train", split="train", shards=1)
    with pytest.raises(RequestError, match=r"\(train\) are positions .'n./..JPEG' has . *"):
        blacklist_for(train, listed(tmp_path, 1))
