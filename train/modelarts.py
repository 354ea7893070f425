"""Boot file for Huawei ModelArts.

    train/modelarts.py --data_url=obs://bucket/records --train_url=obs://bucket/run ...

Both may be local as well. All arguments of ``python -m train`` hold here too, as
``--name=value`` and with ``_`` for ``-`` as the platform has them: ``--preset=adsl-8p
--batch_size=64 --resume=true``. To be started once a card: by the platform's own launcher, or as
``msrun --worker_num=8 --local_worker_num=8 --join=True train/modelarts.py ...``.
"""

import argparse
import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

if not __package__:  # started as a script: the path has this folder, and needs the one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from common.cli import ArgumentParser, RequestError, run_command
from train.obs import bring_records, call_moxing, is_obs, join
from train.options import checked_recipe, train_parser
from train.recipe import Recipe

CACHE = Path("/cache")  # ModelArts' local disk
GIVEN_BY_URLS = {"--records": "--data_url", "--val-records": "--data_url", "--run": "--train_url"}


class ModelArtsJob(NamedTuple):
    """What ModelArts asks for."""

    data_url: str  # folder of the record sets train/ and val/
    train_url: str
    local_dir: Path
    arguments: argparse.Namespace  # those of python -m train
    ignored: list[str]

    @property
    def records(self) -> Path:
        """The folder of the record sets on this host."""
        return self.local_dir / "records" if is_obs(self.data_url) else Path(self.data_url)


def main() -> None:
    job = parse_job(sys.argv[1:])
    recipe = checked_recipe(job.arguments)
    if job.ignored and is_first_rank():
        print(f"note: ignored, since the training knows no such argument: {' '.join(job.ignored)}",
              file=sys.stderr, flush=True)
    # The platform's name for the card; MindSpore reads the other.
    if "ASCEND_DEVICE_ID" in os.environ:
        os.environ.setdefault("DEVICE_ID", os.environ["ASCEND_DEVICE_ID"])
    if job.arguments.dry_run is not None:
        plan_only(recipe, job)
    elif is_obs(job.train_url):
        train_on_obs(recipe, job)
    else:
        train_here(recipe, job)


def is_first_rank() -> bool:
    return os.environ.get("RANK_ID", "0") == "0"


def parse_job(words: list[str]) -> ModelArtsJob:
    """Sort the platform's arguments into ours, the training's and those that nobody knows."""
    parser = ArgumentParser(prog="train/modelarts.py", description="Train on Huawei ModelArts.",
                            epilog="All other arguments are those of python -m train.")
    parser.add_argument("--data_url", required=True, help="folder of the record sets train/, val/")
    parser.add_argument("--train_url", required=True, help="folder of the run")
    parser.add_argument("--local_dir", type=Path, default=default_local_dir(),
                        help="this host's disk for copies of what is on obs://, for one job "
                             "at a time")
    given, rest = parser.parse_known_args(words)
    spelled = [as_flag(word) for word in rest]
    for flag, url in GIVEN_BY_URLS.items():
        if any(word.split("=")[0] == flag for word in spelled):
            raise RequestError(f"{flag} is not an argument here: it follows from {url}")
    job = ModelArtsJob(given.data_url, given.train_url, given.local_dir, argparse.Namespace(), [])
    arguments, unknown = train_parser().parse_known_args(
        [*spelled, f"--records={job.records / 'train'}", f"--run={run_folder(job)}"])
    as_given = dict(zip(spelled, rest))
    return job._replace(arguments=arguments, ignored=[as_given[word] for word in unknown])


def default_local_dir() -> Path:
    if CACHE.is_dir() and os.access(CACHE, os.W_OK):
        return CACHE
    return Path(tempfile.gettempdir()) / "imagenet-mindrecord"


def as_flag(word: str) -> str:
    """``--batch_size=8`` as ``--batch-size=8``, ``--resume=true`` as ``--resume`` and
    ``--resume=false`` as ``--no-resume``: the platform passes no argument without a value."""
    name, equals, value = word.partition("=")
    if not name.startswith("--"):
        return word
    name = name.replace("_", "-")
    if value.lower() == "true":
        return name
    return f"--no-{name[2:]}" if value.lower() == "false" else name + equals + value


def run_folder(job: ModelArtsJob) -> Path:
    """The run on this host: a folder of its own for each place on OBS."""
    if not is_obs(job.train_url):
        return Path(job.train_url)
    digest = hashlib.sha256(job.train_url.rstrip("/").encode()).hexdigest()
    return job.local_dir / "runs" / digest[:12]


def train_on_obs(recipe: Recipe, job: ModelArtsJob) -> None:
    """Train in a run folder on this host that is mirrored on OBS."""
    from train.command import train
    from train.mirror import Mirror
    mirror = Mirror(job.arguments.run, job.train_url)
    if job.arguments.resume:
        mirror.bring_back()
    elif is_first_rank():
        mirror.check_unused()
    place_records(job)
    try:
        train(recipe, job.arguments, mirror.after_save)
    except Exception:
        if mirror.failure is not None:  # what ended the training is the error to tell
            mirror.after_save(job.arguments.run)
        raise
    mirror.finish()


def train_here(recipe: Recipe, job: ModelArtsJob) -> None:
    from train.command import train
    place_records(job)
    train(recipe, job.arguments, lambda run: None)


def plan_only(recipe: Recipe, job: ModelArtsJob) -> None:
    from train.command import dry_run
    place_records(job)
    dry_run(recipe, job.arguments)


def place_records(job: ModelArtsJob) -> None:
    """See that the record sets are on this host; ``val/`` may be missing."""
    has_val = (job.records / "val").exists()
    if is_obs(job.data_url):
        has_val = call_moxing("exists", join(job.data_url, "val"))
        for split in ("train", "val") if has_val else ("train",):
            bring_records(join(job.data_url, split), job.records / split)
    job.arguments.val_records = job.records / "val" if has_val else None
    if not has_val and is_first_rank():
        print(f"note: {job.data_url} has no val/, so epochs are not scored", flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
