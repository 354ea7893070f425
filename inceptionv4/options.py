"""The option of every command that computes. Needs no MindSpore, so that ``--help`` is quick."""

from typing import Any

from common.options import option

DEVICE_TARGETS = ("auto", "CPU", "Ascend")


def device_option() -> Any:
    """Return the field of a request dataclass for ``--device``, see ``common.options``."""
    return option("auto", "what to compute on; auto: Ascend where it can be used, else CPU",
                  choices=DEVICE_TARGETS)
