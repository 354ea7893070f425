"""``python -m tests.benchmarks.tiny_network MODULE …``: the module's program with a network that
compiles in seconds; what it was called with is added to the file that CALLS names."""

import os
import sys
from importlib import import_module

from common.cli import run_command
from tests.train.tiny import build_tiny_network

if __name__ == "__main__":
    from train import trainer
    trainer.build_network = build_tiny_network
    with open(os.environ["CALLS"], "a", encoding="utf-8") as calls:
        calls.write(" ".join(sys.argv[1:]) + "\n")
    sys.exit(run_command(import_module(sys.argv.pop(1)).main))
