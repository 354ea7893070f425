"""The command line, with a small network in the place of InceptionV4."""

import json
import platform
import shlex
import shutil
import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
from small import MEAN, STD

from common.cli import run_command
from evaluate import evaluator
from evaluate.__main__ import main
from evaluate.command import evaluate_checkpoint
from evaluate.evaluator import Evaluator
from evaluate.predictions import load_predictions
from evaluate.protocols import protocol_of
from evaluate.request import Request
from evaluate.results import load_result
from inceptionv4.checkpoint import network_parameters


def test_a_result_folder_is_written_and_its_table_printed(run, records, network, tmp_path):
    code, printed, errors = run(crops=12, views_per_step=12)
    assert (code, errors) == (0, [])
    assert printed.startswith("evaluating ") and (
        f" on 7 images of {records.folder}, 12 crops each; the result goes into {tmp_path / 'out'}"
        "\ndevice: CPU") in printed
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["device"] == "CPU" and result["versions"]["mindspore"] == ms.__version__
    assert result["made"].keys() == {"date", "commit", "host"}
    assert result["made"]["host"] == platform.node()
    assert (result["crops"], result["records_sha256"]) == (12, records.sha256)
    assert (result["sets"]["full"]["images"], result["sets"]["filtered"]["images"]) == (7, 5)
    assert result["has_blacklist"] and not result["is_ilsvrc"] and result["has_ilsvrc_names"]
    assert result["class_words"] == ["class 1", "class 2", "class 3"]
    assert result["blacklist_sha256"] == records.manifest.blacklist.sha256
    assert (tmp_path / "out" / "result.md").read_text() in printed
    assert set(map(str, (tmp_path / "out").iterdir())) <= set(printed.splitlines())
    # The statistics of the checkpoint are what the network is fed with.
    expected = Evaluator(network, protocol_of(12, 75), MEAN, STD, 12).run(records)
    found = load_predictions(tmp_path / "out" / "predictions.npz")
    assert np.array_equal(found.top5_prob, expected.top5_prob)


def test_the_next_command_is_the_report_of_run_and_results(run, checkpoint, tmp_path, monkeypatch):
    shown, of_make = [], []

    def note(command, under_make):
        shown.append(command)
        of_make.append(under_make)
    monkeypatch.setattr("evaluate.__main__.print_next", note)
    assert run()[0] == 0
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "config.json").touch()
    for suffix in (".ckpt", ".meta"):
        shutil.copy(checkpoint.with_suffix(suffix), tmp_path / "run" / "checkpoints" / f"a{suffix}")
    assert run(checkpoint=tmp_path / "run" / "checkpoints" / "a.ckpt")[0] == 0
    without, of_run = (shlex.split(line)[2:] for line in shown)
    results = ["--results", str(tmp_path), "--out", "report.html"]
    assert without == ["evaluate", "report", *results]
    assert of_run == ["evaluate", "report", "--run", str(tmp_path / "run"), *results]
    assert of_make == ["make report", f"make report RUN={tmp_path / 'run'}"]


@pytest.mark.parametrize("has_run, has_checkpoint", [(True, True), (True, False), (False, False)])
def test_a_report_leads_to_predict_or_says_what_it_leaves_out(tmp_path, monkeypatch, capsys,
                                                              has_run, has_checkpoint):
    shown = []
    monkeypatch.setattr("evaluate.report.page.write_report", lambda _: "")
    monkeypatch.setattr("evaluate.__main__.print_next",
                        lambda command, under_make: shown.append((command, under_make)))
    if has_checkpoint:
        (tmp_path / "last.ckpt").touch()
    given = ["--run", str(tmp_path)] * has_run
    monkeypatch.setattr(sys, "argv", ["evaluate", "report", "--results", "a", "--out", "b.html",
                                      *given])
    assert run_command(main) == 0
    assert ("leaves the training out; give it with --run FOLDER (make: RUN=FOLDER)"
            in capsys.readouterr().err) != has_run
    assert [shlex.split(command)[2:] for command, _ in shown] == [
        ["evaluate", "predict", str(tmp_path / "last.ckpt"), "IMAGE.jpg"]] * has_checkpoint
    assert all(command == under_make for command, under_make in shown)


def test_a_python_user_may_give_strings(call, records, checkpoint, tmp_path):
    evaluate_checkpoint(Request(str(records.folder), str(checkpoint), str(tmp_path / "out"),
                                device="CPU"))
    assert load_result(str(tmp_path / "out"))[0].sets["full"].images == 7


def test_an_unknown_word_is_no_subcommand(call):
    code, _, errors = call("predictt", "a.ckpt")
    assert code == 2 and "'predictt' is no sub-command; choose from report, rescore" in errors[0]


def assert_refused(answer, *texts):
    code, _, errors = answer
    assert code == 2 and len(errors) == 1, answer
    for text in texts:
        assert str(text) in errors[0]


@pytest.mark.parametrize("change, said", [
    ({"num_classes": 5}, "has 5 classes but "), ({"class_names_sha256": "0" * 64}, "other names")])
def test_a_checkpoint_of_other_classes_and_its_records_are_named(run, save, records, tmp_path,
                                                                 change, said):
    other = save(tmp_path / "other.ckpt", **change)
    assert_refused(run(checkpoint=other), other, records.folder, said)


def test_averaged_weights_are_evaluated_by_default_and_the_result_says_so(run, save, network,
                                                                          tmp_path):
    """Here they are 0: all classes are equally probable."""
    own = network_parameters(network)
    averages = {f"ema.{name}": ms.Parameter(value * 0) for name, value in own.items()
                if value.requires_grad}
    path = save(tmp_path / "averaged.ckpt", averages, ema_decay=0.9)
    for asked, weights in ((None, "ema"), ("raw", "raw")):
        words = {} if asked is None else {"weights": asked}
        code, printed, _ = run(checkpoint=path, out=tmp_path / weights, **words)
        assert code == 0 and ("averaged weights" in printed) == (weights == "ema")
        assert json.loads((tmp_path / weights / "result.json").read_text())["weights"] == weights
        found = load_predictions(tmp_path / weights / "predictions.npz")
        assert np.allclose(found.top5_prob, 1 / 3, atol=1e-6) == (weights == "ema")
    assert_refused(run(checkpoint=path, out=tmp_path / "ema", weights="raw"), "weights: was")


def test_averaged_weights_that_are_not_there_are_refused(run):
    assert_refused(run(weights="ema"), "--weights ema", "has no averaged weights")


def test_a_torn_checkpoint_is_refused_and_nothing_is_written(run, checkpoint, tmp_path):
    checkpoint.chmod(0o600)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert_refused(run(), checkpoint, "torn")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_result_of_another_evaluation_is_kept(run, planned, tmp_path):
    (tmp_path / "out").mkdir()
    kept = json.dumps(planned.to_json())
    (tmp_path / "out" / "result.json").write_text(kept)
    assert_refused(run(crops=1), tmp_path / "out" / "result.json", "crops: was 144, now 1",
                   "std: was [127.5,")
    assert (tmp_path / "out" / "result.json").read_text() == kept


@pytest.mark.parametrize("change, said", [
    ({"checkpoint": "nowhere.ckpt"}, "nowhere.ckpt"), ({"crops": 7}, "7"),
    ({"views_per_step": 0}, "--views-per-step 0: give at least 1"),
    ({"workers": "many"}, "'many' is not a whole number"), ({"device": "GPU"}, "GPU"),
    ({"crops": 144, "scales": "74,80,90,100"}, "74 is below the image size"),
    ({"crops": 144, "scales": "80,90"}, "give 4 different"),
    ({"crops": 144, "scales": "80,90,x,100"}, "'x' is not a whole number")])
def test_a_wrong_argument_is_named(run, change, said):
    assert_refused(run(**change), said)


def test_outputs_that_are_not_numbers_end_it_at_once_and_earlier_parts_stay(run, tmp_path,
                                                                            monkeypatch):
    calls = []

    def second_is_nan(ids, probabilities, check=evaluator.check_finite):
        calls.append(ids)
        check(ids, probabilities * (np.nan if len(calls) == 2 else 1))
    monkeypatch.setattr(evaluator, "check_finite", second_is_nan)
    assert_refused(run(views_per_step=2), "not numbers for image id 3, 4:")
    assert len(calls) == 2
    assert [path.name for path in (tmp_path / "out" / "parts").glob("rows*")] == [
        "rows-00000000-00000002.npz"]


def test_the_papers_scales_are_used_and_names_of_classes_may_be_unknown(run, save, tmp_path):
    imported = save(tmp_path / "imported.ckpt", class_names_sha256="")
    assert run(checkpoint=imported, crops=144, scales="paper")[0] == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["scales"] == [86, 96, 107, 118]


def test_help_lists_the_other_commands_and_does_not_wait_for_mindspore():
    code = ("import sys; from evaluate.__main__ import main; sys.argv = ['evaluate', '--help']\n"
            "try: main()\nfinally: assert 'mindspore' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("report", "compare", "predict"):
        assert f"python -m evaluate {name} --help" in done.stdout


def test_the_device_computes_as_the_precision_says_or_refuses(run, tmp_path):
    for precision, arithmetic in (
            ("float32", "float32 throughout"),
            ("float16", "convolutions and classifier in float16, all else in float32")):
        assert run(precision, precision=precision)[0] == 0
        result = json.loads((tmp_path / precision / "result.json").read_text())
        assert (result["precision"], result["arithmetic"]) == (precision, arithmetic)
    assert_refused(run(precision="hf32"), "--precision hf32: CPU has no convolution in it")


def test_a_finished_result_is_shown_and_computed_anew_when_asked(run, monkeypatch, tmp_path):
    assert run()[0] == 0
    path, runs = tmp_path / "out" / "result.json", []
    before = path.read_bytes()
    classify = Evaluator.classify
    monkeypatch.setattr(Evaluator, "classify", lambda *asked: runs.append(1) or classify(*asked))
    monkeypatch.setattr("evaluate.command.setup_device", None)  # no need of one
    code, printed, _ = run(results_file=tmp_path / "all.csv")
    assert code == 0 and "| full " in printed and not runs
    assert printed.startswith(f"{tmp_path / 'out'} has this result already: it is shown")
    assert path.read_bytes() == before
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 3
    assert run("out", workers=1)[0] == 0 and not runs  # what changes no figure is not asked about


def test_what_a_result_lacks_is_computed_and_what_it_has_is_not_lost(
        call, words, run, monkeypatch, tmp_path):
    assert run(crops=12, views_per_step=12)[0] == 0
    assert call(*words("out"))[0] == 0  # with --curve: it had none
    path = tmp_path / "out" / "result.json"
    assert "curve" in json.loads(path.read_text())
    plain = [word for word in words("out") if word != "--curve"]
    assert "it is shown" in call(*plain)[1]
    code, _, errors = call(*plain, "--again")
    assert code == 2 and "a result with --curve, which would be lost: add --curve" in errors[0]
    (tmp_path / "out" / "predictions.npz").unlink()  # they have to be computed, too
    assert "a result with --curve" in call(*plain)[2][0]
    speed = json.loads(path.read_text())["speed"]
    assert call(*words("out"), "--again")[0] == 0
    assert json.loads(path.read_text())["speed"] != speed


def test_probabilities_that_a_result_lacks_are_computed_and_those_it_has_not_lost(
        call, words, tmp_path):
    plain = [word for word in words("out") if word != "--curve"]
    assert call(*plain)[0] == 0
    code, printed, _ = call(*plain, "--keep-probabilities")
    assert code == 0 and "it is shown" not in printed
    path = tmp_path / "out" / "predictions.npz"
    assert load_predictions(path).probabilities.shape == (7, 3)
    kept = path.read_bytes()
    for flags in ([], ["--keep-probabilities"]):
        assert "it is shown" in call(*plain, *flags)[1]
    assert_refused(call(*plain, "--again"), "a result with --keep-probabilities, which would be "
                   "lost: add --keep-probabilities")
    assert path.read_bytes() == kept


def test_images_are_resized_as_the_checkpoint_says_unless_told_otherwise(run, save, tmp_path):
    imported = save(tmp_path / "imported.ckpt", interpolation="bilinear")
    for out, told, found in (("a", {}, "bilinear"), ("b", {"interpolation": "bicubic"}, "bicubic")):
        assert run(out, checkpoint=imported, **told)[0] == 0
        result = json.loads((tmp_path / out / "result.json").read_text())
        assert result["interpolation"] == found
    own = np.load(tmp_path / "a" / "predictions.npz")["top5_prob"]
    assert (own != np.load(tmp_path / "b" / "predictions.npz")["top5_prob"]).any()


def test_a_result_says_how_crops_were_taken_and_another_way_is_another_result(run, tmp_path):
    assert run(single_crop="squash", interpolation="bilinear",
               results_file=tmp_path / "all.csv")[0] == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["interpolation"], result["single_crop"]) == ("bilinear", "squash")
    page = (tmp_path / "out" / "result.md").read_text()
    assert "- crop: the central 87.5% of both sides, resized to a square, bilinear" in page
    assert ",0.875,bilinear,1," in (tmp_path / "all.csv").read_text()
    code, _, errors = run(single_crop="squash")
    assert code == 2 and "interpolation: was bilinear, now bicubic" in errors[0]
