"""The folder of a result: whether an evaluation may be written there, is finished there, or takes
another one."""

import itertools
from pathlib import Path
from typing import Optional

from common.cli import RequestError
from common.files import describe_difference, make_folder, read_json
from evaluate.predictions import PARTS, REQUEST, load_predictions
from evaluate.results import JSON_NAME, PREDICTIONS_NAME, Result, read_result


def unused_result_folder(usual: Path, checkpoint_sha256: str) -> Path:
    """Return the folder for the evaluation of a checkpoint: the usual one, or, where that has the
    result of another checkpoint, the first one with a number at its end that has not."""
    numbered = (usual.with_name(f"{usual.name}-{number}") for number in itertools.count(2))
    return next(folder for folder in itertools.chain([usual], numbered)
                if _is_free_for(checkpoint_sha256, folder))


def _is_free_for(checkpoint_sha256: str, folder: Path) -> bool:
    """Return whether the folder has nothing but the checkpoint's own result or parts of it."""
    found = [path for path in (folder / JSON_NAME, folder / PARTS / REQUEST) if path.exists()]
    try:
        return all(read_json(path, "").get("checkpoint_sha256") == checkpoint_sha256
                   for path in found)
    except RequestError:  # something else, or damaged
        return False


def claim_result_folder(folder: Path, planned: Result) -> None:
    """Create ``folder``, unless it exists and may be written again for ``planned``.

    Raises:
        RequestError: the folder cannot be written or holds the result of another evaluation.
    """
    make_folder(folder, "--out")
    path = folder / JSON_NAME
    if not path.exists():
        return
    difference = describe_difference(read_result(path).identity, planned.identity)
    if difference:
        raise RequestError(f"{path} is the result of another evaluation ({difference}); choose "
                           "another --out (make: ARGS=\"--out DIR\") or remove that folder")


def finished_result(folder: Path, again: bool, curve: bool, probabilities: bool
                    ) -> Optional[Result]:
    """Return the result in ``folder`` if it is complete and holds all that is asked for, else
    None: it is to be computed.

    Args:
        again: compute it in any case.
        curve, probabilities: what is asked for.

    Raises:
        RequestError: it is to be computed, but would lose a curve or probabilities that it has.
    """
    if not (folder / JSON_NAME).exists():
        return None
    result, path = read_result(folder / JSON_NAME), folder / PREDICTIONS_NAME
    predictions = load_predictions(path) if path.exists() else None
    had = {"--curve": result.curve is not None,
           "--keep-probabilities": bool(predictions and predictions.probabilities is not None)}
    asked = {"--curve": curve, "--keep-probabilities": probabilities}
    # Parts are left where it is being computed anew, or was not quite finished.
    if predictions and not again and all(had[flag] or not asked[flag] for flag in asked) \
            and not (folder / PARTS).exists():
        return result
    lost = " ".join(flag for flag in asked if had[flag] and not asked[flag])
    if lost:
        raise RequestError(f"{folder} has a result with {lost}, which would be lost: add {lost} or "
                           "choose another --out")
    return None
