"""Labels that a source writes next to its images have to be the places of the sorted classes."""

import tarfile

import pytest

from common.cli import RequestError
from convert.sample.downloads import add_member
from convert.sources.split_listing import list_source

WNIDS = ("n90000001", "n90000002")


@pytest.mark.parametrize("labels, message", [
    ((0, 1), ""), ((0, 5), "_1' in .*: class n90000002 has label 5, but is number 1 of the 2 sort"),
    ((1, 0), "_0' in .*: class n90000001 has label 1, but is number 0 of the 2 sorted classes")])
def test_labels_of_a_webdataset_are_compared_with_its_wnids(tmp_path, labels, message):
    with tarfile.open(tmp_path / "imagenet1k-train-0000.tar", "w") as tar:
        for number, (wnid, label) in enumerate(zip(WNIDS, labels)):
            add_member(tar, f"{wnid}_{number}.jpg", b"x")
            add_member(tar, f"{wnid}_{number}.cls", b"%d" % label)
    if not message:
        entries = list_source(tmp_path, "train").entries
        assert [(entry.file_name, entry.label) for entry in entries] == [
            (f"{wnid}/{wnid}_{number}.JPEG", number) for number, wnid in enumerate(WNIDS)]
        return
    with pytest.raises(RequestError, match=message):
        list_source(tmp_path, "train")
