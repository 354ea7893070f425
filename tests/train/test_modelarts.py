"""The boot file: the platform's arguments, paths and launcher; the trainer is a stand-in, or
else the network is one."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Callable

import pytest
from reading import digests

from common.cli import CheckFailed, RequestError, run_command
from train.modelarts import main, parse_job
from train.recipe import PRESETS

BOOT_FILE = Path(__file__).parents[2] / "train" / "modelarts.py"

# Found by Python at its start: what the boot file imports is then a trainer that trains nothing.
STAND_IN_TRAINER = """
import os, sys, types
from pathlib import Path

def train(request, recipe, after_save):
    from convert.records.reader import open_records
    print("trains on", open_records(request.records).images, recipe.preset, recipe.batch_size,
          "and", open_records(request.val_records).images, "card", os.environ["DEVICE_ID"])
    if os.environ["RANK_ID"] == "0":
        request.run.mkdir(parents=True)
        (request.run / "config.json").write_text("{}")
        after_save()

sys.modules["train.command"] = types.ModuleType("train.command")
sys.modules["train.command"].train = sys.modules["train.command"].dry_run = train
"""


def call(monkeypatch, *arguments: object) -> int:
    """Call the boot file's main; its exit code."""
    monkeypatch.setattr(sys, "argv", [str(BOOT_FILE), *map(str, arguments)])
    return run_command(main)


@pytest.fixture
def trained(monkeypatch) -> list:
    """The trainer's requests; it writes a config and calls ``after_save``."""
    calls = []

    def train(request, recipe, after_save=lambda: None):
        request.run.mkdir(parents=True, exist_ok=True)
        (request.run / "config.json").write_text("{}")
        after_save()
        calls.append(request)
    monkeypatch.setattr("train.command.train", train)
    return calls


@pytest.fixture
def data(obs, records) -> str:
    """Both record sets on OBS."""
    obs.put(records["val"].folder, "data/val")
    obs.put(records["train"].folder, "data/train")
    return "obs://bucket/data"


@pytest.fixture
def job(monkeypatch, data, tmp_path) -> Callable[..., int]:
    """The boot file's exit code for these arguments, by default with data and run on OBS."""
    def start(*words: str) -> int:
        return call(monkeypatch, f"--data_url={data}", f"--local_dir={tmp_path / 'host'}",
                    "--train_url=obs://bucket/run", "--preset=smoke", "--device=CPU", *words)
    return start


def test_arguments_are_sorted_into_ours_the_trainings_and_unknown_ones():
    job, request, recipe, ignored = parse_job(
        ["--data_url=/in/", "--num_gpus=8", "--preset=adsl-8p", "--batch_size=64",
         "--train_url=/out", "--init_method", "tcp://x:1", "--label-smoothing", "0.2",
         "--node", "8", "--keep", "8"])
    assert (job.data_url, job.train_url) == ("/in/", "/out")
    assert recipe == replace(PRESETS["adsl-8p"], batch_size=64, label_smoothing=0.2)
    assert (request.records, request.run, request.keep) == (Path("/in/train"), Path("/out"), 8)
    assert ignored == ["--num_gpus=8", "--init_method", "tcp://x:1", "--node", "8"]


@pytest.mark.parametrize("words, resume, scale_lr", [
    (["--resume=true", "--scale_lr=True"], True, True),
    (["--resume", "--scale-lr=false"], True, False),
    (["--resume=False", "--no-scale-lr"], False, False)])
def test_a_switch_may_have_a_value(words, resume, scale_lr):
    _, request, recipe, _ = parse_job(["--data_url=a", "--train_url=b", "--preset=adsl-8p", *words])
    assert (request.resume, recipe.scale_lr) == (resume, scale_lr)


@pytest.mark.parametrize("words, named", [
    ([], "--data_url"), (["--data_url=a"], "--train_url"),
    (["--data_url=a", "--train_url=b", "--batch_size=x"], "--batch-size"),
    (["--data_url=a", "--train_url=b", "--preset=smoke", "--image_size=74"], "--image-size 74"),
    (["--data_url=a", "--train_url=b"], "--preset is missing"),
    (["--data_url=a", "--train_url=b", "--records=x"], "--records.* --data_url"),
    (["--data_url=a", "--train_url=b", "--val_records", "x"], "--val-records.* --data_url"),
    (["--data_url=a", "--train_url=b", "--run=x"], "--run.* --train_url")])
def test_a_wrong_argument_is_named(words, named):
    with pytest.raises(RequestError, match=named):
        parse_job(words)


def test_its_help_says_where_the_other_arguments_are(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        parse_job(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for said in ("usage: train/modelarts.py ", "Train on Huawei", "are those of python -m train."):
        assert said in text


def test_runs_of_different_places_have_different_folders(tmp_path):
    def run(url):
        return parse_job(["--data_url=a", f"--train_url={url}", f"--local_dir={tmp_path}",
                          "--preset=smoke"])[1].run
    assert run("obs://a/run") == run("obs://a/run/") != run("obs://b/run")
    assert run("obs://a/run").is_relative_to(tmp_path)


def test_local_paths_are_used_in_place(monkeypatch, trained, records, tmp_path, capsys):
    folder = records["train"].folder.parent
    assert call(monkeypatch, f"--data_url={folder}", f"--train_url={tmp_path / 'run'}",
                f"--local_dir={tmp_path / 'host'}", "--preset=smoke", "--num_gpus=1",
                "--device_target=Ascend") == 0
    request, = trained
    assert (request.records, request.val_records) == (folder / "train", folder / "val")
    assert request.run == tmp_path / "run" and not (tmp_path / "host").exists()
    note, = capsys.readouterr().err.splitlines()
    assert note.startswith("note: ") and note.endswith(": --num_gpus=1 --device_target=Ascend")


def test_validation_records_may_be_missing(trained, obs, job, tmp_path, capsys):
    """Also where those of an earlier job lie on the host. A plan alone is no run."""
    (obs.bucket / "run").mkdir()
    (obs.bucket / "run" / "plan.json").write_text("{}")
    assert job() == 0
    (obs.bucket / "data" / "val").rename(obs.bucket / "elsewhere")
    assert job(f"--train_url={tmp_path / 'b'}") == 0
    first, second = trained
    assert first.val_records.is_dir() and second.val_records is None
    assert "obs://bucket/data has no val/" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["config.json", "history.jsonl", "checkpoints"])
def test_a_run_in_use_is_refused_before_anything_is_copied(trained, obs, job, capsys, name):
    (obs.bucket / "run" / name).mkdir(parents=True)
    assert job() == 2
    assert re.search(f"obs://bucket/run is in use .*{name}.*--resume", capsys.readouterr().err)
    assert not trained and not obs.calls("copy_parallel")


def test_a_run_resumes_from_what_obs_has(trained, obs, job):
    folder = obs.bucket / "run" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("inceptionv4-1_9.ckpt", "inceptionv4-1_9.meta"):
        (folder / name).write_text(name)
    assert job("--resume=true") == 0
    request, = trained
    assert request.resume
    assert (request.run / "checkpoints" / "inceptionv4-1_9.ckpt").exists()
    assert (obs.bucket / "run" / "config.json").exists()


def test_a_run_that_could_not_be_copied_ends_with_exit_code_2(trained, obs, job, capsys):
    obs.spoil("copy", "raise", times=2)
    assert job() == 2
    request, = trained
    *warnings, error = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in warnings] == ["warning:", "warning:"]
    assert error.startswith(f"error: the run is kept in {request.run} but obs://bucket/run lacks")
    assert "the bucket does not answer" in error
    assert (request.run / "config.json").exists()


def test_a_run_is_on_obs_before_its_first_epoch_ends(monkeypatch, tiny_network, obs, job):
    """So that another job is refused there meanwhile."""
    def run(trainer, first_epoch):
        raise CheckFailed("the first epoch was not finished")
    monkeypatch.setattr("train.command.Trainer.run", run)
    assert job("--workers=1", "--batch_size=4") == 1
    assert {path.name for path in (obs.bucket / "run").iterdir()} == {"config.json", "plan.json"}


def test_what_ended_the_training_is_the_error_and_the_run_is_copied(monkeypatch, obs, job, capsys):
    def train(request, recipe, after_save):
        request.run.mkdir(parents=True)
        (request.run / "config.json").write_text("{}")
        obs.spoil("copy", "raise")
        after_save()
        raise CheckFailed("the loss is nan")
    monkeypatch.setattr("train.command.train", train)
    assert job() == 1
    assert capsys.readouterr().err.splitlines()[-1] == "failed: the loss is nan"
    assert (obs.bucket / "run" / "config.json").exists()


def test_an_interruption_waits_for_the_upload_and_names_the_place_on_obs(monkeypatch, obs, job,
                                                                         capsys):
    def train(request, recipe, after_save):
        folder = request.run / "checkpoints"
        folder.mkdir(parents=True)
        for suffix in (".ckpt", ".meta"):
            (folder / f"inceptionv4-3_27{suffix}").write_text("")
        obs.spoil("copy", "slow", times=2)
        after_save()
        raise KeyboardInterrupt
    monkeypatch.setattr("train.command.train", train)
    assert job() == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("interrupted: epoch 3 is the last one saved in obs://bucket/run; resume")
    assert (obs.bucket / "run" / "checkpoints" / "inceptionv4-3_27.meta").exists()


def test_another_rank_than_the_first_leaves_the_bucket_and_the_notes_to_it(
        monkeypatch, trained, obs, job, capsys):
    """It does not ask whether the run is in use, and knows of no checkpoint of its own."""
    monkeypatch.setenv("RANK_ID", "1")
    monkeypatch.setenv("ASCEND_DEVICE_ID", "6")
    monkeypatch.setenv("DEVICE_ID", "")  # so that what the boot file sets does not stay
    monkeypatch.delenv("DEVICE_ID")
    kept: list = []
    monkeypatch.setattr("train.modelarts.note_kept_work", kept.append)
    (obs.bucket / "run" / "config.json").mkdir(parents=True)
    (obs.bucket / "data" / "val").rename(obs.bucket / "elsewhere")
    job("--num_gpus=2")
    assert [request.val_records for request in trained] == [None]
    assert os.environ["DEVICE_ID"] == "6"
    printed = capsys.readouterr()
    assert "note: ignored" not in printed.err and "no val/" not in printed.out
    assert re.fullmatch("saved epochs are in obs://bucket/run; resume with: .* --resume", kept[0]())


def test_what_is_kept_of_a_run_is_said_by_its_place(monkeypatch, trained, obs, records, job,
                                                    tmp_path):
    kept: list = []
    monkeypatch.setattr("train.modelarts.note_kept_work", kept.append)
    assert job(f"--train_url={tmp_path / 'run'}") == 0
    assert kept.pop()().startswith(f"no epoch is saved in {tmp_path / 'run'}; resume with: ")
    obs.spoil("copy", "raise", times=9)
    assert job() == 2
    assert kept.pop()().startswith(f"the run is kept in {trained[-1].run} but obs://bucket/run ")


def test_a_dry_run_trains_nothing(trained, job, tmp_path, tiny_network):
    assert job(f"--train_url={tmp_path / 'run'}", "--batch_size=2", "--dry_run=8") == 0
    assert not trained
    assert json.loads((tmp_path / "run" / "plan.json").read_text())["global_batch"] == 16


def test_the_platforms_launcher_starts_it_once_per_card(obs, data, tmp_path, monkeypatch):
    """As a script, in a folder of its own, all at once; the records are copied once."""
    (tmp_path / "sitecustomize.py").write_text(STAND_IN_TRAINER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    obs.spoil("copy_parallel", "slow", times=2)
    words = [sys.executable, BOOT_FILE, f"--data_url={data}", "--train_url=obs://bucket/run",
             f"--local_dir={tmp_path / 'host'}", "--preset=adsl-8p", "--batch_size=2",
             "--num_gpus=2"]
    ranks = [subprocess.Popen(words, cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env={
                                  **os.environ, "RANK_TABLE_FILE": "", "RANK_ID": rank,
                                  "RANK_SIZE": "2", "ASCEND_DEVICE_ID": rank})
             for rank in ("0", "1")]
    outputs = [rank.communicate() for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], outputs
    for rank, (out, _) in enumerate(outputs):
        assert out.splitlines()[-1] == f"trains on 21 adsl-8p 2 and 6 card {rank}"
    assert [err.count("--num_gpus=2") for _, err in outputs] == [1, 0]
    assert len(obs.calls("copy_parallel")) == 2
    assert (obs.bucket / "run" / "config.json").exists()


def test_msruns_scheduler_only_lets_the_ranks_join(obs, job, trained, monkeypatch, capsys):
    """It is started with rank 0's number, and would copy, note and write what rank 0 does."""
    joined = []
    monkeypatch.setattr("inceptionv4.device.setup_device", joined.append)
    monkeypatch.setenv("MS_ROLE", "MS_SCHED")
    monkeypatch.setenv("RANK_ID", "0")
    assert job("--num_gpus=2", "--device_target=CPU") == 0
    assert joined == ["CPU"] and not trained and not obs.calls("copy_parallel")
    assert capsys.readouterr() == ("", "")


def test_a_job_trains_from_obs_to_obs(obs, job, tmp_path, tiny_network):
    assert job("--epochs=1", "--batch_size=2", "--steps_per_epoch=1", "--workers=1", "--keep=1",
               "--device_target=CPU") == 0
    run, = (tmp_path / "host" / "runs").glob("[!.]*")
    (run / ".lock").unlink()  # hidden files and links stay here
    for link in [path for path in run.iterdir() if path.is_symlink()]:
        link.unlink()
    assert digests(obs.bucket / "run") == digests(run)
    assert (run / "checkpoints" / "inceptionv4-1_1.ckpt").exists()
    line = json.loads((obs.bucket / "run" / "history.jsonl").read_text())
    assert line["step"] == 1 and "full_top1_error" in line
