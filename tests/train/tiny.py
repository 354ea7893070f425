"""``python tests/train/tiny.py KILL … arguments of python -m train``: the same program with a
network that compiles in a second, killed by SIGKILL at the moment that KILL names.

KILL is ``never``, ``step:N`` (before the N-th step of this process), ``move:N`` (before the N-th
move of a file to its final name), or ``save:T`` (T seconds after the second checkpoint is begun).
``slow:S`` instead waits S seconds in each step.
"""

import os
import signal
import sys
import threading
import time

from common.signals import take_signals_from_mindspore

if __name__ == "__main__":
    take_signals_from_mindspore()

import mindspore as ms
from mindspore import nn, ops

from inceptionv4.dropout import KeyedDropout
from train.recipe import Recipe

CHANNELS = 8


class TinyNetwork(nn.Cell):
    """As InceptionV4 is called: convolution, batch norm, dropout, classifier."""

    def __init__(self, num_classes: int, batch_norm_decay: float = 0.9, dropout_keep: float = 0.5):
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 7, stride=6, pad_mode="valid", has_bias=False)
        self.bn = nn.BatchNorm2d(CHANNELS, momentum=batch_norm_decay)
        self.dropout = KeyedDropout(dropout_keep, CHANNELS)
        self.classifier = nn.Dense(CHANNELS, num_classes)

    def construct(self, x: ms.Tensor, keys: ms.Tensor = None) -> ms.Tensor:
        pooled = ops.relu(self.bn(self.conv(x))).mean((2, 3))
        return self.classifier(self.dropout(pooled, keys))


def build_tiny_network(recipe: Recipe, num_classes: int) -> TinyNetwork:
    """Stand in for ``train.trainer.build_network``."""
    return TinyNetwork(num_classes, recipe.batch_norm_decay, recipe.dropout_keep)


def kill_before(holder: object, name: str, number: int, seconds: float = 0) -> None:
    """Kill this process before the ``number``-th call of ``holder.name``, or so many seconds after
    it has begun."""
    calls, call = iter(range(1, 1_000_000)), getattr(holder, name)

    def counted(*arguments, **keywords):
        if next(calls) == number:
            death = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
            (death.start if seconds else death.run)()
        return call(*arguments, **keywords)
    setattr(holder, name, counted)


def slow_down(holder: object, name: str, seconds: float) -> None:
    """Wait before each call of ``holder.name``."""
    call = getattr(holder, name)

    def waiting(*arguments, **keywords):
        time.sleep(seconds)
        return call(*arguments, **keywords)
    setattr(holder, name, waiting)


def main() -> None:
    moment, _, number = sys.argv.pop(1).partition(":")
    from train import trainer
    from train.__main__ import main as train
    trainer.build_network = build_tiny_network
    if moment == "step":
        kill_before(trainer.Trainer, "_checked_losses", int(number))
    elif moment == "slow":
        slow_down(trainer.Trainer, "_checked_losses", float(number))
    elif moment == "move":
        kill_before(os, "replace", int(number))
    elif moment == "save":
        kill_before(trainer, "add_checkpoint", 2, float(number))
    train()


if __name__ == "__main__":
    from common.cli import run_command
    sys.exit(run_command(main))
