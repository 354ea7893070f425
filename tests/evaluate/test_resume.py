"""Killed and started again, also with more ranks, an evaluation resumes, and its result is the
same to the bit."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from small import converted
from terminal import CTRL_C
from terminal import interrupted as interrupted_on_terminal

import evaluate.command
from evaluate.predictions import saved_rows

HERE = Path(__file__).parent
# msrun starts the "python" of the PATH, whichever one runs it.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1]),
               "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def scores_and_arrays(folder):
    result = result_of(folder)
    with np.load(folder / "predictions.npz") as arrays:
        return (result["sets"], result["curve"],
                {name: arrays[name].tobytes() for name in arrays})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


def test_two_ranks_resume_from_a_killed_ranks_parts_and_end_with_the_same_bits(
        call, words, tmp_path):
    """Four groups: of the images 1 and 2, after which it is killed, ... and of image 7."""
    assert call(*words("one"))[0] == 0
    script, out = [HERE / "small.py", *map(str, words("out"))], tmp_path / "out"
    killed = subprocess.run([sys.executable, *script], cwd=HERE.parents[1],
                            env={**ENVIRONMENT, "GROUPS_TO_LIVE": "1"})
    assert killed.returncode == -signal.SIGKILL
    part, = (out / "parts").glob("rows-*")
    before = np.load(part)["times"][0]
    assert saved_rows(out / "parts") == [range(0, 2)] and before > 0
    done = subprocess.run(
        ["msrun", "--worker_num=2", "--local_worker_num=2", "--join=True",
         f"--master_port={free_port()}", f"--log_dir={tmp_path / 'log'}", "python", *script],
        env=ENVIRONMENT, cwd=HERE.parents[1], capture_output=True, text=True)
    logs = [(tmp_path / "log" / f"worker_{rank}.log").read_text() for rank in (0, 1)]
    assert done.returncode == 0, logs
    assert "2 of 4 images are in" in logs[0] and "images are in" not in logs[1]
    one, two = result_of(tmp_path / "one"), result_of(out)
    assert (one["speed"]["ranks"], two["speed"]["ranks"]) == (1, 2)
    assert two["speed"]["seconds_of_all_ranks"] > before
    assert two["speed"]["images_per_second_per_rank"] == pytest.approx(
        7 / two["speed"]["seconds_of_all_ranks"])
    assert two["argv"][0] == "python" and two["argv"][2:] == [*map(str, words("out"))]
    assert scores_and_arrays(tmp_path / "one") == scores_and_arrays(out)
    assert "label_rank" in scores_and_arrays(out)[2]  # --curve was asked for
    assert sorted(path.name for path in out.iterdir()) == [
        "classes.csv", "predictions.npz", "result.csv", "result.json", "result.md"]


def test_an_interrupted_evaluation_keeps_what_was_finished(call, words, interrupted, tmp_path):
    part, = interrupted.glob("rows-*")
    with np.load(part) as arrays:  # as if these two images had taken days, half without data
        np.savez(part, **{**arrays, "times": np.array([1e6, 5e5])})
    code, printed, _ = call(*words("out"))
    assert code == 0 and "2 of 7 images are in" in printed
    assert not interrupted.exists()
    speed = result_of(tmp_path / "out")["speed"]
    assert speed["seconds_of_all_ranks"] == pytest.approx(1e6, rel=0.02)
    assert speed["images_per_second_per_rank"] == pytest.approx(7e-6, rel=0.02)
    assert speed["waiting_for_data"] == pytest.approx(0.5, rel=0.02)
    assert call(*words("whole"))[0] == 0
    assert scores_and_arrays(tmp_path / "whole") == scores_and_arrays(tmp_path / "out")


def test_parts_of_another_request_are_refused_and_kept(call, words, save, network, records, source,
                                                       interrupted, tmp_path):
    """Other crops, groups, statistics (in the meta file alone), weights and records."""
    names = records.class_names_sha256
    statistics = save(tmp_path / "b.ckpt", class_names_sha256=names, mean=(1.0, 2.0, 3.0),
                      std=(4.0, 5.0, 6.0))
    bias = network.classifier.bias
    kept = bias.asnumpy()
    bias.set_data(ms.Tensor(kept + 1))
    weights = save(tmp_path / "c.ckpt", class_names_sha256=names)
    bias.set_data(ms.Tensor(kept))
    for change, said in (
            ({"crops": 10, "views_per_step": 10}, ["crops: was 12, now 10"]),
            ({"views_per_step": 6}, ["images_per_step: was 2, now 1"]),
            ({"checkpoint": statistics}, ["mean: was [120.0, 110.0, 100.0], now [1.0, 2.0, 3.0]",
                                          "std: was [60.0, 50.0, 70.0], now [4.0, 5.0, 6.0]"]),
            ({"checkpoint": weights}, ["checkpoint_sha256: was"]),
            ({"records": converted(source, tmp_path / "d", shards=3)}, ["records_sha256: was"])):
        code, _, errors = call(*words("out", **change))
        assert code == 2 and len(errors) == 1 and str(interrupted) in errors[0]
        assert all(text in errors[0] for text in said), errors[0]
        assert saved_rows(interrupted) == [range(0, 2)]


def test_parts_without_what_is_asked_for_now_are_refused_and_kept(call, words, interrupted):
    """They have a curve and no probabilities."""
    asked = words("out")
    for change, said in (([word for word in asked if word != "--curve"],
                          "(curve: was True, now False)"),
                         ([*asked, "--keep-probabilities"],
                          "(probabilities: was None, now True)")):
        code, _, errors = call(*change)
        assert code == 2 and len(errors) == 1 and said in errors[0]
        assert saved_rows(interrupted) == [range(0, 2)]


def test_parts_of_another_version_are_refused_and_kept(call, words, interrupted, monkeypatch):
    """Pillow's decide the pixels, MindSpore's and NumPy's the probabilities."""
    version = evaluate.command.importlib.metadata.version
    for library in ("pillow", "numpy", "mindspore"):
        with monkeypatch.context() as patched:
            patched.setattr(evaluate.command.importlib.metadata, "version",
                            lambda name: "0.1" if name == library else version(name))
            code, _, errors = call(*words("out"))
        assert code == 2 and f"({library}: was {version(library)}, now 0.1)" in errors[0]
        assert saved_rows(interrupted) == [range(0, 2)]


def test_parts_stay_until_the_result_is_written(call, words, monkeypatch, tmp_path):
    def full_disk(*_):
        raise OSError(28, "No space left on device")
    parts = tmp_path / "out" / "parts"
    for failing in ("save_predictions", "write_text", "write_json"):
        with monkeypatch.context() as patched:
            patched.setattr(evaluate.command, failing, full_disk)
            assert call(*words("out"))[0] == 2
        assert not (tmp_path / "out" / "result.json").exists()
        assert sum(map(len, saved_rows(parts))) == 7
    kept = shutil.copytree(parts, tmp_path / "kept")
    for _ in ("without a result", "with one that --again was to replace when it was interrupted"):
        code, printed, _ = call(*words("out"))
        assert code == 0 and "7 of 7 images are in" in printed
        assert not parts.exists()
        shutil.copytree(kept, parts)


def test_merged_rows_are_compared_with_the_manifest(call, words, interrupted, tmp_path):
    """A label that changed in a finished part is noticed before a result is written."""
    part, = interrupted.glob("rows-*")
    with np.load(part) as arrays:
        np.savez(part, **{**arrays, "label": (arrays["label"] + 1) % 3})
    code, _, errors = call(*words("out"))
    assert code == 2 and "ids, labels or blacklist flags" in errors[0]
    assert not (tmp_path / "out" / "result.json").exists()


SLOW = """
import sys, time
from common.signals import take_signals_from_mindspore
take_signals_from_mindspore()
import evaluate.command
from common.cli import run_command
from evaluate.__main__ import main
from evaluate.evaluator import Evaluator
from small import SmallNetwork
evaluate.command.InceptionV4 = SmallNetwork
predict, groups = Evaluator._predict, iter(range(1, 99))
def slowly(*arguments):
    print("group", next(groups), flush=True)
    time.sleep(0.3)
    return predict(*arguments)
Evaluator._predict = slowly
sys.exit(run_command(main))
"""


@pytest.mark.parametrize("how, code", [(CTRL_C, 130), (signal.SIGTERM, 143)])
def test_at_a_signal_the_images_evaluated_so_far_are_saved(call, words, tmp_path, monkeypatch,
                                                           how, code):
    """Before the minute has passed after which a part is written."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    (tmp_path / "slow.py").write_text(SLOW)
    ended = interrupted_on_terminal(["slow.py", *words("out")], "group 3", how, tmp_path)
    assert ended.code == code
    assert ended.lines[-1].startswith(
        f"interrupted: the images that were evaluated are kept in {tmp_path / 'out'}; the same "
        f"command resumes: {sys.executable} slow.py --records ")
    assert [rows.start for rows in saved_rows(tmp_path / "out" / "parts")] == [0]
    assert call(*words("out"))[0] == 0
