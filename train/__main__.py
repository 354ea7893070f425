"""Command line: ``python -m train --records DIR [--val-records DIR] --run DIR``."""

import sys
from pathlib import Path

from common.signals import note_kept_work, take_signals_from_mindspore

if __name__ == "__main__":
    take_signals_from_mindspore()

from common.cli import (make_command, module_command, print_next, run_command, typed_words,
                        without_flags)
from convert.records.manifest import MANIFEST_NAME
from convert.training_proposal import launched_training
from train.options import TrainRequest, parse


def main() -> None:
    request, recipe = parse()
    # Only now, since it loads MindSpore, which takes seconds.
    from train.command import dry_run, train
    from train.run_folder import describe_saved_epochs
    if request.dry_run is not None:
        dry_run(request, recipe)
        print_next(_command_of_run(request.dry_run or recipe.ranks, request.run))
        return
    note_kept_work(lambda: describe_saved_epochs(request.run, request.run))
    last = train(request, recipe)
    if last is not None:
        _print_next(request, last)


def _command_of_run(ranks: int, run: Path) -> str:
    """Return the command of the run that was checked: as typed, without ``--dry-run [RANKS]``."""
    return launched_training(ranks, run, *without_flags(typed_words()[3:], ["--dry-run"]))


def _print_next(request: TrainRequest, last: Path) -> None:
    """Name the evaluation of the last checkpoint, or, without validation images, the report."""
    from evaluate.result_folder import unused_result_folder
    from inceptionv4.meta import read_meta
    validation = _validation_of(request)
    if not (validation / MANIFEST_NAME).exists():
        print_next(module_command("evaluate", "report", "--run", request.run, "--out",
                                  "report.html"))
        return
    link, usual = request.run / "last.ckpt", Path("results", "crops-1")
    checkpoint = link if link.exists() else last
    out = unused_result_folder(usual, read_meta(last).ckpt_sha256)
    print_next(
        module_command("evaluate", "--records", validation, "--checkpoint", checkpoint,
                       "--crops", 1, "--out", out),
        under_make=make_command("eval-1", "RECORDS", "RUN", "DEVICE", CKPT=checkpoint,
                                ARGS="" if out == usual else f"--out {out}"))


def _validation_of(request: TrainRequest) -> Path:
    """Return the validation set; where the run has none, what usually lies next to the records."""
    return request.val_records or (request.records or Path("records", "train")).with_name("val")


if __name__ == "__main__":
    sys.exit(run_command(main))
