"""What the commands show besides their results: help, progress, the line of an interruption."""

import json
import re
import sys

import pytest
from PIL import Image
from reading import blacklist_of

from common.cli import run_command
from convert import conversion, shards, verify as verify_module
from convert.__main__ import main
from convert.conversion import convert, convert_range
from convert.request import Request
from convert.verify import verify

ABOUT = {
    "sample": "draw a small ImageNet-like set of images, to try the rest on",
    "run": "Convert one split into a record set. Stopped at any moment, the same command resumes "
           "from the shards that are finished.",
    "finish": "Make the record set of the shards that run --shard-range built, on one host or "
              "several. Give the same arguments as to run, without --shard-range.",
    "verify": "compare every file and row of a record set with its manifest",
    "show": "contact sheet and figures of a record set"}


@pytest.fixture
def shown_at_exit(monkeypatch, capsys):
    """What the command prints that ends with --help or --version."""
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["convert", *words])
        with pytest.raises(SystemExit) as ended:
            run_command(main)
        assert ended.value.code == 0
        return " ".join(capsys.readouterr().out.split())
    return run


def test_help_says_what_each_command_is_for_and_takes(shown_at_exit):
    whole = shown_at_exit("--help")
    assert "Turn ImageNet images into sharded MindRecord files." in whole
    for name, about in ABOUT.items():
        own = shown_at_exit(name, "--help")
        assert about in own and f"usage: python -m convert {name} " in own
        assert shown_at_exit(name, "--version").startswith("imagenet-mindrecord ")
    for line in ("sample draw a small ImageNet-like set", "run convert one split into a record set",
                 "finish make the record set of the shards that run --shard-range built",
                 "verify compare every file and row", "show contact sheet and figures"):
        assert line in whole
    flags = {name: set(re.findall(r"\[?(--[a-z-]+)", shown_at_exit(name, "--help").split(
        "options:")[1])) for name in ABOUT}
    assert flags["run"] - flags["finish"] == {
        "--shard-range", "--list", "--workers", "--backend", "--scheduler"}
    assert flags["finish"] < flags["run"]
    assert flags["verify"] - {"--help", "--version", "--deep", "--repair"} == {
        "--blacklist", "--ids-are-positions", "--ground-truth", "--class-names", "--layout",
        "--extensions", "--no-lock", "--workers", "--backend", "--scheduler"}


def test_progress_counts_what_an_earlier_process_did(sample, tmp_path, bars, say):
    say("sample", "--out", tmp_path / "small", "--classes", 3, "--train", 4, "--val", 1)
    request = Request(sample, "train", tmp_path / "b", shards=3)
    assert [report.shard.images for report in convert_range(request, 0, 1)] == [6, 7]
    convert(request)
    verify(tmp_path / "b", deep=True)
    assert bars() == [
        ("sample", "images", 0, 15, 15), ("convert train", "images", 0, 13, 13),
        ("convert train", "images", 13, 20, 20), ("verify files", "shards", 0, 3, 3),
        ("verify rows", "images", 0, 20, 20), ("verify images", "images", 0, 20, 20)]


@pytest.mark.parametrize("words, place, name, line", [
    (["run"], conversion, "build_shards", "finished shards are kept in {out}; the same command "
     "resumes: "),
    (["finish"], conversion, "locked_workspace", "the shards in {out} are kept; start it again: "),
    (["verify"], verify_module, "build_shards", "shards that were built again are kept in {out}; "
     "start it again: "),
    (["sample"], shards, "build_shard", None)])
def test_an_interruption_says_what_is_kept(sample, records, fail, monkeypatch, words, place, name,
                                           line):
    def interrupted(*_, **__):
        raise KeyboardInterrupt
    monkeypatch.setattr(place, name, interrupted)
    monkeypatch.setattr("convert.sample.arrange.write_devkit", interrupted)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "convert", *words])
    out = records if words == ["verify"] else records.with_name("new")
    if words == ["verify"]:
        next(out.glob("*.db")).unlink()
        words = ["verify", out, "--repair", sample, "--blacklist", blacklist_of(sample)]
    elif words == ["sample"]:
        words, line = ["sample", "--out", out], "nothing was kept; start it again: "
    else:
        words = [*words, "--source", sample, "--split", "val", "--out", out]
    last = fail(130, *words).splitlines()[-1]
    assert last.startswith(f"interrupted: {line.format(out=out)}")
    assert last.endswith(f"-m convert {words[0]}")


def test_the_last_lines_say_all_that_was_not_stored_as_it_was(source, tmp_path, say):
    names = sorted(path.name for path in (source / "val").iterdir())
    for path in (source / "val").iterdir():  # no other one is repaired or shrunk
        Image.new("RGB", (20, 30)).save(path, "JPEG")
    Image.new("CMYK", (20, 30)).save(source / "val" / names[1], "JPEG")
    Image.effect_noise((60, 50), 90).save(source / "val" / names[2], "JPEG")
    (source / "val" / names[3]).write_bytes(b"")
    (source / "val" / names[4]).write_bytes(b"x")
    (source / "val" / "a.txt").touch()
    (source / "list").write_text("4\n5\n6\n7\n")
    out = tmp_path / "out"
    printed = say("run", "--source", source, "--split", "val", "--out", out, "--shards", 2,
                  "--short-side", 40, "--on-bad", "skip", "--blacklist", source / "list")
    fields = json.loads((out / "manifest.json").read_text())
    first, last = ((item["words"], item["name"]) for item in (
        fields["classes"][0], fields["classes"][-1]))
    assert printed.out.splitlines() == [
        f"{out}: 10 images of 4 classes in 2 shards, {fields['picture_bytes']:,} bytes of images",
        f"shrunk: 1 image, {fields['bytes_saved']:,} bytes saved",
        f"repaired: 1, listed in {out}/manifest.json",
        f"rejected: 2, listed in {out}/manifest.json",
        "ignored: 1 file, not images by their name or place (a.txt), listed in "
        f"{out}/manifest.json",
        f"labels: 0 is class {first[0]} ({first[1]}), 3 is class {last[0]} ({last[1]})",
        "blacklist: 2 images marked (not the ILSVRC list), 8 in the filtered set"]
    assert first[0] == "pink stripes on red" and fields["bytes_saved"] > 0
