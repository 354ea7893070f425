"""The option of every command that computes. Needs no MindSpore, so that ``--help`` is quick."""

import argparse
from typing import Any

from common.options import option

DEVICE_TARGETS = ("auto", "CPU", "Ascend")


def device_option() -> Any:
    """Return the field of a request dataclass for ``--device``, see ``common.options``."""
    return option("auto", "what to compute on; auto: Ascend where it can be used, else CPU",
                  choices=DEVICE_TARGETS)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=DEVICE_TARGETS, default="auto",
                        help="what to compute on; auto: Ascend where it can be used, else CPU")
