"""Headers read without tarfile: the same members, or tarfile is asked."""

import io
import random
import tarfile
from pathlib import Path

import pytest

from common.cli import RequestError
from convert.sources import archives
from convert.sources.tar_headers import HEADER_BYTES, plain_member

LONG = "n01440764/" * 15 + "n01440764_1.JPEG"
PLAIN = {"n01440764_1.JPEG": {}, "a/n01440764_2.JPEG": {"mtime": 1234567890.5},
         "n01440764_3.JPEG": {"mtime": 7, "uid": 1000, "uname": "bigdata"}}
OTHERS = {LONG: {}, "folder": {"type": tarfile.DIRTYPE}, "caf\xe9.JPEG": {},
          "large-uid.JPEG": {"uid": 1 << 30}, "noted.JPEG": {"pax_headers": {"comment": "x" * 600}}}


def tar_of(members, form):
    """A tar of members that have 700 bytes each, all but folders."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form) as tar:
        for name, attributes in members.items():
            info = tarfile.TarInfo(name)
            for attribute, value in attributes.items():
                setattr(info, attribute, value)
            info.size = 0 if info.isdir() else 700
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    return data.getvalue()


def listed(data):
    """What is listed of a tar: its members, then what it is refused with."""
    found = []
    try:
        found.extend(archives.members(io.BytesIO(data), Path("a.tar"), 0, len(data)))
    except RequestError as error:
        found.append(str(error))
    return found


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_regular_file_is_read_without_tarfile(form):
    for name, attributes in PLAIN.items():
        blocks = tar_of({name: attributes}, form)[:HEADER_BYTES]
        headers = HEADER_BYTES if blocks[156:157] == tarfile.XHDTYPE else 512
        assert plain_member(blocks) == (name, headers, 700)


@pytest.mark.parametrize("name", OTHERS)
def test_an_odd_member_is_left_to_tarfile(name):
    assert plain_member(tar_of({name: OTHERS[name]}, tarfile.PAX_FORMAT)[:HEADER_BYTES]) is None


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("seed", range(4))
def test_any_damage_lists_what_tarfile_would(monkeypatch, form, seed):
    draw = random.Random(seed)
    members = [*PLAIN.items(), *OTHERS.items()]
    draw.shuffle(members)
    whole = tar_of(dict(members), form)
    damaged = [whole]
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 1, 2])):
            data[draw.randrange(len(data))] = draw.choice(b"\0 7x\xff")
        damaged.append(bytes(data[:draw.choice([len(data), draw.randrange(len(data))])]))
    ours = list(map(listed, damaged))
    assert len(ours[0]) == len(PLAIN) + len(OTHERS) - 1  # all but the folder
    monkeypatch.setattr(archives, "plain_member", lambda blocks: None)
    assert ours == list(map(listed, damaged))


def test_defaults_for_all_members_are_left_to_tarfile():
    """A global extended header may rename every member after it."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", pax_headers={"path": "b.JPEG"}) as tar:
        for name in ("a.JPEG", "c.JPEG"):
            tar.addfile(tarfile.TarInfo(name))
    assert [name for name, _, _ in listed(data.getvalue())] == ["b.JPEG", "b.JPEG"]
