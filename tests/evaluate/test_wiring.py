"""What is asked for on the command line reaches what it is for; each with a value of its own, since
two that are equal could be swapped."""

import contextlib
import json
import sys
from dataclasses import asdict, replace

import mindspore as ms
import numpy as np
import pytest
from small import MEAN, STD, SmallNetwork, words_of

import evaluate.command
import evaluate.predict
from common.cli import DUMP_FOLDER, RequestError
from common.files import sha256_of_file
from convert.records import reader
from convert.sources.ilsvrc import IlsvrcCheck
from evaluate import evaluator as evaluator_module
from evaluate.evaluator import Classifier, Evaluator
from evaluate.predictions import saved_rows
from evaluate.protocols import protocol_of
from evaluate.request import parse_scales
from evaluate.results import Result
from inceptionv4.checkpoint import network_parameters
from inceptionv4.device import Device


class FakeBar(contextlib.nullcontext):
    """Notes what a progress bar is told."""

    def __init__(self, *asked, **options):
        super().__init__(self)
        self.asked, self.options, self.done = asked, options, []

    def update(self, number: int) -> None:
        self.done.append(number)


@pytest.fixture
def devices(monkeypatch):
    """What commands set up; the device is ``devices[0]``, which a test may replace."""
    asked: list = [Device("CPU", False, 0, 1, arithmetic="as ever")]
    for module in (evaluate.command, evaluate.predict):
        monkeypatch.setattr(module, "setup_device",
                            lambda *given, **named: asked.append((given, named)) or asked[0])
    return asked


@pytest.fixture
def built(monkeypatch):
    """The arguments and the instances of all evaluators."""
    made: list = []

    class Noted(Evaluator):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            made.append(self)
    for module in (evaluate.command, evaluate.predict):
        monkeypatch.setattr(module, "Evaluator", Noted)
    return made


def stop(*_, **__):
    """Stand in for what a test has no need of."""
    raise RequestError("stopped")


def test_a_result_says_all_that_was_asked_for(call, records, source, save, devices, built, tmp_path,
                                              monkeypatch):
    names = tuple(records.class_names)
    checkpoint = save(tmp_path / "a.ckpt", class_names_sha256=records.class_names_sha256,
                      class_names=names, image_size=76)
    monkeypatch.setattr(evaluate.command, "InceptionV4", lambda classes, decay: SmallNetwork(
        classes, decay))
    monkeypatch.setattr(sys, "orig_argv", ["/bin/python", "-m", "evaluate", "all", "words"])
    kept: list = []
    monkeypatch.setattr(evaluate.command, "note_kept_work", kept.append)
    assert call(*words_of(records, checkpoint, tmp_path / "out", crops=12, views_per_step=5,
                          workers=3, precision="float16", interpolation="bilinear"),
                "--curve", "--keep-probabilities")[0] == 0
    assert devices[1:] == [(("CPU",), {"precision": "float16"})]
    evaluator, = built
    assert (evaluator.protocol, evaluator.workers, evaluator.curve, evaluator.keep_probabilities,
            evaluator.step) == (protocol_of(12, 76, interpolation="bilinear"), 3, True, True,
                                (1, 3))
    assert evaluator.network.features[1].momentum == pytest.approx(1 - 0.9)
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    known = {name: value for name, value in result.items()
             if name not in ("sets", "curve", "speed", "versions", "made")}
    assert known == {
        "crops": 12, "image_size": 76, "scales": [87], "checkpoint": str(checkpoint),
        "checkpoint_sha256": sha256_of_file(checkpoint), "records": str(records.folder),
        "records_sha256": records.sha256, "classes": 3, "has_blacklist": True, "split": "val",
        "curve_crops": [2, 4, 6, 8, 10, 12], "mean": list(MEAN), "std": list(STD),
        "blacklist_sha256": records.manifest.blacklist.sha256, "is_ilsvrc": False,
        "blacklist_is_ilsvrc": False, "device": "CPU", "precision": "float16",
        "arithmetic": "as ever", "argv": ["python", "-m", "evaluate", "all", "words"],
        "class_names": records.class_names, "class_names_sha256": None,
        "param_count": result["param_count"], "interpolation": "bilinear", "single_crop": "keep",
        "weights": "raw", "class_words": records.class_words, "has_ilsvrc_names": True}
    assert result["curve"]["crops"] == known["curve_crops"]
    assert len(result["curve"]["full"]["top1_error"]) == 6
    assert set(result) == set(asdict(Result.from_json(result)))
    assert kept[0].startswith(f"the images that were evaluated are kept in {tmp_path / 'out'}; the "
                              "same command resumes: ")


@pytest.mark.parametrize("labels, class_names, listed", [
    (True, True, True), (True, False, True), (False, True, False)])
def test_a_result_says_what_of_it_is_ilsvrcs(run, records, tmp_path, monkeypatch, labels,
                                             class_names, listed):
    manifest = replace(records.manifest, ilsvrc=IlsvrcCheck(labels, class_names, None),
                       blacklist=replace(records.manifest.blacklist, is_ilsvrc=listed))
    monkeypatch.setattr(evaluate.command, "open_records",
                        lambda folder: replace(records, manifest=manifest))
    planned: list = []
    monkeypatch.setattr(evaluate.command, "claim_result_folder",
                        lambda folder, result: planned.append((folder, result)) or stop())
    assert run()[0] == 2
    (folder, result), = planned
    assert folder == tmp_path / "out"
    assert (result.is_ilsvrc, result.blacklist_is_ilsvrc) == (labels and class_names, listed)


def test_dumps_go_next_to_the_result_unless_the_launcher_has_a_place(run, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.command, "_load_evaluator", stop)
    for before, after in ((None, f"{tmp_path / 'out'}-log"), ("elsewhere", "elsewhere")):
        monkeypatch.setenv(DUMP_FOLDER, before or "")
        if before is None:
            monkeypatch.delenv(DUMP_FOLDER)
        assert run()[0] == 2
        assert evaluate.command.os.environ[DUMP_FOLDER] == after


@pytest.mark.parametrize("cores", [3, 4])
def test_without_a_number_all_the_cores_of_a_rank_decode(run, built, monkeypatch, cores):
    monkeypatch.setattr(Device, "cores", cores)
    monkeypatch.setattr(evaluate.command, "_evaluate", stop)
    assert run()[0] == 2
    assert built[0].workers == cores and not (built[0].curve or built[0].keep_probabilities)
    assert built[0].step == (72, 72)  # the default of --views-per-step


def test_a_later_rank_leaves_its_parts_and_writes_no_result(call, words, devices, built, records,
                                                            tmp_path, monkeypatch):
    """Of four groups of two images it has the last two; all ranks have read the folder before."""
    devices[0] = Device("CPU", False, 1, 2)
    met: list = []
    monkeypatch.setattr(evaluate.command, "barrier", lambda device: met.append(
        (device, saved_rows(tmp_path / "out" / "parts"))))
    code, printed, _ = call(*words("out"), "--results-file", tmp_path / "all.csv")
    assert code == 0 and "| full" not in printed
    assert met == [(devices[0], [])]
    assert [(rows.start, rows.stop) for rows in saved_rows(tmp_path / "out" / "parts")] == [(4, 7)]
    assert not (tmp_path / "out" / "result.json").exists()
    assert not (tmp_path / "all.csv").exists()


def test_a_finished_result_is_shown_by_the_first_rank_alone(run, devices, tmp_path, monkeypatch):
    assert run()[0] == 0
    monkeypatch.setattr(evaluate.command, "started_by_launcher", lambda: True)
    for rank, shown in ((1, False), (0, True)):
        devices[:] = [Device("CPU", False, rank, 2)]
        code, printed, _ = run(results_file=tmp_path / "all.csv")
        assert code == 0 and ("| full" in printed) == shown == (tmp_path / "all.csv").exists()
        assert devices[1:] == [(("CPU",), {})]  # the rank joins the others, which wait for it


def test_a_checkpoint_that_was_replaced_meanwhile_is_refused(run, save, checkpoint, records,
                                                             monkeypatch):
    begin = evaluate.command._begin

    def replaced(*given):
        save(checkpoint, class_names_sha256=records.class_names_sha256, epoch=3)
        return begin(*given)
    monkeypatch.setattr(evaluate.command, "_begin", replaced)
    code, _, errors = run()
    assert code == 2 and "was replaced while the evaluation started" in errors[0]


def test_a_limit_on_open_files_is_noticed_before_a_device_is_set_up(run, devices, monkeypatch):
    monkeypatch.setattr(reader, "open_files", lambda: 1)
    monkeypatch.setattr(reader, "open_file_limit", lambda: 5)
    code, _, errors = run()
    assert code == 2 and "open files" in errors[0] and len(devices) == 1


def test_groups_are_timed_counted_and_decoded_ahead(network, records, monkeypatch):
    """A second passes between two readings of the clock; the network is compiled before."""
    now, bars, asked, compiled = iter(range(1_000)), [], [], []
    prepared, compile_ = evaluator_module.prepared_rows, Classifier.compile

    def noted_rows(*given, **named):
        asked.append((len(compiled), given[1:], named))
        return prepared(*given, **named)
    monkeypatch.setattr(evaluator_module, "prepared_rows", noted_rows)
    monkeypatch.setattr(Classifier, "compile", lambda cell, *inputs: compiled.append(
        [each.shape for each in inputs]) or compile_(cell, *inputs))
    monkeypatch.setattr(evaluator_module.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(evaluator_module, "progress_bar", lambda *given, **named: bars.append(
        FakeBar(*given, **named)) or bars[-1])
    protocol = protocol_of(12, 75)
    evaluator = Evaluator(network, protocol, MEAN, STD, views_per_step=13, workers=3)
    parts = list(evaluator.classify(records, [range(0, 4), range(6, 7)]))
    assert [(part.rows, part.seconds, part.waiting) for part in parts] == [
        (range(0, 2), 2, 1), (range(2, 4), 2, 1), (range(6, 7), 2, 1)]
    assert compiled[0] == [(12, 75, 75, 3), (75,)] and asked[0][0] == 1
    assert [each[1:] for each in asked] == [
        ((rows, protocol, 3), {"ahead": 5}) for rows in (range(0, 4), range(6, 7))]
    evaluator.run(records)
    assert [(bar.asked, bar.options, bar.done) for bar in bars] == [
        ((5, "evaluate (12 crops)", "images"), {"keep": True}, [2, 2, 1]),
        ((7, "evaluate (12 crops)", "images"), {"keep": False}, [2, 2, 2, 1])]


def test_an_error_without_words_is_named_by_its_kind(network, records, monkeypatch):
    evaluator = Evaluator(network, protocol_of(1, 75), MEAN, STD, workers=1)
    for error, said in ((OSError(), r"^OSError\(\)$"),
                        (OSError(5, "Input/output error"), r"^\[Errno 5\] Input/output error$")):
        def fail(*_, error=error):
            raise error
        monkeypatch.setattr(evaluator, "_predict", fail)
        with pytest.raises(RequestError, match=said):
            evaluator.run(records)


def test_single_images_are_classified_as_the_command_says(call, save, network, devices, built,
                                                          source, tmp_path, monkeypatch):
    """The averaged weights, here 0, are the default; eight crops at most pass at a time."""
    image = source / "val" / "ILSVRC2012_val_00000003.JPEG"
    averages = {f"ema.{name}": ms.Parameter(value * 0)
                for name, value in network_parameters(network).items() if value.requires_grad}
    averaged = save(tmp_path / "averaged.ckpt", averages, ema_decay=0.9)
    kept: list = []
    monkeypatch.setattr(evaluate.predict, "note_kept_work", kept.append)
    casts: list = []
    monkeypatch.setattr(evaluate.predict, "cast_cells",
                        lambda network, precision: casts.append(precision) or network)
    for flags, step, equal in (
            (["--crops", 144, "--precision", "float16"], (1, 8), True),
            (["--crops", 12, "--weights", "raw"], (1, 6), False), ([], (1, 1), True)):
        code, printed, _ = call("predict", averaged, image, "--device", "CPU", *flags)
        assert code == 0 and printed.count("33.33 %") == (3 if equal else 0)
        assert built[-1].step == step and len(kept) == len(built)
    assert casts == ["float16", "float32", "float32"]
    assert devices[1:] == [(("CPU",), {"precision": precision}) for precision in casts]
    plain = save(tmp_path / "plain.ckpt")
    code, _, errors = call("predict", plain, image, "--device", "CPU", "--weights", "ema")
    assert code == 2 and "has no averaged weights" in errors[0]
    assert len(devices) == 4  # no device was set up for it


@pytest.mark.parametrize("text, scales", [("1,2", (1, 2)), ("0", None), ("2,0", None)])
def test_scales_are_whole_numbers_above_0(text, scales):
    if scales:
        assert parse_scales(text) == scales
    else:
        with pytest.raises(Exception, match="'0' is not a whole number of at least 1"):
            parse_scales(text)


def test_means_are_those_of_float32_and_of_the_first_crops():
    views = np.float16([[[1, 2], [3, 4], [9, 9]]])
    mean = evaluator_module.mean_of_views(views, 2)
    assert mean.dtype == np.float32 and mean.tolist() == [[2, 3]]


@pytest.mark.parametrize("name, described", [
    ("", "Measure the top-1 and top-5 error of a checkpoint"), ("report", "Write one HTML page"),
    ("rescore", "Score a result's predictions"), ("compare", "Compare two results of the same"),
    ("predict", "Print the five most probable classes")])
def test_every_command_describes_itself_and_names_its_help(call, capsys, name, described):
    words = [name] if name else []
    with pytest.raises(SystemExit):
        call(*words, "--help")
    printed, command = capsys.readouterr().out, " ".join(["python -m evaluate", *words])
    assert f"usage: {command} " in printed
    assert described in " ".join(printed.split()) and "--version" in printed
    code, _, errors = call(*words, "--nonsense")
    assert code == 2 and errors[0].endswith(f"(see: {command} --help)")
