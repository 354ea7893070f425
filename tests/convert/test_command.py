"""What ``python -m convert`` prints of a source and of a record set, and how it refuses."""

import re
import shutil

import pytest
from PIL import Image
from reading import blacklist_of, digests

from common.files import sha256_of_lines
from convert.records.manifest import read_manifest
from convert.records.reader import open_records
from convert.sample.arrange import make_sample
from convert.sources import ilsvrc


def test_a_source_is_listed_and_nothing_written(sample, tmp_path, say):
    printed = say("run", "--source", sample, "--split", "val", "--out", tmp_path / "val", "--list")
    rows = [line.split("\t") for line in printed.out.splitlines()]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 13)]
    assert {row[1] for row in rows} == {"0", "1", "2", "3"}
    assert [row[3] for row in rows] == sorted(path.name for path in (sample / "val").iterdir())
    assert all((sample / "val" / name).stat().st_size == int(size) for _, _, size, name in rows)
    assert "(layout flat): 12 images of 4 classes" in printed.err
    assert not (tmp_path / "val").exists()


def test_a_wrong_blacklist_is_refused_where_a_source_is_listed(sample, tmp_path, fail):
    (tmp_path / "list").write_text("99\n")
    for name in ("list", "nowhere"):
        assert f"{tmp_path / name}" in fail(
            2, "run", "--source", sample, "--split", "val", "--out", tmp_path / "val", "--list",
            "--blacklist", tmp_path / name)


def test_a_sample_is_drawn_with_the_numbers_and_the_seed_that_are_given(tmp_path, say):
    make_sample(tmp_path / "expected", classes=3, train=2, val=1, seed=7)
    printed = say("sample", "--out", tmp_path / "a", "--classes", 3, "--train", 2, "--val", 1,
                  "--seed", 7).out
    assert printed == (f"{tmp_path / 'a'}: 3 classes, each of 2 training images and 1 validation "
                       "image\n")
    assert digests(tmp_path / "a") == digests(tmp_path / "expected")


def test_the_manifest_keeps_the_command_as_it_was_typed(sample, val, tmp_path, say, monkeypatch):
    """Another command for the same set finds it finished; in Python, there is none."""
    out = tmp_path / "val"
    given = ("run", "--source", sample, "--split", "val", "--out", out, "--shards", 3,
             "--blacklist", blacklist_of(sample))
    for words in (["run", "my records"], ["run", "--workers", "1"]):
        monkeypatch.setattr("sys.orig_argv", ["/bin/python3", "-m", "convert", *words])
        errors = say(*given).err
        assert read_manifest(out).argv == ["python", "-m", "convert", "run", "my records"]
    assert "is finished already" in errors
    assert digests(out) == digests(val) and '"argv"' not in (val / "manifest.json").read_text()


def test_extensions_decide_what_is_listed(tmp_path, say):
    for name in ("cat/a.webp", "cat/b.jpg", "dog/c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    printed = say("run", "--source", tmp_path, "--split", "train", "--out", tmp_path / "out",
                  "--extensions", ".webp", "--list")
    assert printed.out == "1\t0\t1\tcat/a.webp\n2\t1\t1\tdog/c.webp\n"


def test_labels_of_a_list_are_those_of_the_class_names_that_are_given(sample, source, tmp_path,
                                                                      say):
    """The list counts the classes from the last one on."""
    def listed(folder, *flags):
        printed = say("run", "--source", folder, "--split", "val", "--out", tmp_path / "val",
                      "--list", *flags).out
        return [line.split("\t") for line in printed.splitlines()]
    rows = listed(sample)
    names = sorted(path.name for path in (sample / "train").iterdir())
    for folder in ("train", "devkit"):
        shutil.rmtree(source / folder)
    truth, classes = tmp_path / "labels", tmp_path / "classes"
    truth.write_text("".join(f"{name} {3 - int(label)}\n" for _, label, _, name in rows))
    classes.write_text("\n".join(names[::-1]))
    assert listed(source, "--ground-truth", truth, "--class-names", classes) == rows


def test_parts_are_finished_verified_and_shown(sample, tmp_path, say):
    given = ("--source", sample, "--split", "val", "--out", tmp_path / "val", "--shards", 2)
    assert "1 shard with 6 images finished" in say("run", *given, "--shard-range", "0-0").out
    say("run", *given, "--shard-range", "1-1")
    finished = say("finish", *given).out
    assert "12 images of 4 classes in 2 shards" in finished
    assert "no --blacklist: only the full set can be scored" in finished
    verified = say("verify", tmp_path / "val", "--deep").out
    assert "12 images in 2 shards are as the manifest says and can all be decoded" in verified
    shown = say("show", tmp_path / "val", "--out", tmp_path / "sheet.png").out
    assert "images per class: min 3" in shown and (tmp_path / "sheet.png").stat().st_size > 0


def test_a_blacklist_next_to_the_ground_truth_is_offered(sample, tmp_path, say):
    given = ("run", "--source", sample, "--split", "val", "--out", tmp_path / "val")
    found = blacklist_of(sample)
    said = f"found {found}; use it with --blacklist {found}: without it only the full set"
    assert said in say(*given).err
    truth = sample / "devkit" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    assert said in say(*given[:-1], tmp_path / "b", "--ground-truth", truth).err
    assert said in say("run", "--source", sample / "val", *given[3:-1], tmp_path / "d").err
    assert "found" not in say(*given[:-1], tmp_path / "c", "--blacklist", found).err


def test_nothing_is_said_of_ilsvrc_or_a_blacklist_where_images_are_others(sample, tmp_path, say):
    shutil.copytree(sample / "devkit", tmp_path / "devkit")  # next to the own images
    for name in ("cats & dogs/IMG 1.JPG", "été/a|b.png", "Wild boar, 野猪/1.jpeg"):
        path = tmp_path / "my" / "val" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(path)
    printed = say("run", "--source", tmp_path / "my", "--split", "val", "--out", tmp_path / "out")
    assert "3 images of 3 classes in 3 shards" in printed.out
    assert "labels: 0 is class Wild boar, 野猪, 2 is class été" in printed.out
    for word in ("ILSVRC", "blacklist", "full set"):
        assert word not in printed.out + printed.err


def test_both_sets_in_a_folder_are_verified_and_one_that_is_damaged_fails(
        sample, val, train, tmp_path, say, fail):
    for name, records in (("val", val), ("train", train)):
        shutil.copytree(records, tmp_path / "both" / name)
    assert [line.split(" images")[0] for line in say("verify", tmp_path / "both").out.splitlines()
            ] == [f"{tmp_path}/both/train: 20", f"{tmp_path}/both/val: 12"]
    damaged = next((tmp_path / "both" / "train").glob("*.mindrecord"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert f"failed: {tmp_path}/both/train: {damaged.name} has changed" in fail(
        1, "verify", tmp_path / "both")
    repaired = say("verify", tmp_path / "both", "--repair", sample, "--blacklist",
                   blacklist_of(sample)).out
    assert f"both/train: built again: {damaged.name}" in repaired
    assert "both/val: no shard is damaged" in repaired
    assert "give one of them" in fail(2, "show", tmp_path / "both", "--out", tmp_path / "a.png")


@pytest.mark.parametrize("damaged", ["train", "val"])
@pytest.mark.parametrize("spoil, code, words", [
    (lambda path: path.write_text("{"), 2, "error: {path} is damaged"),
    (lambda path: (path.unlink(), path.mkdir()), 2, "error: "),
    (lambda path: path.with_name(f"{path.parent.name}-9.mindrecord").touch(), 1, "failed: ")])
def test_the_other_set_is_verified_in_whichever_way_one_fails(val, train, tmp_path, fail,
                                                              damaged, spoil, code, words):
    for name, records in (("val", val), ("train", train)):
        shutil.copytree(records, tmp_path / "both" / name)
    manifest = tmp_path / "both" / damaged / "manifest.json"
    other = next(path for path in (tmp_path / "both").iterdir() if path.name != damaged)
    spoil(manifest)
    errors = fail(code, "verify", tmp_path / "both")
    assert f"verifying {12 if damaged == 'train' else 20} images of {other}" in errors
    assert errors.splitlines()[-1].startswith(words.format(path=manifest))
    assert "next: " not in errors
    flagged = next(other.glob("*.mindrecord"))
    flagged.write_bytes(b"")
    last = fail(code, "verify", tmp_path / "both").splitlines()[-1]
    assert f"{manifest.parent}" in last and flagged.name in last


def test_the_last_lines_name_ignored_files(source, tmp_path, say):
    for name in "dcba":
        (source / "train" / f"{name}.tar").touch()
    given = ("--source", source, "--split", "train", "--out", tmp_path / "out")
    words = "ignored: 4 files, not images by their name or place (a.tar, b.tar, c.tar, …)"
    assert words in say("run", *given, "--list").err
    assert f"{words}, listed in {tmp_path / 'out' / 'manifest.json'}\n" in say("run", *given).out


@pytest.mark.parametrize("words, message", [
    (["--source", "none"], "error: source none is not a folder"),
    (["--workers", "0"], "error: --workers 0: give at least 1\n"),
    (["--shard-range", "3"], "error: argument --shard-range: '3' is not a range like 0-7")])
def test_a_wrong_request_ends_with_one_line(sample, tmp_path, fail, words, message):
    errors = fail(2, "run", "--source", sample, "--split", "train", "--out", tmp_path / "b", *words)
    assert errors.startswith(message) and errors.count("\n") == 1


def test_a_blacklist_of_positions_has_to_be_called_that(tmp_path, say, fail):
    for name in ("b/1.JPEG", "a/2.JPEG", "b/3.JPEG"):
        (tmp_path / "val" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "val" / name)
    (tmp_path / "list").write_text("2\n")
    given = ("run", "--source", tmp_path, "--split", "val", "--out", tmp_path / "out", "--shards",
             1, "--blacklist", tmp_path / "list")
    assert "names like 'a/2.JPEG'" in fail(2, *given)
    assert "labels: 0 is class a, 1 is class b" in say(*given, "--ids-are-positions").out
    manifest = read_manifest(tmp_path / "out")
    assert manifest.blacklist.ids_are_positions and manifest.ilsvrc_numbers is None
    assert [row["blacklisted"] for row in open_records(tmp_path / "out").rows(["blacklisted"])] == [
        0, 1, 0]
    for image, number in zip(sorted((tmp_path / "val").rglob("*.JPEG")), (3, 2, 1)):
        image.rename(image.with_name(f"ILSVRC2012_val_{number:08d}.jpg"))
    assert "ids of" in fail(2, *given, "--ids-are-positions")
    given[6].rename(tmp_path / "earlier")
    assert "of ILSVRC2012's" not in say(*given).out  # their classes are others
    assert read_manifest(tmp_path / "out").ilsvrc_numbers.images == 3
    assert "a --blacklist counts" in fail(2, *given[:-2], "--ids-are-positions")


def test_one_folder_of_classes_becomes_one_split_whichever_comes_first(tmp_path, say, fail):
    for name in ("cat/1.jpg", "dog/2.jpg"):
        (tmp_path / "pets" / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "pets" / name)
    for first, second in ("val", "train"), ("train", "val"):
        records = tmp_path / f"{first}-first"
        given = ("run", "--source", tmp_path / "pets", "--shards", 1, "--split")
        say(*given, first, "--out", records / "a")
        errors = fail(2, *given, second, "--out", records / "b")
        assert f"has, as its {second} set, the images that are in {records / 'a'} as a" in errors
        assert "--both-splits" not in errors and not (records / "b").exists()
        say(*given, first, "--out", records / "again")
        errors = fail(2, *given, first, "--out", records / "c", "--both-splits")
        assert "pets contains neither " in errors and not (records / "c").exists()


def test_options_for_validation_images_may_be_given_for_both_splits(sample, tmp_path, say, fail):
    truth = sample / "devkit" / "data" / "ILSVRC2012_validation_ground_truth.txt"
    options = ("--ground-truth", truth, "--blacklist", blacklist_of(sample), "--ids-are-positions",
               "--list")
    given = ("run", "--source", sample, "--split", "train", "--out", tmp_path / "out")
    printed = say(*given, "--both-splits", *options)
    assert printed.err.splitlines()[0] == (
        "not used for the training set, since for validation images: --blacklist, "
        "--ids-are-positions, --ground-truth")
    plain = say(*given, "--both-splits", "--list")
    assert plain.out == printed.out and "not used" not in plain.err
    assert "belongs to the validation set" in fail(2, *given, *options)
    assert "--ground-truth" in fail(2, *given, "--ground-truth", truth)


def test_unusual_training_classes_are_warned_of_and_in_the_manifest(sample, tmp_path, say,
                                                                    monkeypatch):
    names = sorted(folder.name for folder in (sample / "train").iterdir())
    monkeypatch.setattr(ilsvrc, "CLASS_NAMES_SHA256", sha256_of_lines(names))
    printed = say("run", "--source", sample, "--split", "train", "--out", tmp_path / "out")
    said = f"has ILSVRC2012's classes, but 20 images instead of 1,281,167; .*4 classes: {names[0]} "
    assert re.search(f"^warning: .* {said}", printed.err, re.MULTILINE)
    assert re.search(f"^This {said}", printed.out, re.MULTILINE)
    assert read_manifest(tmp_path / "out").ilsvrc_numbers.unusual_classes == dict.fromkeys(names, 5)
