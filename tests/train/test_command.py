"""The command: from records to a run folder, dry runs, and what is refused."""

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import mindspore as ms
import pytest
from PIL import Image

from common.cli import UNDER_MAKE
from inceptionv4.device import Device
from inceptionv4.meta import read_meta
from train import command
from train.options import parse
from train.recipe import PRESETS
from train.run_folder import check_unused

FLAGS = ("--preset", "smoke", "--epochs", "2", "--batch-size", "4", "--steps-per-epoch", "2",
         "--workers", "1", "--device", "CPU")


def error_of(capfd) -> str:
    error, = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    return error


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_a_run_has_plan_config_history_and_tensorboards_events(records, call, tmp_path, capfd,
                                                               monkeypatch):
    monkeypatch.chdir(tmp_path.parent)  # without results
    words = ("--records", records["train"].folder, "--val-records", records["val"].folder,
             "--run", tmp_path, "--keep", "1", *FLAGS)
    assert call(*words) == 0
    plan = read(tmp_path / "plan.json")
    assert (plan["steps_per_epoch"], plan["global_batch"], plan["steps"]) == (2, 4, 4)
    assert plan["images_left_out_per_epoch"] == 21 - 2 * 4
    assert plan["epoch_learning_rates"] == pytest.approx([1e-3] * 2)
    config = read(tmp_path / "config.json")
    assert config["argv"] == ["python", "-m", "train", *map(str, words)]
    assert (config["preset"], config["batch_size"], config["workers"]) == ("smoke", 4, 1)
    request, recipe = parse(["--config", str(tmp_path / "config.json"), "--run", "another"])
    assert (request.records, request.val_records) == (records["train"].folder,
                                                      records["val"].folder)
    assert recipe == parse([str(word) for word in words])[1]
    for name, split in (("data", "train"), ("val_records", "val")):
        assert config[name] == str(records[split].folder)
        assert config[f"{name}_sha256"] == records[split].sha256
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in history] == [(1, 2), (2, 4)]
    assert list(history[0]) == [
        "epoch", "step", "loss", "learning_rate", "ms_per_step", "images_per_second",
        "waiting_for_data", "seconds_since_last_epoch", "compile_seconds", "seconds_validating",
        "seconds_saving", "full_top1_error", "full_top5_error", "filtered_top1_error",
        "filtered_top5_error"][:len(history[0])]
    out, err = capfd.readouterr()
    assert re.match(f"training 2 epochs of 8 images; all goes into {tmp_path}; the time .* "
                    "device: CPU.* recipe: smoke", " ".join(out.split()))
    assert "0 of" not in err  # a log has no line that says that nothing is done yet
    assert err.splitlines()[-1].endswith(
        f" -m evaluate --records {records['val'].folder} --checkpoint {tmp_path / 'last.ckpt'} "
        "--crops 1 --out results/crops-1")
    assert out.splitlines()[-1] == f"checkpoint: {tmp_path}/checkpoints/inceptionv4-2_4.ckpt"
    assert f"best checkpoint: {tmp_path}/checkpoints/inceptionv4-" in out
    assert (tmp_path / "last.ckpt").samefile(tmp_path / "checkpoints" / "inceptionv4-2_4.ckpt")
    assert read_meta(tmp_path / "last.ckpt").epoch == 2 and (tmp_path / "best.meta").exists()
    pytest.importorskip("tensorboardX", reason="the report extra is not installed")
    events = sorted((tmp_path / "tensorboard").glob("events.out.tfevents.*"))
    assert [event.name.split(".")[-1] for event in events] == ["epoch-1", "epoch-2"]
    assert all(event.read_bytes().count(b"full_top1_error") == 1 for event in events)


def test_the_evaluation_that_is_next_has_a_folder_of_its_own(records, call, tmp_path, capfd,
                                                             monkeypatch):
    """Also where an earlier checkpoint of the run was evaluated, and under make."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "crops-1").mkdir(parents=True)
    (tmp_path / "results" / "crops-1" / "result.json").write_text('{"checkpoint_sha256": "a"}')
    words = ["--records", records["train"].folder, "--run", "a b", *FLAGS, "--epochs", 1]
    assert call(*words) == 0
    evaluation = "--checkpoint 'a b/last.ckpt' --crops 1 --out results/crops-1-2"
    shown = capfd.readouterr().err.splitlines()[-1]
    assert shown.endswith(f" -m evaluate --records {records['val'].folder} {evaluation}")
    monkeypatch.setenv(UNDER_MAKE, "make train-1p RECORDS=r PRESET=smoke 'RUN=a b'")
    assert call(*words, "--resume") == 0
    assert capfd.readouterr().err.splitlines()[-1] == (
        "next: make eval-1 CKPT='a b/last.ckpt' ARGS='--out results/crops-1-2' RECORDS=r RUN='a b'")
    monkeypatch.delenv(UNDER_MAKE)
    shutil.copytree(records["train"].folder, tmp_path / "r" / "train")  # alone
    assert call("--records", "r/train", "--resume", *words[2:]) == 0
    assert capfd.readouterr().err.splitlines()[-1].endswith(
        " -m evaluate report --run 'a b' --out report.html")


def test_a_dry_run_writes_the_plan_alone_and_the_run_may_follow(records, call, tmp_path, capfd,
                                                                monkeypatch):
    """Each of its ranks has its share of the cores, as it will have under a launcher."""
    monkeypatch.setattr("common.host.available_cores", lambda: 2)
    words = ("--records", records["train"].folder, "--run", tmp_path, *FLAGS, "--workers", "0")
    for ranks, shown, threads in (
            (("--dry-run", "2"), "2 ranks x 4 = 8 images per step", 1),
            (("--dry-run",), "1 rank x 4 = 4 images per step", 2),
            (("--dry-run", "--preset", "adsl-8p", "--batch-size", "1"),
             "8 ranks x 1 = 8 images per step", 1)):
        assert call(*words, *ranks) == 0
        out, err = capfd.readouterr()
        count, images = int(shown.split()[0]), 2 * int(shown.split("= ")[1].split()[0])
        assert out.startswith(f"checking a run of 2 epochs of {images} images; nothing is trained")
        launched = f"inceptionv4.launch --ranks {count} --log-dir {tmp_path}-log " * (count > 1)
        assert f" -m {launched}train --records" in err.splitlines()[-1]
        assert err.splitlines()[-1].startswith("next: ") and "--dry-run" not in err
        assert shown in out and "2 steps" in out and f" {threads} decoding thread" in out
        assert f"= {read(tmp_path / 'plan.json')['global_batch']} images" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]
    check_unused(tmp_path)


@pytest.mark.parametrize("flags, expected", [((), []), (("--deterministic",), [True])])
def test_the_device_is_told_to_end_equal_runs_alike(records, call, tmp_path, monkeypatch, flags,
                                                    expected):
    told: list[bool] = []
    monkeypatch.setattr(ms, "set_deterministic", told.append)
    assert call("--records", records["train"].folder, "--run", tmp_path, *FLAGS, "--dry-run",
                *flags) == 0
    assert told == expected


def test_validate_every_without_validation_records_is_noted(records, call, tmp_path, capfd):
    assert call("--records", records["train"].folder, "--run", tmp_path, *FLAGS, "--dry-run",
                "--validate-every", 3) == 0
    assert "note: --validate-every 3 has no effect" in capfd.readouterr().out
    for flags in ((), ("--validate-every", 3, "--val-records", records["val"].folder)):
        assert call("--records", records["train"].folder, "--run", tmp_path, *FLAGS, "--dry-run",
                    *flags) == 0
        assert "note: " not in capfd.readouterr().out


def test_class_folders_train_without_records(records, call, tmp_path, capfd):
    images = records["train"].folder.parent / "images"
    assert call("--images", images, "--run", tmp_path, *FLAGS, "--normalize-on", "host",
                "--epochs", 1) == 0
    assert "data: 21 images" in capfd.readouterr().out
    assert (tmp_path / "checkpoints" / "inceptionv4-1_2.ckpt").exists()


def test_what_a_dry_run_reads_has_to_be_readable(call, tmp_path, capfd):
    """The first batch is read: an image that cannot be decoded fails now."""
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "1.jpeg").write_bytes(b"no image")
    assert call("--images", tmp_path / "images", "--run", tmp_path / "run", *FLAGS[:2],
                *FLAGS[-2:], "--dry-run", "--batch-size", "1", "--workers", "1") == 2
    error = error_of(capfd)  # after another pipeline of this process failed, without the image
    assert "repair or remove damaged images: python -m convert run --split train" in error
    assert not (tmp_path / "run").exists()


def with_headers(folder, *damages):
    """Class folders of a JPEG and, in the second one, damaged copies of it."""
    buffer = io.BytesIO()
    Image.new("RGB", (90, 80)).save(buffer, "JPEG")
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "0.jpeg").write_bytes(buffer.getvalue())
    for number, damage in enumerate(damages, start=1):
        (folder / "b" / f"{number}.jpeg").write_bytes(damage(buffer.getvalue()))
    return folder


def without_quantisation(jpeg):
    table = jpeg.index(b"\xff\xdb")
    return jpeg[:table] + jpeg[jpeg.index(b"\xff\xc0"):]


@pytest.mark.parametrize("dry_run", [("--dry-run",), ()])
def test_jpegs_that_would_kill_mindspores_decoder_are_named(call, tmp_path, capfd, dry_run):
    images = with_headers(tmp_path / "images", lambda jpeg: jpeg[:200], without_quantisation)
    assert call("--images", images, "--run", tmp_path / "run", *FLAGS[:2], *FLAGS[-2:], *dry_run,
                "--batch-size", 1, "--workers", 1, "--epochs", 1) == 2
    error = error_of(capfd)
    assert all(f"{images}/b/{number}.jpeg (undecodable" in error for number in (1, 2))
    assert "cannot be decoded (2 images); repair or remove damaged images: python -m conv" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("supports_sink, flags, sink_size, text", [
    (True, (), 100, "; sink mode, the loss is checked every 100 steps"),
    (True, ("--sink-size", "7"), 7, "every 7 steps"),
    (True, ("--no-sink",), 0, "; sink mode off"),
    (False, (), 0, "sink mode is not available on CPU")])
def test_sink_mode_is_used_where_the_device_has_it(records, tmp_path, monkeypatch, tiny_network,
                                                   capsys, supports_sink, flags, sink_size, text):
    monkeypatch.setattr(command, "setup_device",
                        lambda *_: Device("CPU", supports_sink, 0, 1))
    trainers = []
    monkeypatch.setattr(command.Trainer, "run", lambda *arguments: trainers.append(arguments))
    request, recipe = parse(["--records", str(records["train"].folder), "--run", str(tmp_path),
                             *FLAGS, *flags])
    command.train(request, recipe)
    (trainer, first_epoch), = trainers
    assert (trainer.sink_size, trainer.keep, first_epoch) == (sink_size, 3, 1)
    assert text in capsys.readouterr().out


def test_ranks_are_the_launchers_and_share_the_cores(records, tmp_path, monkeypatch, capsys):
    """And the folder is there when ``after_save`` is first called."""
    monkeypatch.setattr(command, "setup_device", lambda *_: Device("CPU", False, 0, 3, 2))
    monkeypatch.setattr(command, "ranks_agree", lambda *_: True)
    monkeypatch.setattr("common.host.available_cores", lambda: 5)
    saved = []
    trainer = Mock(side_effect=lambda request, recipe, plan, *_: Mock(
        folder=request.run, recipe=recipe, plan=plan))
    monkeypatch.setattr(command, "Trainer", trainer)
    monkeypatch.setattr(command, "_describe", lambda *_: "")
    request, recipe = parse(["--records", str(records["train"].folder), "--run", str(tmp_path),
                             "--preset", "adsl-8p", "--batch-size", "2"])

    def after_save():
        saved.append((tmp_path / "config.json").exists())
    command.train(request, recipe, after_save)
    _, used, plan, feed, *_, last = trainer.call_args.args
    assert saved == [True]
    last()  # the trainer's, after each epoch
    assert saved == [True, True]
    assert used == replace(recipe, ranks=3, workers=2)
    assert (plan.global_batch, feed.rank, feed.steps) == (6, 0, 3)
    assert ("is made for 8 ranks, 1,024 images per step; this run has 3, 6 images per step\n"
            in capsys.readouterr().err)


@pytest.mark.parametrize("ranks, accumulate, said", [
    (1, 1, "--accumulate 8 gives a step as many"), (2, 1, "--accumulate 4 "),
    (4, 1, "--accumulate 2 "), (4, 4, "this run has 4, 2,048 images per step; --accumulate 2 "),
    (2, 4, None), (8, 1, None), (8, 2, None)])
def test_it_says_what_keeps_a_presets_global_batch(ranks, accumulate, said, capsys):
    command._warn_of_other_batch(replace(PRESETS["adsl-8p"], ranks=ranks, accumulate=accumulate))
    warning = capsys.readouterr().err
    assert said in warning if said else not warning


def test_sets_that_do_not_belong_together_are_refused(records, other_records, call, tmp_path,
                                                      capfd):
    train, val = records["train"].folder, records["val"].folder
    for flags, words in (
            (("--records", train, "--val-records", other_records["val"].folder),
             "has 3 classes"),
            (("--records", val), "--records"), (("--records", train, "--val-records", train),
                                                "holds the train set"),
            (("--records", train, "--sink"), "--sink: CPU has no sink mode")):
        for mode in ((), ("--dry-run",)):
            assert call(*flags, "--run", tmp_path / "run", *FLAGS, *mode) == 2
            assert words in error_of(capfd)
    assert not (tmp_path / "run").exists()


def test_a_disk_without_room_is_refused(records, call, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("train.plan.shutil.disk_usage", lambda _: Mock(free=10**9))
    assert call("--records", records["train"].folder, "--run", tmp_path / "run", *FLAGS) == 2
    assert "the disk has 1.0 GB left" in error_of(capfd)


def test_a_folder_in_use_is_refused(records, call, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    for run, words in ((tmp_path, "is in use (it holds file); resume it with --resume"),
                       (tmp_path / "file", "is a file")):
        for flags in ((), ("--dry-run",), ("--resume",)):
            assert call("--records", records["train"].folder, "--run", run, *FLAGS, *flags) == 2
            assert words in error_of(capfd)


@pytest.mark.parametrize("flags, named", [
    (("--run", "x"), "--records"),
    (("--records", "nowhere", "--run", "x", "--preset", "smoke"), "nowhere"),
    (("--records", "nowhere", "--run", "x"), "--preset is missing"),
    (("--records", "nowhere", "--run", "x", "--phases", "40:5:x"), "--phases 40:5:x")])
def test_a_wrong_request_is_one_line_and_exit_code_2(call, capfd, flags, named):
    assert call(*flags) == 2
    error, = capfd.readouterr().err.splitlines()
    assert error.startswith("error: ") and named in error


def test_flags_that_would_make_the_ranks_differ_have_to_be_equal(monkeypatch):
    digests = []
    monkeypatch.setattr(command, "ranks_agree", lambda _, digest: digests.append(digest) or True)
    words = ["--records", "r", "--preset", "smoke", "--run"]
    for flags in ("run", "run --validate-every 2", "run --jit-level O1", "run --deterministic",
                  "run --sink", "run --no-sink", "run --sink-size 7", "run --profile 3",
                  "run-of-host-1", "run --keep 9", "run --compile-cache cache"):
        request = parse([*words, *flags.split()])[0]
        command._check_same_request(Device("CPU", False, 0, 2), {"seed": 0}, request)
    assert len(set(digests[:8])) == 8 and set(digests[8:]) == {digests[0]}
