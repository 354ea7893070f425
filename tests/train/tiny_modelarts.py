"""``python tests/train/tiny_modelarts.py … arguments of train/modelarts.py``: the boot file, run as
the script that it is, with a network that compiles in seconds."""

import runpy
from pathlib import Path

from tiny import build_tiny_network

BOOT_FILE = Path(__file__).parents[2] / "train" / "modelarts.py"

if __name__ == "__main__":
    from train import trainer
    trainer.build_network = build_tiny_network
    runpy.run_path(str(BOOT_FILE), run_name="__main__")
