"""ImageNet's own tars: complete or refused, with the place where they stop being one."""

import gzip
import io
import os
import shutil
import tarfile

import pytest

from common.cli import RequestError
from convert.sample.arrange import arrange_sample
from convert.sources.layouts import SPLITS
from convert.sources.listing import read_entry
from convert.sources.split_listing import list_source

VAL_NAME = "ILSVRC2012_val_00000001.JPEG"


@pytest.fixture
def archives(source):
    """The sample as archives, which a test may spoil."""
    arrange_sample(source, "archives")
    return source


def tar_of(*members):
    """A tar of (name or TarInfo, content), as bytes."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def class_tar(name, *images):
    return name, tar_of(*((image, b"") for image in images))


def special(name, **attributes):
    member = tarfile.TarInfo(name)
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    return member


@pytest.mark.parametrize("member, words", [
    (special(f"/{VAL_NAME}"), "points outside"),
    (special(f"a/../../{VAL_NAME}"), "points outside"),
    (special(VAL_NAME, type=tarfile.SYMTYPE, linkname="/etc/passwd"), "not a regular file"),
    (special(VAL_NAME, type=tarfile.LNKTYPE, linkname="/etc/passwd"), "not a regular file"),
    (special(VAL_NAME, type=tarfile.FIFOTYPE), "not a regular file"),
    (special(VAL_NAME, pax_headers={"GNU.sparse.map": "0,0", "GNU.sparse.size": "0"}),
     "not a regular file"),
    (special(os.fsdecode(b"caf\xe9.JPEG")), "xe9.JPEG' in .* is not a UTF-8 name"),
])
def test_unsafe_archive_members_are_refused_by_name(tmp_path, member, words):
    archive = tmp_path / "ILSVRC2012_img_val.tar"
    archive.write_bytes(tar_of((member, b"")))
    with pytest.raises(RequestError, match=words) as error:
        list_source(tmp_path, "val")
    assert str(archive) in str(error.value)
    assert member.name.lstrip("/").split("\udce9")[0] in str(error.value)


IMAGE_OF_1000 = special("a.JPEG", size=1000).tobuf()


@pytest.mark.parametrize("members, words", [
    ([class_tar("n01440764.JPEG")], "'n01440764.JPEG' in .* is not a class tar"),
    ([class_tar("n01440764.tar", "a.JPEG")] * 2, "'n01440764.tar' appears twice"),
    ([class_tar("n01440764.tar", "a.txt")], "'n01440764.tar' in .* contains no images"),
    ([class_tar("n01440764.tar", "n01440764_1.JPEG", "f/n01443537_2.JPEG")],
     "'n01443537_2.JPEG' in 'n01440764.tar' in .* is of class n01443537 by its name"),
    ([("n1.tar", b"not a tar".ljust(512)), class_tar("n2.tar", "b.JPEG")],
     "'n1.tar' in .* is not a whole tar archive .there is no tar header, at its start"),
    ([("n1.tar", tar_of()), class_tar("n2.tar", "b.JPEG")],
     "'n1.tar' in .* contains no images .*fetch the archive again"),
    ([("n1.tar", IMAGE_OF_1000 + bytes(900)), class_tar("n2.tar", "b.JPEG")],
     r"img_train.tar is not a whole tar archive \('a.JPEG' continues past the end"),
])
def test_a_tar_that_is_not_the_training_archive_is_refused(tmp_path, members, words):
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(tar_of(*members))
    with pytest.raises(RequestError, match=words):
        list_source(tmp_path, "train")


def split_at_third_header(archive):
    """The bytes of a tar before its third member, and from there on."""
    with tarfile.open(archive) as tar:
        position = tar.getmembers()[2].offset
    data = archive.read_bytes()
    return data[:position], data[position:]


@pytest.mark.parametrize("damage, words", [
    (lambda before, rest: before, "it ends without"),
    (lambda before, rest: before + bytes(512), "it ends without"),
    (lambda before, rest: before + b"x" + rest[1:], "there is no tar header"),
    (lambda before, rest: before + bytes(512) + rest[512:], "zeros are followed by more data"),
    (lambda before, rest: before + bytes(2 << 20), "zeros begin, more than"),
])
@pytest.mark.parametrize("split", ["train", "val"])
def test_an_archive_that_ends_too_early_is_refused(archives, split, damage, words):
    archive = archives / f"ILSVRC2012_img_{split}.tar"
    before, rest = split_at_third_header(archive)
    archive.write_bytes(damage(before, rest))
    with pytest.raises(RequestError, match=rf"{archive} is not a whole tar archive .{words}.*, "
                                           rf"after '.*', at byte {len(before)}\); fetch"):
        list_source(archives, split)


@pytest.mark.parametrize("blocks, whole", [(20, True), (13, True), (22, False), (23, False)])
def test_zeros_longer_than_a_record_that_fits_the_size_are_no_end(archives, monkeypatch, blocks,
                                                                  whole):
    """22 blocks can be two records of 11, whose last would end in fewer zeros; 23 are no records
    of several blocks."""
    monkeypatch.setattr("convert.sources.archives.MAX_RECORD_BYTES", 20 * 512)
    image = tar_of(("n01440764_1.JPEG", b"x"))[:1024]
    (archives / "ILSVRC2012_img_train.tar").write_bytes(tar_of(
        ("n01440764.tar", image.ljust(512 * blocks, b"\0")), class_tar("n01443537.tar", "a.JPEG")))
    if whole:
        assert len(list_source(archives, "train").entries) == 2
    else:
        with pytest.raises(RequestError, match="'n01440764.tar' in .*zeros begin, more than"):
            list_source(archives, "train")


@pytest.mark.parametrize("damage, words", [
    (lambda data: data[:512], "it ends without"),
    (lambda data: b"x" + data[1:], "there is no tar header"),
    (lambda data: bytes(512) + data[512:] + class_tar("", "b.JPEG")[1], "zeros are followed"),
    (lambda data: data[:-100], "its size is not a multiple of 512"),
])
def test_a_class_tar_that_ends_too_early_is_refused(tmp_path, damage, words):
    (first, data), second = class_tar("n1.tar", "a.JPEG"), class_tar("n2.tar", "b.JPEG")
    archive = tmp_path / "ILSVRC2012_img_train.tar"
    archive.write_bytes(tar_of((first, damage(data)), second))
    with pytest.raises(RequestError, match=f"'n1.tar' in {archive} is not a whole tar.*{words}"):
        list_source(tmp_path, "train")


@pytest.mark.parametrize("size", [512, 512 + 999])
@pytest.mark.parametrize("split, member", [("train", "n1.tar"), ("val", VAL_NAME)])
def test_a_member_that_the_archive_cuts_short_is_named(tmp_path, split, member, size):
    """The header is whole, the data is not: tarfile alone would not notice while listing."""
    archive = tmp_path / f"ILSVRC2012_img_{split}.tar"
    archive.write_bytes(special(member, size=1000).tobuf().ljust(size, b"x"))
    with pytest.raises(RequestError, match=f"{archive} is not a whole tar archive .'{member}' "
                                           "continues past"):
        list_source(tmp_path, split)


def test_a_member_that_continues_over_lost_blocks_is_named(tmp_path):
    """Where whole blocks are missing, a member ends where a later one does."""
    names = [f"ILSVRC2012_val_{number:08d}_n0144076{number}.JPEG" for number in range(1, 5)]
    data = tar_of((names[0], bytes(1500)), *((name, bytes(500)) for name in names[1:]))
    (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(data[:1024] + data[2048:])
    listing = list_source(tmp_path, "val")
    assert [entry.image_id for entry in listing.entries] == [1, 3, 4]
    with pytest.raises(RequestError, match="_00000001.JPEG' continues over the header of another"):
        read_entry(tmp_path, listing.entries[0])
    assert read_entry(tmp_path, listing.entries[1]) == bytes(500)


def test_an_archive_is_listed_by_sorted_class_with_its_own_extensions(tmp_path):
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(tar_of(
        (special("folder", type=tarfile.DIRTYPE), b""),
        class_tar("n2.tar", "b.WEBP", "a.JPEG"), class_tar("n1.tar", "c.webp")))
    listing = list_source(tmp_path, "train", extensions=(".webp",))
    assert listing.class_names == ["n1", "n2"]
    assert [(e.file_name, e.label, e.image_id) for e in listing.entries] == [
        ("n1/c.webp", 0, 1), ("n2/b.WEBP", 1, 2)]
    assert listing.ignored == ["n2/a.JPEG"]


@pytest.mark.parametrize("format, damage, words", [
    (tarfile.GNU_FORMAT, bytes(512), "a member has no name"),
    (tarfile.PAX_FORMAT, bytes(512), "an extended header is damaged"),
    (tarfile.PAX_FORMAT, b"9", "an extended header is damaged"),
])
def test_a_damaged_extended_header_does_not_cut_a_name(tmp_path, format, damage, words):
    """A name of more than 100 bytes stands in a block that has no checksum."""
    data = special("x" * 120 + f"/{VAL_NAME}").tobuf(format)
    (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(
        data[:512] + damage + data[512 + len(damage):] + bytes(1024))
    with pytest.raises(RequestError, match=words):
        list_source(tmp_path, "val")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_LONGNAME,
                                  tarfile.XGLTYPE, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE])
@pytest.mark.parametrize("first", [True, False])
def test_an_image_that_a_damaged_type_makes_an_extended_header_is_not_lost(tmp_path, kind, first):
    name, (_, other) = "n01440764_1.JPEG", class_tar("", "n01440764_2.JPEG")
    image = special(name, type=kind, size=99).tobuf() + b"\xff\xd8\xff\xe0\0\x10JFIF\0".ljust(512)
    data = image + other if first else other[:512] + image + other
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(
        tar_of(("n01440764.tar", data), class_tar("n01443537.tar", "a.JPEG")))
    with pytest.raises(RequestError, match="'n01440764.tar' in .* is not a whole tar archive"):
        list_source(tmp_path, "train")


def test_what_macos_packs_is_ignored_by_name(archives):
    companion = special("._truth_validation_ground_truth.txt")
    clean = {split: list_source(archives, split).sha256() for split in SPLITS}
    inner = tar_of(("._a.JPEG", b""), ("a.JPEG", b"x"), ("__MACOSX/b.JPEG", b""))
    with tarfile.open(archives / "ILSVRC2012_img_val.tar", "a") as tar:
        tar.addfile(special(f"val/._{VAL_NAME}"))
    devkit = archives / "ILSVRC2012_devkit_t12.tar.gz"
    with tarfile.open(devkit) as tar:
        files = [(member, tar.extractfile(member).read()) for member in tar if member.isfile()]
    devkit.write_bytes(tar_of((companion, b"1"), *files))  # as a browser unpacks it
    assert list_source(archives, "val").ignored == [f"val/._{VAL_NAME}"]
    assert list_source(archives, "val").sha256() == clean["val"]
    (archives / "ILSVRC2012_img_train.tar").write_bytes(tar_of(
        ("._n1.tar", b"x"), ("n1.tar", inner), ("__MACOSX/._n2.tar", b"x"), ("n2.tar", inner)))
    listing = list_source(archives, "train")
    assert [entry.file_name for entry in listing.entries] == ["n1/a.JPEG", "n2/a.JPEG"]
    assert listing.ignored == ["._n1.tar", "__MACOSX/._n2.tar", *(
        f"{name}/{companion}" for name in ("n1", "n2")
        for companion in ("._a.JPEG", "__MACOSX/b.JPEG"))]


@pytest.mark.parametrize("damage, words", [
    (lambda data: data[:-8], "cannot be read as an archive .*end-of-stream"),
    (lambda data: data + b"more", "cannot be read as an archive .Not a gzipped file"),
    (lambda data: data[:-6] + bytes(2) + data[-4:], "cannot be read as an archive .CRC"),
    (lambda data: gzip.compress(gzip.decompress(data)[:-20000]), "is not a whole tar archive"),
])
def test_a_devkit_archive_is_complete_or_refused(archives, damage, words):
    devkit = archives / "ILSVRC2012_devkit_t12.tar.gz"
    devkit.write_bytes(damage(devkit.read_bytes()))
    with pytest.raises(RequestError, match=f"{devkit} {words}"):
        list_source(devkit.parent, "val")


def test_the_first_devkit_archive_counts_or_an_unpacked_one(sample, archives):
    sha256 = list_source(sample, "val").sha256()
    (archives / "ILSVRC2013_devkit.tar.gz").write_bytes(b"damaged")
    with tarfile.open(archives / "ILSVRC2012_img_val.tar", "a") as tar:
        tar.addfile(tarfile.TarInfo("notes.txt"))
    listing = list_source(archives, "val")
    assert listing.ignored == ["notes.txt"]
    assert listing.sha256() == sha256
    devkit = archives / "ILSVRC2012_devkit_t12.tar.gz"
    os.truncate(devkit, 300)
    with pytest.raises(RequestError, match="devkit_t12.tar.gz cannot be read"):
        list_source(archives, "val")
    for path in archives.glob("*devkit*.tar.gz"):
        path.unlink()
    with pytest.raises(RequestError, match="contains validation images without labels"):
        list_source(archives, "val")
    shutil.copytree(sample / "devkit", archives / "devkit", dirs_exist_ok=True)
    assert list_source(archives, "val").sha256() == sha256
