"""What ``python -m benchmarks steps`` is asked for, and the device that it gets.

Sizes that are not given follow from the device.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

from common.cli import RequestError
from common.options import CheckedOptions, option, precision_option
from inceptionv4 import IMAGE_SIZE, SMALLEST_IMAGE

TABLE, TRAINER = "table", "trainer"
SIMULATED = "simulated"  # a device: a card that only waits, see ``simulated_card``
# What a simulated card's step takes unless given, in ms at STEP_BATCH images, and who measured it:
# MindSpore's model zoo has 556 images/s of this network on an Ascend 910, 57.6 ms per step; 208 is
# the fastest row of one card in the original report.
STEP_SOURCES = {58.0: "model zoo, 556 images/s on a 910",
                208.0: "original report, sink mode"}
STEP_BATCH = 32

# On Ascend the original report's: cards and batches of its note 1, repeats and epochs of its
# note 2. On CPU what two cores do in ten minutes, with the smallest images that the network takes;
# on the simulated card what they do in six minutes at its step times, in all of its sections
# together.
DEFAULTS: dict[tuple[str, str], dict[str, Any]] = {
    (TABLE, "Ascend"): dict(cards=(1, 8), batch_size=(32, 128), image_size=IMAGE_SIZE,
                            steps_per_epoch=100, warmup_epochs=3, epochs=10, repeats=3),
    (TABLE, "CPU"): dict(cards=(1, 2), batch_size=(8, 4), image_size=SMALLEST_IMAGE,
                         steps_per_epoch=10, warmup_epochs=1, epochs=2, repeats=2),
    (TABLE, SIMULATED): dict(cards=(1,), batch_size=(32,), image_size=IMAGE_SIZE,
                             steps_per_epoch=10, warmup_epochs=1, epochs=3, repeats=1),
    (TRAINER, "Ascend"): dict(cards=(1,), batch_size=(32,), image_size=IMAGE_SIZE,
                              steps_per_epoch=100, warmup_epochs=1, epochs=3, repeats=3),
    (TRAINER, "CPU"): dict(cards=(1,), batch_size=(16,), image_size=SMALLEST_IMAGE,
                           steps_per_epoch=20, warmup_epochs=1, epochs=3, repeats=3),
}


def _size(name: str, meaning: str) -> Any:
    """Return a field that is None, or at least 1; its help lists the defaults."""
    shown = []
    for (rows, device), sizes in DEFAULTS.items():
        value = sizes[name]
        words = " ".join(map(str, value)) if isinstance(value, tuple) else value
        shown.append(f"{rows} on {device}: {words}")
    return option(None, f"{meaning} ({', '.join(shown)})", low=1)


@dataclass(frozen=True)
class StepsRequest(CheckedOptions):
    """The arguments of ``python -m benchmarks steps``; None: the default of the device."""

    out: Path = option(help="result folder; also where the images and the runs are made and "
                            "removed")
    rows: str = option(TABLE, "the original report's speed table, or the trainer against a bare "
                       "loop over its step", choices=(TABLE, TRAINER))
    device: str = option("auto", "what to train on; simulated: a card that waits as long as its "
                         "step would take, fed by real feeds; auto: Ascend where it can be used, "
                         f"else simulated (with --rows {TRAINER}: CPU)",
                         choices=("auto", "CPU", "Ascend", SIMULATED))
    images: Optional[Path] = option(None, "class folders to train on; without --records too, "
                                          "images are made")
    records: Optional[Path] = option(None, "training record set of the same images")
    cards: Optional[tuple[int, ...]] = _size(
        "cards", "numbers of cards (CPU: processes), one section of the table for each")
    batch_size: Optional[tuple[int, ...]] = _size(
        "batch_size", "images per step on each card, one for each of --cards")
    image_size: Optional[int] = _size("image_size", "side in pixels of the network's input")
    steps_per_epoch: Optional[int] = _size(
        "steps_per_epoch", "steps per epoch, and so from one checkpoint to the next")
    warmup_epochs: Optional[int] = _size("warmup_epochs", "first epochs of a run, not measured")
    epochs: Optional[int] = _size("epochs", "epochs of a run that are measured")
    repeats: Optional[int] = _size("repeats", "repeats of each row, in turns with the others")
    precision: str = precision_option()
    step_ms: Optional[tuple[float, ...]] = option(
        None, "simulated card: milliseconds that a step takes, sections of the table for each "
        f"({'; '.join(f'{ms:g}: {source}' for ms, source in STEP_SOURCES.items())}; both are for "
        f"{STEP_BATCH} images)", low=1, high=60_000, metavar="MS")


class Target(NamedTuple):
    """The device that training runs will get, and what limits them there."""

    name: str  # "CPU", "Ascend" or SIMULATED
    supports_sink: bool
    cards: Optional[int]  # of this machine; None: ranks are processes that share the CPU
    arithmetic: str


SIMULATED_CARD = Target(SIMULATED, True, 1, "none, nothing is computed")


def find_device(request: StepsRequest) -> Target:
    """Return the device that ``request.device`` means here.

    Raises:
        RequestError: it cannot be used here, or not in this precision.
    """
    if request.device == SIMULATED:
        return SIMULATED_CARD
    # In a process of its own: one that has opened a card would keep it from the runs.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _silence) as process:
        found = process.submit(_target, request.device, request.precision).result()
    # A CPU's network takes all the time, so that its table says nothing of the feeds.
    unasked = request.device == "auto" and found.name == "CPU" and request.rows == TABLE
    return SIMULATED_CARD if unasked else found


def check_for_device(request: StepsRequest, target: Target) -> None:
    """Raise RequestError for what has no meaning on that device."""
    if target.name != SIMULATED:
        if request.step_ms:
            raise RequestError(f"--step-ms {_words(request.step_ms)}: {target.name} takes its own "
                               f"time; give --device {SIMULATED}, or leave it out")
        return
    for flag, value, unasked, why in (
            ("--rows", request.rows, TABLE, "has no step to compare"),
            ("--images", request.images, None, "reads images that are made for it"),
            ("--records", request.records, None, "reads images that are made for it"),
            ("--cards", request.cards or (1,), (1,), "is one card"),
            ("--precision", request.precision, StepsRequest.precision, "computes nothing")):
        if value != unasked:
            raise RequestError(f"{flag} {_words(value)}: a simulated card {why}; leave it out, or "
                               "give --device CPU or Ascend")
    if not request.step_ms and request.batch_size not in (None, (STEP_BATCH,)):
        raise RequestError(f"--batch-size {_words(request.batch_size)}: give --step-ms, too; what "
                           f"a step takes is known for {STEP_BATCH} images")
    if request.step_ms and len(set(request.step_ms)) < len(request.step_ms):
        raise RequestError(f"--step-ms {_words(request.step_ms)}: give each once")


def _words(value: Any) -> str:
    """Return the value as it was typed after its flag."""
    if not isinstance(value, tuple):
        return str(value)
    return " ".join(f"{each:g}" if isinstance(each, float) else str(each) for each in value)


def _silence() -> None:
    """Hide what MindSpore warns of where Ascend is missing: the error says what to do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _target(choice: str, precision: str) -> Target:
    import mindspore as ms

    from inceptionv4.device import setup_device
    device = setup_device(choice, precision=precision)
    cards = ms.device_context.ascend.device_count() if device.name == "Ascend" else None
    return Target(device.name, device.supports_sink, cards, device.arithmetic)
