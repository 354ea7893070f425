"""Command line: ``python -m train --records DIR [--val-records DIR] --run DIR``."""

import sys
from pathlib import Path

from common.signals import note_kept_work, take_signals_from_mindspore

if __name__ == "__main__":
    take_signals_from_mindspore()

from common.cli import module_command, print_next, run_command, typed_words, without_flags
from convert.next_step import launched_training
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
        link = request.run / "last.ckpt"
        print_next(module_command(
            "evaluate", "--records", _validation_of(request), "--checkpoint",
            link if link.exists() else last, "--crops", 1, "--out", "results/crops-1"))


def _command_of_run(ranks: int, run: Path) -> str:
    """Return the command of the run that was checked: as typed, without ``--dry-run [RANKS]``."""
    return launched_training(ranks, run, *without_flags(typed_words()[3:], ["--dry-run"]))


def _validation_of(request: TrainRequest) -> Path:
    """Return the validation set; where the run has none, what usually lies next to the records."""
    return request.val_records or (request.records or Path("records", "train")).with_name("val")


if __name__ == "__main__":
    sys.exit(run_command(main))
