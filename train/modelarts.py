"""Boot file for Huawei ModelArts.

    train/modelarts.py --data_url=obs://bucket/records --train_url=obs://bucket/run ...

Both may be local as well. All arguments of ``python -m train`` are valid here too, as
``--name=value`` and with ``_`` for ``-``, which is how the platform passes them:
``--preset=adsl-8p --batch_size=64 --resume=true``. Start it once per card: by the platform's own
launcher (rank tables, or msrun with ``MA_RUN_METHOD=msrun``), or as
``msrun --worker_num=8 --local_worker_num=8 --join=True train/modelarts.py ...``.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

if not __package__:  # started as a script: the path has this folder, and needs the one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from common.signals import note_kept_work, take_signals_from_mindspore

if __name__ == "__main__":
    take_signals_from_mindspore()

from common.cli import ArgumentParser, RequestError, run_command, shown_command
from common.options import add_options, from_arguments, option
from train.obs import RunOnObs, call_moxing, fetch_records, is_obs, join
from train.options import TrainRequest, requested, train_parser
from train.recipe import Recipe

CACHE = Path("/cache")  # ModelArts' local disk
GIVEN_BY_URLS = {"--records": "--data_url", "--val-records": "--data_url", "--run": "--train_url"}


@dataclass(frozen=True)
class ModelArtsRequest:
    """What ModelArts asks for, next to the training's own arguments."""

    data_url: str = option(help="folder of the record sets train/ and val/", flag="--data_url")
    train_url: str = option(help="folder of the run", flag="--train_url")
    local_dir: Path = option(
        CACHE if os.access(CACHE, os.W_OK) else Path(tempfile.gettempdir(), "imagenet-mindrecord"),
        "this host's disk for copies of what is on obs://, for one job at a time",
        flag="--local_dir")

    @property
    def records(self) -> Path:
        """Return the folder of the record sets on this host."""
        return self.local_dir / "records" if is_obs(self.data_url) else Path(self.data_url)

    @property
    def run(self) -> Path:
        """Return the run folder on this host: one for each place on OBS."""
        if not is_obs(self.train_url):
            return Path(self.train_url)
        digest = hashlib.sha256(self.train_url.rstrip("/").encode()).hexdigest()
        return self.local_dir / "runs" / digest[:12]


def main() -> None:
    job, request, recipe, ignored = parse_job(sys.argv[1:])
    if os.environ.get("MS_ROLE") == "MS_SCHED":  # of msrun, with RANK_ID 0; it trains nothing
        from inceptionv4.device import setup_device
        setup_device(request.device)  # returns when the ranks have ended
        return
    if ignored and is_first_rank():
        print(f"note: ignored, since the training knows no such argument: {' '.join(ignored)}",
              file=sys.stderr, flush=True)
    # The platform's name for the card; MindSpore reads the other.
    if "ASCEND_DEVICE_ID" in os.environ:
        os.environ.setdefault("DEVICE_ID", os.environ["ASCEND_DEVICE_ID"])
    from train.command import dry_run, train  # loads MindSpore
    from train.run_folder import describe_saved_epochs
    if request.dry_run is not None:
        dry_run(with_records(job, request), recipe)
    elif is_obs(job.train_url):
        train_on_obs(job, request, recipe)
    else:
        note_kept_work(lambda: describe_saved_epochs(request.run, job.train_url))
        train(with_records(job, request), recipe)


def is_first_rank() -> bool:
    return os.environ.get("RANK_ID", "0") == "0"


def parse_job(words: list[str]) -> tuple[ModelArtsRequest, TrainRequest, Recipe, list[str]]:
    """Return the platform's request, the training's, the recipe, and the words that none knows."""
    parser = ArgumentParser(prog="train/modelarts.py", description="Train on Huawei ModelArts.",
                            epilog="All other arguments are those of python -m train.")
    add_options(parser, ModelArtsRequest)
    arguments, rest = parser.parse_known_args(words)
    job = from_arguments(ModelArtsRequest, arguments)
    flags = [as_flag(word) for word in rest]
    for flag, url in GIVEN_BY_URLS.items():
        if any(word.split("=")[0] == flag for word in flags):
            raise RequestError(f"{flag} is not an argument here: it follows from {url}")
    known, unknown = train_parser().parse_known_args(
        [*flags, f"--records={job.records / 'train'}", f"--run={job.run}"])
    as_given = dict(zip(flags, rest))
    return (job, *requested(known), [as_given[word] for word in unknown])


def as_flag(word: str) -> str:
    """Return ``--batch_size=8`` as ``--batch-size=8``, ``--resume=true`` as ``--resume`` and
    ``--resume=false`` as ``--no-resume``: the platform passes no argument without a value."""
    name, equals, value = word.partition("=")
    if not name.startswith("--"):
        return word
    name = name.replace("_", "-")
    if value.lower() == "true":
        return name
    return f"--no-{name[2:]}" if value.lower() == "false" else name + equals + value


def train_on_obs(job: ModelArtsRequest, request: TrainRequest, recipe: Recipe) -> None:
    """Train in a run folder on this host that is uploaded to OBS after each epoch."""
    from train.command import train
    run = RunOnObs(request.run, job.train_url)
    note_kept_work(lambda: finish_and_describe(run))
    if request.resume:
        run.fetch()
    elif is_first_rank():
        run.check_unused()
    request = with_records(job, request)
    try:
        train(request, recipe, run.start_upload)
    except Exception:
        with contextlib.suppress(RequestError):  # what ended the training is the error to report
            run.finish()
        raise
    run.finish()


def finish_and_describe(run: RunOnObs) -> str:
    """Wait for the last upload; return what a user reads who interrupts the run."""
    from train.run_folder import describe_saved_epochs
    if not is_first_rank():  # it may be on another host, whose folder gets no checkpoint
        return f"saved epochs are in {run.url}; resume with: {shown_command('--resume')}"
    try:
        run.finish()
    except RequestError as error:
        return str(error)
    return describe_saved_epochs(run.folder, run.url)


def with_records(job: ModelArtsRequest, request: TrainRequest) -> TrainRequest:
    """Fetch the record sets to this host; return the request with ``val/`` if there is one."""
    has_val = (job.records / "val").exists()
    if is_obs(job.data_url):
        has_val = call_moxing("exists", join(job.data_url, "val"))
        for split in ("train", "val") if has_val else ("train",):
            fetch_records(join(job.data_url, split), job.records / split)
    if not has_val and is_first_rank():
        print(f"note: {job.data_url} has no val/, so epochs are not scored", flush=True)
    return replace(request, val_records=job.records / "val" if has_val else None)


if __name__ == "__main__":
    sys.exit(run_command(main))
