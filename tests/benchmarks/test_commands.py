"""Each command starts quickly and passes its flags on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.conversion.conversion_table import ConversionRequest
from benchmarks.crops import CropsRequest
from benchmarks.doctor.doctor import DoctorRequest
from benchmarks.feed.feed_table import FeedRequest
from benchmarks.scale.rehearsal import ScaleRequest
from benchmarks.steps.request import StepsRequest
from common.cli import UNDER_MAKE, RequestError
from common.forms import SpeedRow, SpeedTable

ROOT = Path(__file__).parents[2]
TABLE = SpeedTable("Table", 40, "images", [SpeedRow("naive", [8.0]), SpeedRow("ours", [0.4])], {},
                   {})


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, words)])
    command.main()


def test_help_loads_nothing_slow():
    """Nor do the programs that rows start load MindSpore before their decoder: all are imported
    here."""
    code = ("import sys\n"
            "import benchmarks.__main__ as command\n"
            "try: command.main()\n"
            "except SystemExit: pass\n"
            "print({'mindspore', 'scipy', 'matplotlib', 'pandas'} & set(sys.modules))")
    shown = subprocess.run([sys.executable, "-c", code, "feed", "--help"], cwd=ROOT, text=True,
                           check=True, capture_output=True).stdout
    assert "--open-ms" in shown and shown.endswith("\nset()\n")


@pytest.mark.parametrize("name, function, flags, expected", [
    ("convert", "benchmark_conversion", "--rows layouts --images 6000 --repeats 4 --workers 1",
     lambda out: ConversionRequest(out, "layouts", 6000, 4, 1)),
    ("feed", "benchmark_feeds", "--images 80 --repeats 4 --workers 1 --batch-size 16 "
     "--image-size 80 --skip 2 --open-ms 3 --read-ms 5",
     lambda out: FeedRequest(out, 80, 4, 1, 16, 80, 2, 3, 5)),
    ("crops", "benchmark_crops", "--images 7 --run-images 2 --repeats 5 --image-size 80 "
     "--device CPU", lambda out: CropsRequest(out, 7, 2, 5, 80, "CPU")),
    ("steps", "benchmark_steps", "--rows trainer --device CPU --images i --records r --cards 1 2 "
     "--batch-size 8 4 --image-size 80 --steps-per-epoch 5 --warmup-epochs 6 --epochs 7 "
     "--repeats 8 --precision float16 --step-ms 58 57.6",
     lambda out: StepsRequest(out, "trainer", "CPU", Path("i"), Path("r"), (1, 2), (8, 4), 80, 5,
                              6, 7, 8, "float16", (58.0, 57.6)))])
def test_a_table_is_written_where_the_request_says(name, function, flags, expected, monkeypatch,
                                                   tmp_path, capsys):
    asked, notes, out = [], [], tmp_path / "out"
    monkeypatch.delenv(UNDER_MAKE, raising=False)
    monkeypatch.setattr(command, "note_kept_work", notes.append)
    monkeypatch.setattr(command, function, lambda request: asked.append(request) or TABLE)
    run(monkeypatch, name, "--out", out, *flags.split())
    assert asked == [expected(out)]
    assert sorted(os.listdir(out)) == ["speed.json", "speed.md"]
    printed, said = capsys.readouterr()
    assert printed.strip() == (out / "speed.md").read_text().strip()
    assert said.startswith(f"timing; the table goes into {out / 'speed.md'} and speed.json\n")
    assert said.rstrip().endswith(f"-m evaluate report --results {out} --out report.html")
    assert len(notes) == 1 and notes[0].startswith(f"nothing is kept; remove {out / 'work'} if it ")


@pytest.mark.parametrize("out, following", [
    ("results/bench", "make report RUN=a"),
    ("else/where", "-m evaluate report --results else/where --out report.html")])
def test_under_make_the_report_is_made_from_where_the_table_is(monkeypatch, tmp_path, capsys, out,
                                                               following):
    """``make report`` looks into results/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(UNDER_MAKE, "make bench RUN=a")
    monkeypatch.setattr(command, "benchmark_steps", lambda _: TABLE)
    run(monkeypatch, "steps", "--out", out)
    assert capsys.readouterr().err.rstrip().endswith(following)


def test_scale_prints_its_table_and_doctor_its_checks(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(command, "rehearse", lambda request: asked.append(request) or "stages")
    monkeypatch.setattr(command, "render_scale", lambda table: f"table of {table}")
    run(monkeypatch, "scale", "--out", tmp_path, "--images", 2500, "--shards", 5, "--ranks", 3)
    assert asked == [ScaleRequest(tmp_path, 2500, 5, 3)]
    assert capsys.readouterr().out == "table of stages\n"
    monkeypatch.setattr(command, "examine", asked.append)
    run(monkeypatch, "doctor", "--records", "r", "--run", "run", "--ranks", 3, "--device", "CPU",
        "--precision", "float16", "--out", tmp_path)
    assert asked[1] == DoctorRequest(Path("r"), Path("run"), 3, "CPU", "float16", tmp_path)


@pytest.mark.parametrize("name, flag, value", [
    ("convert", "--images", 0), ("convert", "--repeats", 0), ("convert", "--workers", -1),
    ("crops", "--run-images", 0), ("crops", "--images", 0), ("crops", "--repeats", 0),
    ("feed", "--open-ms", "nan"), ("feed", "--batch-size", 1), ("feed", "--image-size", 74),
    ("feed", "--images", 128 * (2 * 20 + 1) - 1), ("feed", "--workers", 1000),
    ("feed", "--repeats", 0), ("feed", "--read-ms", -1.0), ("feed", "--skip", 0),
    ("scale", "--images", 1_999), ("scale", "--images", 1_281_168), ("scale", "--ranks", 0),
    ("scale", "--shards", 2_001), ("steps", "--step-ms", 0.5)])
def test_a_value_out_of_range_is_refused(name, flag, value, monkeypatch, tmp_path):
    with pytest.raises(RequestError, match=f"{flag} {value}: .*give "):
        run(monkeypatch, name, "--out", tmp_path, flag, value)
    assert os.listdir(tmp_path) == []
