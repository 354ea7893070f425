"""A manifest that cannot be true is not believed."""

import json

import pytest

from common.cli import RequestError
from convert.conversion import convert
from convert.records.manifest import read_manifest
from convert.request import Request


@pytest.mark.parametrize("change, words", [
    (lambda fields: fields.update(images=19), "19 images in all, 20 in its shards, 20 in its"),
    (lambda fields: fields["shards"].pop(), "20 images in all, 10 in its shards"),
    (lambda fields: fields["classes"].reverse(), "its classes are not sorted"),
])
def test_a_contradiction_is_named(sample, tmp_path, change, words):
    convert(Request(sample, "train", tmp_path / "b", shards=2))
    path = tmp_path / "b" / "manifest.json"
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))
    with pytest.raises(RequestError, match=f"contradicts itself .{words}.*remove .*convert again"):
        read_manifest(tmp_path / "b")
