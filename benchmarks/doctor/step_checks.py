"""What a training step costs here: seconds to compile it, and the time of each."""

import resource
import time
from dataclasses import replace
from typing import Any

import mindspore as ms
import numpy as np

from common.text import counted
from benchmarks.doctor.checks import Verdict, check, fail, ok, warn
from benchmarks.doctor.data_checks import CARD_IMAGES_PER_SECOND
from inceptionv4.device import Device
from train.recipe import PRESETS, Recipe, with_precision
from train.step import TrainStep, build_network

CLASSES = 1000
STEPS = 20
SMALLER: dict[str, dict[str, Any]] = {"Ascend": {}, "CPU": {"batch_size": 4, "image_size": 75}}


@check("training steps")
def training_steps(device: Device, precision: str) -> Verdict:
    """Compile the training step of the preset and time it on one batch, without the feed."""
    preset = with_precision(PRESETS["adsl-1p" if device.ranks == 1 else "adsl-8p"], precision)
    recipe = replace(preset, ranks=device.ranks, **SMALLER[device.name])
    rates = np.full(STEPS + 1, 1e-3, np.float32)
    step = TrainStep(recipe, build_network(recipe, CLASSES), rates, device.rank)
    batch = _batch(recipe, device.rank)
    start = time.perf_counter()
    step.compile(*batch)
    compiled = time.perf_counter() - start
    losses = [float(step(*batch)[0])]  # also what is left to prepare at the first step
    start = time.perf_counter()
    losses += [float(step(*batch)[0]) for _ in range(STEPS)]
    seconds = (time.perf_counter() - start) / STEPS
    rate = recipe.batch_size / seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20
    text = (f"compiled in {compiled:.1f} s; {STEPS} steps of {recipe.batch_size} images of "
            f"{recipe.image_size} px on {counted(device.ranks, 'rank')}: "
            f"{1000 * seconds:.0f} ms each, {rate:,.1f} images/s per rank; peak memory "
            f"{peak:.1f} GiB per rank; loss {losses[0]:.3f} to {losses[-1]:.3f}")
    if not np.isfinite(losses).all():
        return fail(f"{text}: no number",
                    "do not train here: do what the checks of the device above say, or report this "
                    "with doctor.json if they are ok")
    if device.name == "Ascend" and rate < CARD_IMAGES_PER_SECOND / 2:
        return warn(f"{text}; MindSpore's model zoo has {CARD_IMAGES_PER_SECOND} on a 910",
                    "see that no other job uses the cards (npu-smi info), and send this output")
    return ok(text)


def _batch(recipe: Recipe, rank: int) -> tuple[ms.Tensor, ms.Tensor]:
    rng, size = np.random.default_rng(rank), recipe.image_size
    images = rng.integers(0, 256, (recipe.batch_size, size, size, 3)).astype(np.uint8)
    labels = rng.integers(0, CLASSES, recipe.batch_size).astype(np.int32)
    return ms.Tensor(images), ms.Tensor(labels)
