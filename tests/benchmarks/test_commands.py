"""Each command starts quickly, has the flags that the READMEs show, and passes them on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.request import CropsRequest
from common.cli import RequestError
from common.forms import SpeedRow, SpeedTable

ROOT = Path(__file__).parents[2]
FLAGS = {
    "convert": ["out", "images", "repeats", "workers"],
    "feed": ["out", "images", "repeats", "workers", "batch-size", "image-size", "skip", "open-ms",
             "read-ms"],
    "crops": ["out", "images", "run-images", "repeats", "image-size", "device"],
    "steps": ["out", "rows", "device", "images", "records", "cards", "batch-size", "image-size",
              "steps-per-epoch", "warmup-epochs", "epochs", "repeats"],
    "scale": ["out", "images", "shards", "ranks"]}
TABLE = SpeedTable("Table", 40, "images", [SpeedRow("naive", [8.0]), SpeedRow("ours", [0.4])], {},
                   {})


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, words)])
    command.main()


def test_help_starts_quickly_without_mindspore_and_shows_every_flag():
    for name, flags in FLAGS.items():
        code = ("import resource, sys; sys.argv[1:] = [sys.argv[1], '--help']\n"
                "import benchmarks.__main__ as command\n"
                "try: command.main()\n"
                "except SystemExit: pass\n"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_utime, 'mindspore' in "
                "sys.modules)")
        shown = subprocess.run([sys.executable, "-c", code, name], cwd=ROOT, text=True, check=True,
                               capture_output=True).stdout
        assert sorted(set(re.findall(r"^  --([a-z-]+)", shown, re.M))) == sorted(flags), name
        seconds, loaded = shown.split()[-2:]
        assert float(seconds) < 0.5 and loaded == "False", name


@pytest.mark.parametrize("name, function", [
    ("convert", "benchmark_conversion"), ("feed", "benchmark_feeds")])
def test_a_table_is_written_where_the_request_says(name, function, monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(command, function, lambda request: asked.append(request) or TABLE)
    run(monkeypatch, name, "--out", tmp_path / "out", "--images", "6000", "--repeats", "4",
        "--workers", "1")
    request, = asked
    assert (request.out, request.images, request.repeats, request.workers) == (
        tmp_path / "out", 6000, 4, 1)
    assert sorted(os.listdir(tmp_path / "out")) == ["speed.json", "speed.md"]
    assert capsys.readouterr().out.strip() == (tmp_path / "out" / "speed.md").read_text().strip()


def test_crops_are_asked_for_as_requested(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("benchmarks.crops.benchmark_crops", asked.append)
    run(monkeypatch, "crops", "--out", tmp_path, "--images", "7", "--run-images", "2", "--repeats",
        "5", "--image-size", "80", "--device", "CPU")
    assert asked == [CropsRequest(tmp_path, 7, 2, 5, 80, "CPU")]


@pytest.mark.parametrize("name, flag, value", [
    ("convert", "--images", 0), ("convert", "--repeats", 0), ("convert", "--workers", -1),
    ("crops", "--run-images", 0), ("crops", "--images", 0), ("crops", "--repeats", 0),
    ("feed", "--open-ms", "nan"), ("feed", "--batch-size", 1), ("feed", "--image-size", 74),
    ("scale", "--images", 1_999), ("scale", "--images", 1_281_168), ("scale", "--ranks", 0),
    ("scale", "--shards", 2_001)])
def test_a_value_out_of_range_is_refused(name, flag, value, monkeypatch, tmp_path):
    with pytest.raises(RequestError, match=f"{flag} {value}: give "):
        run(monkeypatch, name, "--out", tmp_path, flag, value)
    assert os.listdir(tmp_path) == []
