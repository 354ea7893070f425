"""The option of every command that computes. Needs no MindSpore, so that ``--help`` is quick."""

import argparse

DEVICE_TARGETS = ("auto", "CPU", "Ascend")


def add_device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=DEVICE_TARGETS, default="auto",
                        help="what to compute on; auto: Ascend where it can be used, else CPU")
