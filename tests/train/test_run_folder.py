"""The files of a run folder: what is refused, what older versions wrote, which checkpoints stay,
and which one a run resumes from."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import pytest

from common.cli import RequestError
from common.forms import HistoryLine, read_history
from common.text import LINE_WIDTH
from inceptionv4.device import Device
from inceptionv4.meta import CheckpointMeta, read_meta
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
from train import __main__, command
from train.checkpoints import add_checkpoint, best_checkpoint, checkpoints, newest_complete
from train.options import TrainRequest
from train.plan import make_plan
from train.recipe import PRESETS
from train.run_folder import (CONFIG, HISTORY, add_history, add_to_tensorboard, check_same_run,
                              check_unused, config_of, describe_epoch, resume_at, start_run)

LINE = HistoryLine(3, 12, 2.345, 0.0123, 456.7, 89.01, None, 1.5)
OLD = {"epoch": 2, "step": 8, "loss": 1.0, "learning_rate": 0.1, "ms_per_step": 5.0,
       "images_per_second": 7.0, "of_another_version": 1}


@pytest.fixture
def config(records) -> dict:
    return config_of(PRESETS["smoke"], records["train"], None, Device("CPU", False, 0, 1))


@pytest.mark.parametrize("text, words", [
    ("{", "config.json is damaged"),
    ("[]", "config.json does not hold a JSON object; give another --run"),
    (json.dumps({"learning_speed": 1}), "has the unknown key 'learning_speed'"),
])
def test_a_config_that_cannot_be_read_is_refused(tmp_path, config, text, words):
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(RequestError, match=words):
        check_same_run(tmp_path, config)


def test_other_phases_are_named_as_they_are_typed(tmp_path, config):
    earlier = {**config, "phases": [{**config["phases"][0], "peak": 0.5}]}
    (tmp_path / CONFIG).write_text(json.dumps(earlier))
    with pytest.raises(RequestError) as error:
        check_same_run(tmp_path, config)
    assert "(phases: was 3:0:0.5:1:1, now 3:0:0.001:1:1 2:0:0.0002:0.4:1)" in str(error.value)


def test_place_device_workers_and_command_may_differ(tmp_path, config):
    earlier = {**config, "data": "elsewhere", "val_records": "v", "device": "Ascend", "workers": 9,
               "argv": ["train"]}
    (tmp_path / CONFIG).write_text(json.dumps(earlier))
    check_same_run(tmp_path, config)
    (tmp_path / CONFIG).write_text(json.dumps({**earlier, "seed": 4, "data_sha256": "x"}))
    with pytest.raises(RequestError, match=r"\(data_sha256: was x, now .*, seed: was 4, now 0\)"):
        check_same_run(tmp_path, config)


def test_a_history_may_lack_the_end_of_its_last_line_only(tmp_path):
    path = tmp_path / HISTORY
    path.write_text(json.dumps(OLD) + '\n{"epo')
    assert read_history(tmp_path) == [HistoryLine(2, 8, 1.0, 0.1, 5.0, 7.0)]
    path.write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    with pytest.raises(RequestError, match="history.jsonl, line 2, is damaged"):
        read_history(tmp_path)
    path.write_text('{"epoch": 1}\n')
    with pytest.raises(RequestError, match="history.jsonl is not the history of a run"):
        read_history(tmp_path)


def test_lines_are_added_and_removed_after_the_resumed_epoch(tmp_path):
    (tmp_path / HISTORY).write_text(json.dumps(OLD) + "\n")
    add_history(tmp_path, LINE)
    assert read_history(tmp_path)[1] == LINE
    resume_at(tmp_path, 2)
    assert (tmp_path / HISTORY).read_text() == json.dumps(OLD) + "\n"
    (tmp_path / HISTORY).write_text(json.dumps(OLD) + '\n{"epoch": "3"}\n')
    with pytest.raises(RequestError, match="history.jsonl, line 2, has no epoch; remove that line"):
        resume_at(tmp_path, 2)


def test_an_epoch_is_described_with_what_was_measured():
    said = "epoch 3/7: loss 2.345, learning rate 0.0123, 457 ms/step, 89.0 images/s; "
    assert describe_epoch(LINE, 7, Path("a", "x.ckpt"), "2 min", 3) == (
        f"{said}saved x.ckpt; 2 min left")
    assert describe_epoch(LINE, 7, None, "2 min", 3) == f"{said}not saved; 2 min left"
    last = describe_epoch(LINE, 3, Path("x.ckpt"), "0.0 s", 3)
    assert last == said.replace("/7", "/3") + "saved x.ckpt"


@pytest.mark.parametrize("classes, top5", [(5, ""), (6, ", top-5 1.0 %")])
def test_five_classes_have_no_top_5_error_and_a_long_line_is_folded(classes, top5):
    line = replace(LINE, full_top1_error=9.0, full_top5_error=1.0)
    lines = describe_epoch(line, 3, Path("inceptionv4-3_12.ckpt"), "", classes).splitlines()
    assert max(map(len, lines)) <= LINE_WIDTH and len(lines) == 2 and lines[1].startswith("    ")
    assert f"full set: top-1 error 9.0 %{top5}; saved " in " ".join(" ".join(lines).split())


def test_tensorboards_failure_is_a_warning(tmp_path, capfd):
    pytest.importorskip("tensorboardX", reason="the report extra is not installed")
    (tmp_path / "tensorboard").write_text("no folder")
    add_to_tensorboard(tmp_path, LINE)
    assert capfd.readouterr().err.startswith("warning: TensorBoard has no epoch 3: ")


def test_where_links_are_impossible_a_warning_says_so(tmp_path, monkeypatch, capfd):
    def refuse(*_):
        raise OSError(1, "Operation not permitted")
    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    add(tmp_path, 1)
    assert epochs(tmp_path) == [1] and "has no links to its last" in capfd.readouterr().err


def add(folder, epoch, error=None, keep=2):
    (folder / "checkpoints").mkdir(exist_ok=True)
    meta = CheckpointMeta(3, 75, INCEPTION_MEAN, INCEPTION_STD, 0.9, "", epoch, 9 * epoch, error)
    add_checkpoint(folder, {"x": ms.Parameter(ms.Tensor([float(epoch)]), "x")}, meta, keep)


def epochs(folder):
    files = folder / "checkpoints"
    assert {path.stem for path in files.glob("*.ckpt")} == {
        path.stem for path in files.glob("*.meta")}
    return [int(path.stem.split("-")[1].split("_")[0]) for path in checkpoints(folder)]


def test_the_last_checkpoints_stay_in_order_of_steps(tmp_path):
    """Steps 9, 18, 108 and 270, which as text would be 108, 18, 270, 9."""
    assert newest_complete(tmp_path) is None
    for epoch in (1, 2, 12, 30):
        add(tmp_path, epoch, keep=10)
    assert epochs(tmp_path) == [1, 2, 12, 30]
    assert newest_complete(tmp_path).meta.step == 270
    resume_at(tmp_path, 12)
    assert newest_complete(tmp_path).path.name == "inceptionv4-12_108.ckpt"
    (tmp_path / "checkpoints" / "inceptionv4-30_270_backup.ckpt").write_text("")  # not the run's
    (tmp_path / "checkpoints" / "inceptionv4-30_270_backup.meta").write_text("")
    add(tmp_path, 13, keep=2)  # epoch 30, which was damaged, does not count
    assert epochs(tmp_path) == [12, 13]
    assert best_checkpoint(tmp_path) is None


def test_the_best_checkpoint_stays_too(tmp_path):
    for epoch, error in enumerate((50.0, 20.0, 30.0, 20.0, 40.0), start=1):
        add(tmp_path, epoch, error)
    assert epochs(tmp_path) == [2, 4, 5]
    assert [read_meta(tmp_path / name).epoch for name in ("best.ckpt", "last.ckpt")] == [2, 5]
    resume_at(tmp_path, 4)
    assert [read_meta(tmp_path / name).epoch for name in ("best.ckpt", "last.ckpt")] == [2, 4]


def test_torn_checkpoints_are_passed_over_with_a_warning(tmp_path, capfd):
    for epoch in (1, 2, 3):
        add(tmp_path, epoch, keep=3)
    (tmp_path / "checkpoints" / "inceptionv4-3_27.meta").unlink()
    ckpt = tmp_path / "checkpoints" / "inceptionv4-2_18.ckpt"
    ckpt.chmod(0o600)
    data = bytearray(ckpt.read_bytes())
    data[-1] ^= 1
    ckpt.write_bytes(data)
    found = newest_complete(tmp_path)
    assert (found.meta.epoch, found.state["x"].asnumpy().tolist()) == (1, [1.0])
    warnings = capfd.readouterr().err.splitlines()
    assert len(warnings) == 2
    assert "inceptionv4-3_27.ckpt" in warnings[0] and "inceptionv4-2_18.ckpt" in warnings[1]
    (tmp_path / ".last.ckpt.tmp").symlink_to("of a killed process")
    resume_at(tmp_path, 1)
    assert epochs(tmp_path) == [1] and read_meta(tmp_path / "last.ckpt").epoch == 1


def test_only_what_is_left_of_no_run_may_lie_in_a_new_runs_folder(tmp_path):
    run = tmp_path / "run"
    check_unused(run)
    (run / "checkpoints").mkdir(parents=True)
    for name in ("plan.json", ".lock", ".config.json.7.tmp"):
        (run / name).write_text("")
    check_unused(run)
    for path in (run / "checkpoints" / "a.ckpt", run / "other"):
        path.mkdir()
        held = path.relative_to(run).parts[0]
        with pytest.raises(RequestError, match=f"is in use .it holds {held}"):
            check_unused(run)
        path.rmdir()
    check_unused(run)


@pytest.mark.parametrize("data, shown", [
    (dict(records=Path("a", "train"), val_records=Path("b")), "b"),
    (dict(records=Path("a", "train")), "a/val"), (dict(images=Path("a")), "records/val")])
def test_the_next_command_evaluates_the_validation_set_that_there_is(tmp_path, data, shown):
    assert str(__main__._validation_of(TrainRequest(tmp_path, **data))) == shown


@pytest.mark.parametrize("asked, earlier, rank, used, warned", [
    (0, 1, 0, 1, False), (2, 1, 0, 2, True), (2, 1, 1, 2, False), (2, 2, 0, 2, False),
    (0, 5, 0, 3, True), (0, 4, 0, 4, False), (0, 0, 0, 3, True)])
def test_a_resumed_run_has_its_workers_where_this_host_can(tmp_path, monkeypatch, capfd, asked,
                                                           earlier, rank, used, warned):
    """Of a host with four cores, of which three are this rank's; rank 0 alone warns."""
    (tmp_path / CONFIG).write_text(json.dumps({"workers": earlier}))
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr(Device, "cores", 3)
    recipe, device = replace(PRESETS["smoke"], workers=asked), Device("CPU", False, rank, 2)
    assert command._workers(recipe, tmp_path, device, resuming=True) == used
    assert ("crops differ from here on" in capfd.readouterr().err) == warned
    assert command._workers(recipe, tmp_path, device, resuming=False) == (asked or 3)


def test_an_interrupted_run_says_its_last_whole_epoch_and_where(tmp_path, monkeypatch):
    kept: list = []
    folder = tmp_path / "run"
    monkeypatch.setattr(__main__, "note_kept_work", kept.append)
    monkeypatch.setattr("train.command.train", lambda request, recipe: None)
    monkeypatch.setattr(sys, "argv", ["train", "--records", "r", "--run", str(folder), "--preset",
                                      "smoke"])
    __main__.main()
    assert kept[0]().startswith(f"no epoch is saved in {folder}; resume with: ")
    folder.mkdir()
    for epoch in (1, 12):
        add(folder, epoch)
    (folder / "checkpoints" / "inceptionv4-13_117.ckpt").write_text("")  # without its meta
    assert kept[0]().startswith(f"epoch 12 is the last one saved in {folder}; resume with: ")


def test_what_a_kill_left_is_removed(records, tmp_path):
    add(tmp_path, 2)
    files = tmp_path / "checkpoints"
    (files / ".inceptionv4-3_27.x1").mkdir()
    for left in (".inceptionv4-3_27.meta.7.tmp", "inceptionv4-3_27.meta", "../.config.json.7.tmp"):
        (files / left).write_text("")
    start_run(tmp_path, {}, make_plan(replace(PRESETS["smoke"], batch_size=3), records["train"], 1))
    assert sorted(path.name for path in files.iterdir()) == ["inceptionv4-2_18.ckpt",
                                                             "inceptionv4-2_18.meta"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoints", "config.json", "last.ckpt", "last.meta", "plan.json"]
