"""What a training run does, in numbers: the seed's recipe, and one that a CPU learns with.

"Seed report" is the ADSL lab's accuracy report on InceptionV4 with MindSpore; its 8-card run
(``adsl-8p``) gave 17.22 / 3.79 % top-1 / top-5 error on 50,000 images with 144 crops. What the
report leaves out is at the default of MindSpore: ``nn.RMSProp``'s (momentum 0, weight decay 0,
loss scale 1), since its line "RMSProp, decay=0.9, epsilon=1.0" names nothing else, and ``Model``'s
precision (amp_level "O0", float32); or in the Inception-v4 paper, arXiv 1602.07261.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Optional

import numpy as np

from common.cli import RequestError

SEED_GLOBAL_BATCH = 1024  # images a step, 8 x 128: the batch that the seed's rates belong to


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs: a linear rise from 0 to ``peak``, then a staircase down from it.

    The rise goes step by step and its last step has ``peak``; from the epoch after it the rate
    is multiplied by ``decay`` every ``epochs_per_decay`` epochs.
    """

    epochs: int
    warmup_epochs: int
    peak: float
    decay: float
    epochs_per_decay: int


# Seed report, hyper-parameters 2 to 4: epochs 1-40, 41-75 and 76-95.
SEED_PHASES = (
    Phase(epochs=40, warmup_epochs=5, peak=0.2, decay=0.94, epochs_per_decay=2),
    Phase(epochs=35, warmup_epochs=2, peak=0.05, decay=0.95, epochs_per_decay=1),
    Phase(epochs=20, warmup_epochs=2, peak=0.002, decay=0.95, epochs_per_decay=1),
)


def _value(default: Any, meaning: str, low: Optional[float] = None,
           high: Optional[float] = None, **metadata: Any) -> Any:
    """A field of the recipe with its meaning and the range, ends included, it may lie in."""
    return field(default=default, metadata=dict(help=meaning, low=low, high=high, **metadata))


@dataclass(frozen=True)
class Recipe:
    """Every value that decides what weights a run ends with; the defaults are ``adsl-8p``'s."""

    preset: str = "adsl-8p"
    phases: tuple[Phase, ...] = SEED_PHASES
    ranks: int = _value(8, "processes that share a step, one a card", 1)
    batch_size: int = _value(128, "images a step on each rank", 1)  # seed report, 1
    scale_lr: bool = _value(True, f"scale the rates by global batch / {SEED_GLOBAL_BATCH}")
    steps_per_epoch: int = _value(0, "end an epoch after so many steps; 0: when the images end", 0)
    # Seed report, 6.
    optimizer: str = _value("rmsprop", "what updates the weights", choices=("rmsprop", "adam"))
    decay: float = _value(0.9, "of the mean square of gradients (Adam's beta2)", 0, 1)
    epsilon: float = _value(1.0, "added to the mean square (Adam: to its root)", 1e-20)
    momentum: float = _value(0.0, "RMSProp's momentum (Adam's beta1)", 0, 1)
    weight_decay: float = _value(0.0, "times the weight, added to each gradient", 0)
    loss_scale: float = _value(1.0, "the loss is multiplied, the gradients divided by it", 1)
    precision: str = _value("float32", "of convolutions and classifier; mixed: float16 there, "
                                       "weights and all else float32 (give a --loss-scale)",
                            choices=("float32", "mixed"))
    label_smoothing: float = _value(0.1, "taken from the label, shared by the other classes",
                                    0, 1)  # seed report, 5
    # The paper authors' training code.
    batch_norm_decay: float = _value(0.9997, "of batch norm's moving averages", 0, 1)
    dropout_keep: float = _value(0.8, "share of features dropout keeps", 1e-3, 1)  # figure 9
    image_size: int = _value(299, "pixels of a side of what the network sees", 75)  # figure 9
    # Random crops as in arXiv 1409.4842, section 6: 8 to 100 % of the area, aspect 3/4 to 4/3.
    min_crop_area: float = _value(0.08, "smallest share of an image's area in a crop", 1e-3, 1)
    max_crop_aspect: float = _value(4 / 3, "largest ratio of a crop's sides, either way", 1)
    # The authors' training code, slim inception_preprocessing.py, distort_color; off as in the
    # seed report, which does not mention it.
    colour_distortion: bool = _value(False, "vary brightness, contrast, saturation and hue")
    shuffle: str = _value("global", "order of an epoch: any order, or shard: files front to back "
                                    "in a drawn order through a buffer, for slow storage",
                          choices=("global", "shard"))
    normalize_on: str = _value("device", "where pixels become numbers around 0; host: as float32 "
                                         "NCHW, four times the bytes, as the seed's run did",
                               choices=("device", "host"))
    seed: int = _value(0, "of weights, dropout, order of images and crops", 0, 2**31 - 1)
    workers: int = _value(0, "threads that decode for each rank (the crops depend on their "
                             "number); 0: the cores divided by the ranks", 0)

    @property
    def global_batch(self) -> int:
        """Images a step on all ranks together."""
        return self.ranks * self.batch_size

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)


PRESETS = {
    "adsl-8p": Recipe(),
    "adsl-1p": Recipe(preset="adsl-1p", ranks=1, batch_size=32),  # seed report, note 1
    # Ours. RMSProp with epsilon 1 and averages of 0.9997 need thousands of steps to show
    # anything; this learns ten easy classes from 600 images within minutes on two cores.
    "smoke": Recipe(
        preset="smoke", phases=(Phase(5, 0, 1e-3, 1, 1), Phase(2, 0, 2e-4, 0.4, 1)), ranks=1,
        batch_size=16, scale_lr=False, optimizer="adam", decay=0.999, epsilon=1e-8, momentum=0.9,
        label_smoothing=0.0, dropout_keep=1.0, batch_norm_decay=0.9, image_size=75,
        min_crop_area=0.35),
}


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> np.ndarray:
    """The learning rate of every step of the run: float32 (epochs * steps_per_epoch,)."""
    rates = np.concatenate([_phase_rates(phase, steps_per_epoch) for phase in recipe.phases])
    scale = recipe.global_batch / SEED_GLOBAL_BATCH if recipe.scale_lr else 1.0
    return (rates * scale).astype(np.float32)


def _phase_rates(phase: Phase, steps_per_epoch: int) -> np.ndarray:
    warmup_steps = phase.warmup_epochs * steps_per_epoch
    rise = phase.peak * np.arange(1, warmup_steps + 1) / max(warmup_steps, 1)
    epochs_since = np.arange(max(phase.epochs - phase.warmup_epochs, 0))
    stairs = phase.peak * phase.decay ** (epochs_since // phase.epochs_per_decay)
    return np.concatenate([rise, np.repeat(stairs, steps_per_epoch)])[
        :phase.epochs * steps_per_epoch]  # a phase cut short ends within its rise


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe stopped after ``epochs`` epochs, or with its last phase prolonged to them.

    The rates of the epochs that both have stay the same.
    """
    phases, left = [], epochs
    for phase in recipe.phases:
        phases.append(replace(phase, epochs=min(phase.epochs, left)))
        left -= phases[-1].epochs
    phases[-1] = replace(phases[-1], epochs=phases[-1].epochs + left)
    return replace(recipe, phases=tuple(phase for phase in phases if phase.epochs))


def check_recipe(recipe: Recipe) -> None:
    """Raise RequestError for the first value outside its range."""
    for item in fields(recipe):
        value, low, high = (getattr(recipe, item.name), item.metadata.get("low"),
                            item.metadata.get("high"))
        too_low = low is not None and not value >= low  # so written, NaN is too low as well
        if too_low or (high is not None and value > high):
            end = "" if high is None else f" to {high}"
            raise RequestError(f"{_flag(item.name)} {value}: give a value from {low}{end}")
    for phase in recipe.phases:
        _check_phase(phase)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_phase(phase: Phase) -> None:
    in_range = (phase.epochs >= 1 and phase.warmup_epochs >= 0 and phase.epochs_per_decay >= 1
                and 0 < phase.peak < float("inf") and 0 < phase.decay <= 1)
    if not in_range:
        raise RequestError(f"--phases {phase}: epochs and epochs per decay are at least 1, the "
                           "warm-up at least 0 epochs, the peak above 0, the decay above 0 up to 1")
