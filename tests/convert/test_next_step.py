"""What the commands of this package say before they begin and when they are done."""

import shlex
import shutil

import pytest
from reading import blacklist_of

from common.cli import UNDER_MAKE
from convert.sample.arrange import arrange_sample

OF_20_IMAGES = ["--batch-size", "6", "--phases", "25:0:0.001:1:1", "8:0:0.0002:0.7:1"]


@pytest.fixture(autouse=True)
def typed_in_a_shell(monkeypatch):
    monkeypatch.delenv(UNDER_MAKE, raising=False)


def next_words(errors: str) -> list[list[str]]:
    """The commands that stderr ends with, without the interpreter."""
    lines = [line.split(": ", 1) for line in errors.splitlines()]
    return [shlex.split(rest[0])[2:] for first, *rest in lines if first in ("next", "then")]


def test_each_split_names_the_other_then_the_training(sample, tmp_path, say):
    """Typed one after the other, what is shown leads to the training."""
    val, train = (str(tmp_path / "my records" / split) for split in ("val", "train"))
    source = ["--source", str(sample)]
    two = ["--shards", "2", "--on-bad", "skip"]
    of_val = ["--blacklist", str(blacklist_of(sample)), "--layout=flat"]
    first = say("run", *source, *of_val, "--split", "val", "--out", val, *two)
    line, = [line for line in first.err.splitlines() if line.startswith("converting 12 images (")]
    assert f" kB) of 4 classes from {sample} (layout flat) into 2 shards in {val}, with " in line
    check, other = next_words(first.err)
    assert check == ["convert", "verify", val]
    assert other == ["convert", "run", *source, *two, "--split", "train", "--out", train]
    assert next_words(say(*check[1:]).err) == []  # the other one is still missing
    training = ["train", "--records", train, "--val-records", val, "--run", "runs/smoke",
                "--preset", "smoke", *OF_20_IMAGES]
    assert next_words(say(*other[1:]).err) == [["convert", "verify", train], training]
    assert next_words(say("verify", train).err) == [training]
    assert f"{val} is finished already" in say("run", *source, *of_val[:2], "--split", "val",
                                               "--out", val, *two).err


def test_no_training_is_proposed_on_a_set_that_cannot_be_read(train, val, tmp_path, say):
    both = [shutil.copytree(folder, tmp_path / split)
            for split, folder in (("train", train), ("val", val))]
    assert [words[0] for words in next_words(say("verify", both[1]).err)] == ["train"]
    whole = [(folder / "manifest.json").read_bytes() for folder in both]
    for other, verified in (both, both[::-1]):
        for damaged in (b"{", whole[both.index(verified)]):  # the last one: of the same split
            (other / "manifest.json").write_bytes(damaged)
            assert next_words(say("verify", verified).err) == [["convert", "verify", str(other)]]
        (other / "manifest.json").write_bytes(whole[both.index(other)])


def test_the_other_set_of_a_folder_with_its_own_name_gets_that_name(source, tmp_path, say,
                                                                    monkeypatch):
    """Not train/ in the project's folder, which is a package of it; a set that is there counts."""
    monkeypatch.chdir(tmp_path)
    words = ["run", "--source", source, "--split"]
    _, other = next_words(say(*words, "val", "--out", "mine").err)
    assert other == ["convert", "run", "--source", str(source), "--split", "train", "--out",
                     "mine-train"]
    training = ["train", "--records", "mine-train", "--val-records", "mine"]
    assert next_words(say(*other[1:]).err)[1][:5] == training
    assert next_words(say("verify", "mine").err)[0][:5] == training
    shutil.move("mine", "mine-val")
    assert next_words(say("verify", "mine-val").err)[0][:5] == [*training[:4], "mine-val"]
    shutil.rmtree("mine-train")
    assert next_words(say(*words, "val", "--out", "mine-val").err)[1][-1] == "mine-train"
    say(*other[1:])
    shutil.move("mine-val", "val")
    monkeypatch.chdir(tmp_path / "mine-train")
    training, = next_words(say("verify", ".").err)
    assert training[:5] == ["train", "--records", ".", "--val-records", str(tmp_path / "val")]


def test_sets_of_other_classes_are_no_training(source, tmp_path, say, monkeypatch):
    out = tmp_path / "both"
    say("run", "--source", source, "--split", "val", "--out", out / "val")
    folder = sorted((source / "train").iterdir())[0]
    folder.rename(folder.with_name("n99999999"))
    said = f"warning: no training can use these sets together: {out / 'train'} has 4 classes, "
    printed = say("run", "--source", source, "--split", "train", "--out", out / "train",
                  "--allow-other-labels")
    assert said in printed.err
    assert [words[:2] for words in next_words(printed.err)] == [["convert", "verify"]]
    for split in ("train", "val"):
        printed = say("verify", out / split)
        assert said in printed.err and next_words(printed.err) == []
    monkeypatch.setenv(UNDER_MAKE, f"make verify RECORDS='{out}'")
    printed = say("verify", out)
    assert printed.err.count(said) == 1 and "next: " not in printed.err


def test_verify_says_which_of_two_sets_is_missing(val, tmp_path, say):
    shutil.copytree(val, tmp_path / "one" / "val")
    missing = f"{tmp_path / 'one' / 'train'} is no folder: the other split's record set is missing"
    assert missing in say("verify", tmp_path / "one").err.splitlines()
    assert "missing" not in say("verify", tmp_path / "one" / "val").err


def test_sets_in_folders_of_the_other_split_are_pointed_out(
        train, val, tmp_path, say, monkeypatch):
    """One split under both names, or each under the other's; alone, no set is its own other."""
    for pair in ((val, val), (val, train)):
        both = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        for name, records in zip(("train", "val"), pair):
            shutil.copytree(records, both / name)
        printed = say("verify", both)
        assert printed.out.count("as the manifest says") == 2 and next_words(printed.err) == []
        assert f"warning: {both / 'train'} holds the val set; rename" in printed.err
        with monkeypatch.context() as typed:
            typed.setenv(UNDER_MAKE, f"make verify RECORDS={both}")
            assert "next: " not in say("verify", both).err
    shutil.rmtree(both / "train")
    assert next_words(say("verify", both / "val").err) == []


def test_a_set_with_a_name_of_its_own_goes_with_that_of_its_name(train, val, tmp_path, say):
    """Rather than with one that is called after its split."""
    for name, records in (("val", val), ("a", train), ("a-val", val)):
        shutil.copytree(records, tmp_path / name)
    training, = next_words(say("verify", tmp_path / "a").err)
    assert training[3:5] == ["--val-records", str(tmp_path / "a-val")]


def test_what_follows_make_verify_and_make_convert(sample, tmp_path, say, monkeypatch):
    """After a set of 1,000 classes, the doctor."""
    out = tmp_path / "my records"
    monkeypatch.setenv(UNDER_MAKE, f"make convert RECORDS='{out}' IMAGENET=a")
    given = ["--source", str(sample), "--both-splits"]
    first = say("run", *given, "--split", "val", "--out", out / "val")
    assert "next: " not in first.err and "then: " not in first.err
    last = say("run", *given, "--split", "train", "--out", out / "train").err.splitlines()[-1]
    assert shlex.split(last) == ["next:", "make", "verify", f"RECORDS={out}"]
    monkeypatch.setenv(UNDER_MAKE, f"make verify RECORDS='{out}'")
    last = say("verify", out).err.splitlines()[-1]
    assert shlex.split(last) == [
        "next:", "make", "train-1p", "PRESET=smoke", "RUN=runs/smoke",
        f"ARGS={' '.join(OF_20_IMAGES)}", f"RECORDS={out}"]
    assert "next: " not in say("verify", out / "val").err
    monkeypatch.setattr("convert.next_step.CLASSES", 4)
    assert shlex.split(say("verify", out).err.splitlines()[-1]) == [
        "next:", "make", "doctor", f"RECORDS={out}"]


def test_the_next_conversion_keeps_what_is_of_both_splits(source, tmp_path, say):
    """Also a layout that both have, and, with --both-splits, what is not used for train."""
    arrange_sample(source, "archives")
    given = ["--source", str(source), "--layout", "archives", "--short-side", "60"]
    of_val = ["--both-splits", "--blacklist", str(blacklist_of(source))]
    split, out = (["--split", "train", "--out", str(tmp_path / "train")],
                  ["--split", "val", "--out", str(tmp_path / "val")])
    train = say("run", *split, *given, *of_val)
    assert next_words(train.err)[1] == ["convert", "run", *given, *of_val, *out]
    assert next_words(say("run", *out, *given, *of_val).err)[1][0] == "train"


@pytest.mark.parametrize("split, place", [("train", ""), ("train", "train"), ("val", "")])
def test_a_split_that_the_source_lacks_is_not_proposed(source, tmp_path, say, split, place):
    """Training images alone can be trained on; validation images need the training images."""
    shutil.rmtree(source / ("val" if split == "train" else "train"))
    out = str(tmp_path / split)
    printed = say("run", "--source", source / place, "--split", split, "--out", out)
    training = ["train", "--records", out, "--run", "runs/smoke", "--preset", "smoke",
                *OF_20_IMAGES]
    assert next_words(printed.err) == [["convert", "verify", out],
                                       *([training] if split == "train" else [])]


def test_class_folders_of_either_split_are_not_proposed_as_the_other(source, tmp_path, say):
    (source / "train").rename(tmp_path / "pets")
    printed = say("run", "--source", tmp_path / "pets", "--split", "train", "--out", tmp_path / "a")
    assert [command[0] for command in next_words(printed.err)] == ["convert", "train"]


@pytest.mark.parametrize("layout, inner", [
    ("flat", "train"), ("folders", "train"), ("kaggle", "ILSVRC/Data/CLS-LOC/train")])
def test_after_the_folder_of_one_split_the_other_is_proposed_from_the_source(
        source, tmp_path, say, layout, inner):
    arrange_sample(source, layout)
    train, val = (["--split", split, "--out", str(tmp_path / split)] for split in ("train", "val"))
    printed = say("run", "--source", source / inner, "--layout", "folders", *train)
    kept = ["--layout", "folders"] if layout == "folders" else []
    other = next_words(printed.err)[1]
    assert other == ["convert", "run", "--source", str(source), *kept, *val]
    assert next_words(say(*other[1:]).err)[1][0] == "train"


def test_what_follows_a_range_is_finish_with_the_same_words(sample, tmp_path, say, monkeypatch):
    given = ["--source", str(sample), "--split", "val", "--out", str(tmp_path / "a b"),
             "--shards", "2"]
    words = ["run", *given[:4], "--workers", "1", "--shard-range", "0-1", *given[4:]]
    printed = say(*words)
    assert "into 2 shards in" in printed.err
    assert next_words(printed.err) == [["convert", "finish", *given]]
    monkeypatch.setenv(UNDER_MAKE, "make convert ARGS='--shard-range 0-1'")
    assert next_words(say(*words).err) == [["convert", "finish", *given]]
    monkeypatch.delenv(UNDER_MAKE)
    assert "12 images of 4 classes" in say("finish", *given).out


def test_a_sample_names_its_conversion(tmp_path, say):
    printed = say("sample", "--out", tmp_path / "sample", "--classes", 2, "--train", 1, "--val", 1)
    assert "2 classes, each of 1 training image and 1 validation image" in printed.out
    assert next_words(printed.err) == [["convert", "run", "--source", str(tmp_path / "sample"),
                                        "--split", "val", "--out", "records/val"]]
