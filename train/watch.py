"""What is seen of a run while it goes on: a line an epoch, and TensorBoard's curves."""

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


class Curves:
    """TensorBoard's scalars, one event file for each start of the run; nothing without the extra.

    Args:
        folder: where the event files go.
        after_step: what an earlier start wrote behind this step is not shown any more.
    """

    def __init__(self, folder: Path, after_step: int):
        self._writer = None
        if importlib.util.find_spec("tensorboardX"):
            from tensorboardX import SummaryWriter
            self._writer = SummaryWriter(str(folder), purge_step=after_step + 1)

    def add(self, line: dict[str, Any]) -> None:
        """Add a line of ``history.jsonl``, at its step."""
        if self._writer is None:
            return
        for name, value in line.items():
            if name not in ("epoch", "step") and value is not None:
                self._writer.add_scalar(name, value, line["step"])
        self._writer.flush()
