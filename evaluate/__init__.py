"""A checkpoint and a record set in, accuracy out: crops, predictions, errors on both sets.

The network runs once over every picture; the full and the filtered set, and any other subset
later, are scored from the predictions. ``Evaluator`` also serves the check after each epoch.

Names are imported on first use, since MindSpore takes seconds to load and a command's ``--help``
or a wrong argument should not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

import common  # before MindSpore, see common.jpeg

_MODULE_OF = {
    "Protocol": "protocols", "PROTOCOLS": "protocols", "protocol_of": "protocols",
    "crop_boxes": "protocols",
    "VIEWS_PER_STEP": "steps", "StepShape": "steps", "step_shape": "steps",
    "Evaluator": "evaluator",
    "Predictions": "predictions", "load_predictions": "predictions",
    "save_predictions": "predictions",
    "Score": "scores", "score": "scores", "score_subset": "scores",
    "accuracy_table": "page", "read_result": "results",
}

__all__ = sorted(_MODULE_OF)

if TYPE_CHECKING:  # the same names again, for mypy, which runs nothing
    from evaluate.evaluator import Evaluator
    from evaluate.page import accuracy_table
    from evaluate.predictions import Predictions, load_predictions, save_predictions
    from evaluate.protocols import PROTOCOLS, Protocol, crop_boxes, protocol_of
    from evaluate.results import read_result
    from evaluate.scores import Score, score, score_subset
    from evaluate.steps import VIEWS_PER_STEP, StepShape, step_shape
else:
    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'evaluate' has no attribute '{name}'")
        return getattr(import_module(f"evaluate.{_MODULE_OF[name]}"), name)
