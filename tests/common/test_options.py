"""Flags from a dataclass and back: what a field says is what the command line does."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import pytest

from common.cli import ArgumentParser, RequestError
from common.options import (CheckedOptions, Subcommand, add_options, device_option, from_arguments,
                            option, precision_option, run_subcommand, weights_option)


@dataclass(frozen=True)
class Sample(CheckedOptions):
    """One field of each kind."""

    folder: Path = option(help="a folder", positional=True)
    source: Path = option(help="a source")
    batch_size: int = option(8, "images per step, 100 % of them", low=1, high=9)
    rate: float = option(0.5, "a rate", low=0)
    sizes: Optional[tuple[int, ...]] = option(None, "sizes", low=2)
    kind: str = option("a", "a kind", choices=("a", "b"))
    deep: bool = option(False, "deeply")
    sink: Optional[bool] = option(None, "sink mode", negatable=True)
    images: int = option(1, "how many", flag="--number", aliases=("--pictures",))
    dry_run: Optional[int] = option(None, "a number, or none", low=0, bare=0)
    hidden: int = 3


def parser(**how) -> ArgumentParser:
    made = ArgumentParser(prog="test")
    add_options(made, Sample, **how)
    return made


def parse(*words: str) -> Sample:
    return from_arguments(Sample, parser().parse_args(["folder", "--source", "s", *words]))


def test_every_kind_of_value_is_parsed_or_has_its_default():
    assert parse() == Sample(Path("folder"), Path("s"))
    given = parse("--batch-size", "9", "--rate", "1e-3", "--sizes", "2", "5", "--kind", "b",
                  "--deep", "--no-sink", "--pictures", "4")
    assert given == Sample(Path("folder"), Path("s"), 9, 1e-3, (2, 5), "b", True, False, 4)
    assert parse("--number", "7", "--sink").images == 7
    assert [parse(*words).dry_run for words in (
        [], ["--dry-run"], ["--dry-run", "4"])] == [None, 0, 4]
    assert (parse("--batch-size", "1").batch_size, parse("--rate", "0").rate) == (1, 0)


@pytest.mark.parametrize("words, message", [
    (["--batch-size", "0"], "--batch-size 0: give a value from 1 to 9"),
    (["--batch-size", "10"], "--batch-size 10: give a value from 1 to 9"),
    (["--batch-size", "1.5"], "'1.5' is not a whole number"),
    (["--rate", "-1"], "--rate -1.0: give at least 0"), (["--rate", "nan"], "--rate nan: give a f"),
    (["--rate", "inf"], "--rate inf: give a finite number"), (["--rate", "x"], "--rate"),
    (["--sizes", "5", "1"], "--sizes 1: give at least 2"), (["--kind", "c"], "--kind"),
    (["--number", "x"], "--number"), (["--unknown"], "--unknown"),
    (["--dry-run", "x"], "--dry-run: 'x' is not a whole number"),
    (["--dry-run", "-1"], "--dry-run -1: give at least 0")])
def test_a_wrong_value_is_one_error_that_names_the_flag(words, message):
    with pytest.raises(RequestError, match=message):
        parse(*words)


def test_python_callers_get_the_same_errors():
    with pytest.raises(RequestError, match="--kind c: choose one of a, b"):
        Sample(Path("f"), Path("s"), kind="c")


@dataclass(frozen=True)
class Shared(CheckedOptions):
    device: str = device_option()
    precision: str = precision_option(also=("mixed",))
    weights: Optional[str] = weights_option()


def test_options_of_several_commands_have_the_same_choices():
    made = ArgumentParser(prog="test")
    add_options(made, Shared)
    assert from_arguments(Shared, made.parse_args([])) == Shared("auto", "float32", None)
    for flag, known in (("--device", ("auto", "CPU", "Ascend")), ("--weights", ("ema", "raw")),
                        ("--precision", ("float32", "hf32", "float16", "bfloat16", "mixed"))):
        for value in known:
            assert value in vars(made.parse_args([flag, value])).values()
        with pytest.raises(RequestError, match=f"{flag}: invalid choice: 'x' .*{known[-1]}"):
            made.parse_args([flag, "x"])
    text = " ".join(made.format_help().split())
    for words in ("auto: Ascend where it can be used, else CPU (default: auto)",
                  "all else is float32; hf32: float32 with a shorter mantissa",
                  "ema: the averaged weights of the checkpoint; raw: those that were trained"):
        assert words in text


@dataclass(frozen=True)
class Paths(CheckedOptions):
    one: Path = option(help="a file")
    perhaps: Optional[Path] = option(None, "a file")
    several: tuple[Path, ...] = option((), "files")
    name: str = option("a", "no file")


def test_python_callers_may_give_strings_where_paths_are():
    for several in ("c", ["c"], (Path("c"),), Path("c")):
        assert Paths("a", "b", several) == Paths(Path("a"), Path("b"), (Path("c"),))
    assert Paths("a").perhaps is None and type(Paths("a", name="b").name) is str


def test_flags_that_were_not_given_are_refused_or_left_open():
    with pytest.raises(RequestError, match="--source"):
        parser().parse_args(["folder"])
    some = parser(only=("batch_size", "kind"), suppress_defaults=True)
    assert some.parse_args(["--kind", "b"]) == argparse.Namespace(kind="b")


def test_a_subcommand_runs_with_its_request_and_help_names_each(monkeypatch, capsys):
    ran = []

    def run(*words):
        monkeypatch.setattr("sys.argv", ["x", *words])
        run_subcommand("prog", "About all.", [
            Subcommand("first", Paths, ran.append, "helps first"),
            Subcommand("second", Shared, ran.append, "helps second", "Is the second.")])
    run("first", "--one", "a", "--several", "b", "c")
    run("second", "--weights", "raw")
    assert ran == [Paths("a", None, ("b", "c")), Shared(weights="raw")]
    shown = {}
    for words in ("--help", "first --help", "second --help", "--version", "second --version"):
        with pytest.raises(SystemExit):
            run(*words.split())
        shown[words] = " ".join(capsys.readouterr().out.split())
    assert all(words in shown["--help"] for words in (
        "usage: prog ", "About all.", "first helps first", "second helps second"))
    assert "helps first" in shown["first --help"] and "--one" in shown["first --help"]
    assert "Is the second." in shown["second --help"] and "helps" not in shown["second --help"]
    assert shown["--version"].startswith("imagenet-mindrecord ")
    assert shown["second --version"] == shown["--version"] and "--version" in shown["first --help"]


def test_help_shows_what_the_field_says():
    shown = parser(leave_out=("rate",), describe=lambda item: item.metadata["help"]).format_help()
    text = " ".join(shown.split())
    assert "images per step, 100 % of them (default: 8)" in text and "--no-sink" in text
    assert "{a,b}" in text and "--rate" not in text and "hidden" not in text
