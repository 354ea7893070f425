"""The command line, with a small network in the place of InceptionV4."""

import json
import subprocess
import sys

import mindspore
import numpy as np
import pytest

import evaluate.command
from evaluate.__main__ import main
from evaluate.evaluator import Evaluator
from evaluate.predictions import load_predictions
from evaluate.protocols import protocol_of
from inceptionv4.checkpoint import CheckpointMeta, network_parameters, save_checkpoint


def test_a_result_folder_is_written_and_its_table_printed(
        call, options, records, checkpoint, network, statistics, tmp_path):
    code, printed, errors = call(*options(records, checkpoint, tmp_path / "out",
                                          {"crops": 12, "views_per_step": 12}))
    assert (code, errors) == (0, [])
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["device"] == "CPU" and result["versions"]["mindspore"] == mindspore.__version__
    assert (result["crops"], result["records_sha256"]) == (12, records.sha256)
    assert (result["sets"]["full"]["images"], result["sets"]["filtered"]["images"]) == (7, 5)
    assert result["has_blacklist"] and not result["is_ilsvrc"]
    assert result["blacklist_sha256"] == records.manifest.blacklist.sha256
    assert (tmp_path / "out" / "result.md").read_text() in printed
    assert str(tmp_path / "out" / "predictions.npz") in printed
    # The statistics of the checkpoint are what the network is fed with.
    expected = Evaluator(network, protocol_of(12, 75), *statistics, 12).run(records)
    found = load_predictions(tmp_path / "out" / "predictions.npz")
    assert np.array_equal(found.top5_prob, expected.top5_prob)


def assert_refused(answer, *texts):
    code, _, errors = answer
    assert code == 2 and len(errors) == 1, answer
    for text in texts:
        assert str(text) in errors[0]


def test_another_class_count_names_both(call, options, save, records, tmp_path):
    other = save(tmp_path / "five.ckpt", num_classes=5)
    assert_refused(call(*options(records, other, tmp_path / "out")),
                   other, "5 classes", records.folder, "has 3")


def test_other_class_names_name_both(call, options, save, records, tmp_path):
    other = save(tmp_path / "other.ckpt", class_names_sha256="0" * 64)
    assert_refused(call(*options(records, other, tmp_path / "out")),
                   other, records.folder, "other names")


def test_unknown_class_names_of_an_imported_checkpoint_are_no_obstacle(save, records, tmp_path):
    path = save(tmp_path / "imported.ckpt", class_names_sha256="")
    evaluate.command.check_same_classes(records, evaluate.command.read_meta(path), path)


def test_a_torn_checkpoint_is_refused_and_nothing_is_written(call, options, records, checkpoint,
                                                             tmp_path):
    checkpoint.chmod(0o600)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    assert_refused(call(*options(records, checkpoint, tmp_path / "out")), checkpoint, "torn")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_result_of_another_evaluation_is_kept(
        call, options, records, checkpoint, planned, tmp_path):
    (tmp_path / "out").mkdir()
    kept = json.dumps(planned.to_json())
    (tmp_path / "out" / "result.json").write_text(kept)
    assert_refused(call(*options(records, checkpoint, tmp_path / "out", {"crops": 1})),
                   tmp_path / "out" / "result.json", "crops: was 144, now 1", "std: was [127.5,")
    assert (tmp_path / "out" / "result.json").read_text() == kept


@pytest.mark.parametrize("change, said", [
    ({"records": "nowhere"}, "nowhere"), ({"checkpoint": "nowhere.ckpt"}, "nowhere.ckpt"),
    ({"crops": 7}, "7"),
    ({"views_per_step": 0}, "--views-per-step 0: give at least 1"),
    ({"workers": "many"}, "'many' is not a whole number"), ({"device": "GPU"}, "GPU")])
def test_a_wrong_argument_is_named(call, options, records, checkpoint, tmp_path, change, said):
    assert_refused(call(*options(records, checkpoint, tmp_path / "out", change)), said)


def test_what_is_no_checkpoint_is_refused_in_words(call, options, records, checkpoint, tmp_path):
    foreign = tmp_path / "foreign.ckpt"
    foreign.write_bytes(b"something else")
    assert_refused(call(*options(records, foreign, tmp_path / "out")), foreign, "torn or foreign")
    foreign.with_suffix(".meta").write_text("[1]")
    assert_refused(call(*options(records, foreign, tmp_path / "out")),
                   foreign.with_suffix(".meta"), "is not the meta file")
    assert_refused(call(*options(records, tmp_path / "a.pth", tmp_path / "out")), "a.pth", ".ckpt")


def test_the_checkpoint_of_another_network_is_refused(call, options, records, network, tmp_path,
                                                      statistics):
    values = {name: value for name, value in network_parameters(network).items()
              if not name.startswith("features.0")}
    mean, std = statistics
    save_checkpoint(tmp_path / "b.ckpt", values, CheckpointMeta(3, 75, mean, std, 0.9, "", 1, 2))
    assert_refused(call(*options(records, tmp_path / "b.ckpt", tmp_path / "out")),
                   "b.ckpt", "belongs to another network", "features.0")


def test_outputs_that_are_not_numbers_end_it_at_once_and_earlier_parts_stay(
        call, options, records, checkpoint, network, tmp_path, monkeypatch):
    from evaluate import evaluator
    calls = []

    def second_is_nan(ids, probabilities, check=evaluator.check_finite):
        calls.append(ids)
        check(ids, probabilities * (np.nan if len(calls) == 2 else 1))
    monkeypatch.setattr(evaluator, "check_finite", second_is_nan)
    assert_refused(call(*options(records, checkpoint, tmp_path / "out", {"views_per_step": 2})),
                   "not numbers for image id 3, 4:")
    assert len(calls) == 2
    assert [path.name for path in (tmp_path / "out" / "parts").glob("rows*")] == [
        "rows-00000000-00000002.npz"]


@pytest.mark.parametrize("scales, said", [
    ("74,80,90,100", "74 is below the image size"), ("80,90", "give 4 different"),
    ("80,90,x,100", "'x' is not a whole number")])
def test_scales_that_do_not_fit_are_refused(call, options, records, checkpoint, tmp_path, scales,
                                            said):
    assert_refused(call(*options(records, checkpoint, tmp_path / "out",
                                 {"crops": 144, "scales": scales})), said)


def test_the_papers_scales_are_used_and_told(call, options, records, checkpoint, tmp_path):
    words = options(records, checkpoint, tmp_path / "out", {"crops": 144, "scales": "paper"})
    assert call(*words)[0] == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["scales"] == [86, 96, 107, 118]


def test_help_lists_the_other_commands(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["evaluate", "--help"])
    with pytest.raises(SystemExit):
        main()
    printed = capsys.readouterr().out
    for name in ("report", "compare", "predict"):
        assert f"python -m evaluate {name} --help" in printed


def test_help_does_not_wait_for_mindspore():
    code = "import sys, evaluate.__main__; sys.exit('mindspore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
