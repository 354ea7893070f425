"""What is seen of a run while it goes on: a line an epoch, and TensorBoard's scalars."""

import importlib.util
from pathlib import Path
from typing import Any

SETS = ("full", "filtered")


def describe_epoch(line: dict[str, Any]) -> str:
    """A line of ``history.jsonl`` for a person."""
    text = (f"epoch {line['epoch']}: loss {line['loss']:.3f}, learning rate "
            f"{line['learning_rate']:.3g}, {line['ms_per_step']:.0f} ms/step, "
            f"{line['images_per_second']:.1f} images/s")
    if line["waiting_for_data"] is not None:
        text += f", {100 * line['waiting_for_data']:.0f} % waiting for data"
    for name in SETS:
        if f"{name}_top1_error" in line:
            text += (f"; {name} set: top-1 error {line[f'{name}_top1_error']:.1f} %, "
                     f"top-5 {line[f'{name}_top5_error']:.1f} %")
    return text


def add_to_tensorboard(folder: Path, line: dict[str, Any]) -> None:
    """Write a line of ``history.jsonl`` as TensorBoard's scalars; nothing without the extra.

    A file for each epoch, whole when this returns: tensorboardX flushes only what its thread has
    written so far. What an earlier start of the run wrote from this step on is not shown any more.
    """
    if importlib.util.find_spec("tensorboardX") is None:
        return
    from tensorboardX import SummaryWriter
    with SummaryWriter(str(folder), purge_step=line["step"],
                       filename_suffix=f".epoch-{line['epoch']}") as writer:
        for name, value in line.items():
            if name not in ("epoch", "step") and value is not None:
                writer.add_scalar(name, value, line["step"])
