"""``python -m inceptionv4.launch … rank_session ROOT SESSION … arguments of python -m train``: what
one of two ranks does for ``test_ranks.py``, all in one process, since joining takes seconds."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn
from tiny import TinyNetwork, build_tiny_network

from common.cli import RequestError, run_command
from inceptionv4.device import barrier, setup_device
from train import command, trainer
from train.recipe import parse
from train.recipe import PRESETS
from train.step import TrainStep

IMAGES = 8  # in a global batch


def train_on_fixed_batches(rank: int, ranks: int) -> list[float]:
    """Losses of ten steps whose global batches are the same for any ``ranks``.

    Batch norm is frozen, since its statistics are those of a rank's share.
    """
    recipe = replace(PRESETS["smoke"], batch_size=IMAGES // ranks, ranks=ranks, dropout_keep=0.5,
                     loss_scale=4.0)
    ms.set_seed(1)
    network = TinyNetwork(3, dropout_keep=recipe.dropout_keep)
    step = TrainStep(recipe, network, np.full(10, 1e-2, np.float32), rank)
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.set_train(False)
    losses = []
    for number in range(10):
        rng = np.random.default_rng(number)
        images = rng.integers(0, 256, (IMAGES, 75, 75, 3)).astype(np.uint8)
        labels = rng.integers(0, 3, IMAGES).astype(np.int32)
        share = (ms.Tensor(images[rank::ranks]), ms.Tensor(labels[rank::ranks]))
        losses.append(float(step(*share)[0]))
    return losses


def skip_what_overflows_on_one_rank(rank: int, ranks: int) -> list[float]:
    """Return skipped (0 or 1), loss scale and sum of weights after three steps of ``ranks``; in the
    second, the images of the last rank are no numbers."""
    recipe = replace(PRESETS["smoke"], batch_size=2, ranks=ranks, loss_scale="dynamic",
                     normalize_on="host")
    ms.set_seed(1)
    step = TrainStep(recipe, TinyNetwork(3), np.full(3, 1e-2, np.float32), rank)
    for _, cell in step.network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.set_train(False)
    figures: list[float] = []
    for number in (1, 2, 3):
        value = np.nan if (number, rank) == (2, ranks - 1) else 0.1 * number
        images = ms.Tensor(np.full((2, 3, 75, 75), value, np.float32))
        _, skipped = step(images, ms.Tensor(np.array([0, 1], np.int32)))
        weights = sum(float(weight.sum()) for weight in step.optimizer.parameters)
        figures += [float(skipped), step.current_loss_scale() or 0.0, weights]
    return figures


def copy_without(root: Path, name: str, pattern: str) -> None:
    shutil.copytree(root / "undisturbed", root / name)
    for path in (root / name / "checkpoints").glob(pattern):
        path.unlink()


def main() -> None:
    """Train; resume the run as if killed in its second epoch; be refused, since rank 1 sees a
    folder without any checkpoint, as on hosts that do not share one; take fixed batches; skip a
    step."""
    root, words = Path(sys.argv[1]), sys.argv[2:]
    device = setup_device("CPU")
    trainer.build_network = build_tiny_network
    command.setup_device = lambda _, seed, *__: ms.set_seed(seed) or device  # ranks join once only
    command.train(*parse([*words, "--run", str(root / "undisturbed")]))
    barrier(device)  # rank 0 saves last
    if device.rank == 0:
        copy_without(root, "resumed", "inceptionv4-2_*")
        copy_without(root, "apart0", "inceptionv4-2_*")
        copy_without(root, "apart1", "inceptionv4-*")
    barrier(device)
    command.train(*parse([*words, "--run", str(root / "resumed"), "--resume"]))
    try:
        command.train(*parse([*words, "--run", str(root / f"apart{device.rank}"), "--resume"]))
    except RequestError as error:
        refusal = str(error)
    (root / f"{device.rank}.json").write_text(json.dumps(
        [refusal, train_on_fixed_batches(device.rank, device.ranks),
         skip_what_overflows_on_one_rank(device.rank, device.ranks)]))


if __name__ == "__main__":
    sys.exit(run_command(main))
