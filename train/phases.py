"""The phases of a learning-rate schedule, after the training script of the ADSL lab."""

from dataclasses import dataclass, replace
from typing import Sequence

import numpy as np

from common.cli import RequestError


@dataclass(frozen=True)
class Phase:
    """Some epochs of the schedule: a linear rise towards ``peak``, then a staircase down.

    Counted from the phase's first step, i = 0, with W steps of warm-up: step i < W has
    start + (peak - start) * i / W. From step W on, the rate stays at that of step W - 1 (without
    warm-up, at ``peak``) and is multiplied by ``decay`` whenever another ``epochs_per_decay``
    epochs of the phase, those of the warm-up included, have passed.
    """

    epochs: int
    warmup_epochs: int
    peak: float
    decay: float
    epochs_per_decay: int

    def __str__(self) -> str:
        """Return the phase as it is written on the command line."""
        return ":".join(f"{value:g}" for value in vars(self).values())

    def rates(self, start: float, steps_per_epoch: int) -> np.ndarray:
        """Return the learning rate of each step, float64 (epochs * steps_per_epoch,).

        Args:
            start: the rate that the warm-up begins with.
        """
        warmup_steps = self.warmup_epochs * steps_per_epoch
        rise = start + (self.peak - start) * np.arange(warmup_steps) / max(warmup_steps, 1)
        top = rise[-1] if warmup_steps else self.peak
        epochs_before = np.arange(self.warmup_epochs, self.epochs)
        # Where a decay falls on the warm-up's end, the first epoch after it has it.
        decays_in_warmup = max(self.warmup_epochs - 1, 0) // self.epochs_per_decay
        stairs = top * self.decay ** (epochs_before // self.epochs_per_decay - decays_in_warmup)
        return np.concatenate([rise, np.repeat(stairs, steps_per_epoch)])[
            :self.epochs * steps_per_epoch]  # a phase cut short ends within its rise


# Original report, hyper-parameters 2 to 4: epochs 1-40, 41-75 and 76-95.
ADSL_PHASES = (
    Phase(epochs=40, warmup_epochs=5, peak=0.2, decay=0.94, epochs_per_decay=2),
    Phase(epochs=35, warmup_epochs=2, peak=0.05, decay=0.95, epochs_per_decay=1),
    Phase(epochs=20, warmup_epochs=2, peak=0.002, decay=0.95, epochs_per_decay=1),
)


def with_total(phases: Sequence[Phase], epochs: int) -> tuple[Phase, ...]:
    """Return the phases ended after ``epochs`` epochs, or the last one prolonged to them.

    The rates of the epochs that both have stay the same.
    """
    kept, left = [], epochs
    for phase in phases:
        kept.append(replace(phase, epochs=min(phase.epochs, left)))
        left -= kept[-1].epochs
    kept[-1] = replace(kept[-1], epochs=kept[-1].epochs + left)
    return tuple(phase for phase in kept if phase.epochs)


def parse_phase(text: str) -> Phase:
    """Return the phase that ``EPOCHS:WARMUP:PEAK:DECAY:EVERY`` describes; its range is checked by
    the recipe."""
    try:
        epochs, warmup_epochs, peak, decay, every = text.split(":")
        return Phase(int(epochs), int(warmup_epochs), float(peak), float(decay), int(every))
    except ValueError:
        raise RequestError(f"--phases {text}: give whole epochs, whole epochs of warm-up, peak, "
                           "decay and whole epochs per decay, such as 40:5:0.2:0.94:2") from None
