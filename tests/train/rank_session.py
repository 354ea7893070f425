"""``python -m inceptionv4.launch … rank_session ROOT SESSION … arguments of python -m train``: what
one of two ranks does for ``test_ranks.py``, all in one process, since joining takes seconds."""

import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn
from tiny import TinyNetwork, build_tiny_network

from common.cli import RequestError, run_command
from convert.records.reader import open_records
from evaluate.evaluator import Evaluator
from evaluate.predictions import Predictions, save_predictions
from evaluate.protocols import protocol_of
from inceptionv4.checkpoint import read_checkpoint, save_checkpoint
from inceptionv4.device import Device, barrier, setup_device
from inceptionv4.preprocess import INCEPTION_MEAN, INCEPTION_STD
from train import command, trainer
from train.checkpoints import checkpoints
from train.options import parse
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


def predictions_of(device: Device, val: Path, fails: bool = False) -> Predictions:
    """Of an untrained network, in groups of two images: of six, rank 0 of two has the first."""
    ms.set_seed(5)
    evaluator = Evaluator(TinyNetwork(3), protocol_of(1, 75), INCEPTION_MEAN, INCEPTION_STD, 2, 1,
                          device=device)
    if fails:
        def fail(*_):
            raise RequestError("image id 5 ° cannot be decoded")
        evaluator._predict = fail
    return evaluator.run(open_records(val))


def validation_refused(device: Device, val: Path) -> str:
    """What this rank hears when rank 1 cannot read its share."""
    try:
        predictions_of(device, val, fails=device.rank == 1)
    except RequestError as error:
        return str(error)
    return ""


def die_in_the_second_validation() -> None:
    """Each validation runs the evaluator twice: for the weights and for their averages."""
    run, calls = Evaluator.run, iter((1, 2, 3))

    def counted(*arguments):
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(*arguments)
    Evaluator.run = counted


def copy_without(root: Path, name: str, pattern: str) -> None:
    shutil.copytree(root / "undisturbed", root / name)
    for path in (root / name / "checkpoints").glob(pattern):
        path.unlink()


def change_a_weight(checkpoint: Path) -> None:
    meta, state = read_checkpoint(checkpoint)
    weight = ms.Tensor(2 * state["conv.weight"].asnumpy())
    save_checkpoint(checkpoint, {**state, "conv.weight": weight}, meta)


def refusal_of(*words: str) -> str:
    """Train; return why that is refused, nothing where it is not."""
    try:
        command.train(*parse(list(words)))
    except RequestError as error:
        return str(error)
    return ""


def main() -> None:
    """Train; resume the run as if killed in its second epoch; be refused, since rank 1 sees another
    checkpoint of the same step, as on hosts that do not share one, then since it would validate
    less often; take fixed batches; skip a step;
    evaluate; lose rank 1 in the second validation of another run.
    """
    root, words = Path(sys.argv[1]), sys.argv[2:]
    val = Path(words[words.index("--val-records") + 1])
    device = setup_device("CPU")
    networks: list[TinyNetwork] = []
    trainer.build_network = lambda *asked: networks.append(build_tiny_network(*asked)) or \
        networks[-1]
    command.setup_device = lambda _, seed, *__: ms.set_seed(seed) or device  # ranks join once only
    command.train(*parse([*words, "--run", str(root / "undisturbed")]))
    barrier(device)  # rank 0 saves last
    if device.rank == 0:
        copy_without(root, "resumed", "inceptionv4-2_*")
        copy_without(root, "apart0", "inceptionv4-2_*")
        copy_without(root, "apart1", "inceptionv4-2_*")
        change_a_weight(checkpoints(root / "apart1")[0])
    barrier(device)
    command.train(*parse([*words, "--run", str(root / "resumed"), "--resume"]))
    refusals = [
        refusal_of(*words, "--run", str(root / f"apart{device.rank}"), "--resume"),
        refusal_of(*words, "--run", str(root / "other"), "--validate-every", str(1 + device.rank))]
    losses = train_on_fixed_batches(device.rank, device.ranks)
    averages = networks[0].bn.moving_mean.asnumpy().tolist()
    (root / f"{device.rank}.json").write_text(json.dumps(
        [refusals, losses, averages, validation_refused(device, val),
         skip_what_overflows_on_one_rank(device.rank, device.ranks)]))
    save_predictions(root / f"{device.rank}.npz", predictions_of(device, val))
    barrier(device)  # all is written before a rank is lost
    if device.rank == 1:
        die_in_the_second_validation()
    command.train(*parse([*words, "--run", str(root / "lost")]))


if __name__ == "__main__":
    sys.exit(run_command(main))
