"""What a training run does, in numbers: the ADSL lab's recipe, one for a CPU, and any other.
``SOURCES`` says where the values come from.

"The original report" is the accuracy report of the ADSL lab on Inception-v4 with MindSpore; its
8-card run gave 17.22 / 3.79 % top-1 / top-5 error on 50,000 images with 144 crops. The lab's public
training script answers what the report leaves open, except for the network, of which it has a
version of its own: ours is that of the paper, arXiv 1602.07261.
"""

import itertools
from dataclasses import dataclass, fields, replace
from typing import Union

import numpy as np

from common.cli import RequestError
from common.options import CheckedOptions, flag_of, option, precision_option
from inceptionv4 import BATCH_NORM_DECAY, DROPOUT_KEEP, IMAGE_SIZE, SMALLEST_IMAGE
from train.phases import ADSL_PHASES, Phase, parse_phase, with_total

HIGHEST_DECAY = 0.999999  # with 1, nothing new would enter an average
HIGHEST_FLOAT32 = float(np.finfo(np.float32).max)
HIGHEST_LOSS_SCALE = 2.0 ** 24  # the dynamic one's highest, MindSpore's DynamicLossScaleManager
LARGEST_IMAGE = 2048  # pixels; far above any published
WIDEST_CROP = 100.0  # ratio of sides; MindSpore itself takes less than 2 ** 24
DYNAMIC = "dynamic"  # value of Recipe.loss_scale
ADSL_GLOBAL_BATCH = 1024  # images per step, 8 x 128: the report's rates belong to this batch


def parse_loss_scale(text: str) -> Union[float, str]:
    if text == DYNAMIC:
        return text
    try:
        return float(text)
    except ValueError:
        raise RequestError(f"--loss-scale {text}: give a number of at least 1, or {DYNAMIC}"
                           ) from None


@dataclass(frozen=True)
class Recipe(CheckedOptions):
    """Every value that decides what weights a run ends with; the defaults are ``adsl-8p``'s."""

    preset: str = "adsl-8p"
    phases: tuple[Phase, ...] = option(
        ADSL_PHASES, "learning rate, one value per phase, such as 40:5:0.2:0.94:2: 40 epochs; in "
        "the first 5 the rate rises to 0.2, then it is multiplied by 0.94 every 2 epochs, counted "
        "from the beginning of the phase (default: the preset's)",
        metavar="EPOCHS:WARMUP:PEAK:DECAY:EVERY", parse=parse_phase)
    # The lab's script.
    warmup_start: float = option(1e-5, "rate that the warm-up of each phase starts with", low=0)
    restart_optimizer: bool = option(
        True, "RMSProp's averages start anew with each phase, as in jobs of their own",
        negatable=True)
    ranks: int = option(8, "processes that share a step, one per card", low=1)
    batch_size: int = option(128, "images per batch on each rank", low=1)  # original report, 1
    accumulate: int = option(1, "batches per step on each rank: their gradients are averaged for "
                             "one update, as of one large batch (batch norm sees each alone)",
                             low=1, metavar="BATCHES")
    scale_lr: bool = option(True, f"scale the rates by global batch / {ADSL_GLOBAL_BATCH}",
                            negatable=True)
    steps_per_epoch: int = option(0, "steps per epoch; 0: one pass over the images",
                                  low=0)
    # Original report, 6.
    optimizer: str = option("rmsprop", "what updates the weights", choices=("rmsprop", "adam"))
    decay: float = option(0.9, "decay of the mean square of gradients (Adam's beta2)",
                          low=0, high=HIGHEST_DECAY)
    epsilon: float = option(1.0, "RMSProp: added to the mean square before its root is "
                            "taken; Adam: added to the root", low=1e-20)
    momentum: float = option(0.0, "RMSProp's momentum (Adam's beta1)", low=0,
                             high=HIGHEST_DECAY)
    weight_decay: float = option(0.0, "this times the weight is added to the gradients of "
                                 "convolution and classifier weights; biases, gamma and beta do "
                                 "not decay", low=0)
    loss_scale: Union[float, str] = option(
        1.0, "the loss is multiplied, the gradients divided by it; dynamic, the default with "
        "--precision float16: as large as the gradients allow, steps in which they overflow are "
        "skipped", low=1, high=HIGHEST_LOSS_SCALE, metavar="NUMBER|dynamic", parse=parse_loss_scale)
    ema_decay: float = option(0.0, "keep running averages of the weights with this decay; they "
                              "are validated, too, and used by default where a checkpoint is "
                              "evaluated or exported; 0: none", low=0, high=HIGHEST_DECAY)
    precision: str = precision_option(also=["mixed"])
    label_smoothing: float = option(0.1, "probability moved from the label to the other classes",
                                    low=0, high=1)  # original report, 5
    batch_norm_decay: float = option(BATCH_NORM_DECAY, "decay of batch norm's moving averages",
                                     low=0, high=HIGHEST_DECAY)
    dropout_keep: float = option(DROPOUT_KEEP, "share of features that dropout keeps",
                                 low=1e-3, high=1)
    image_size: int = option(IMAGE_SIZE, "side in pixels of the images that the network gets",
                             low=SMALLEST_IMAGE, high=LARGEST_IMAGE)
    # Random crops as in arXiv 1409.4842, section 6: 8 to 100 % of the area, aspect 3/4 to 4/3.
    min_crop_area: float = option(0.08, "smallest share of an image's area in a crop",
                                  low=1e-3, high=1)
    max_crop_aspect: float = option(4 / 3, "largest ratio of a crop's sides, either way",
                                    low=1, high=WIDEST_CROP)
    # The authors' training code, slim inception_preprocessing.py, distort_color; off as in the
    # original report, which does not mention it.
    colour_distortion: bool = option(False, "vary brightness, contrast, saturation and hue",
                                     negatable=True)
    shuffle: str = option("global", "order of an epoch; global: any order; shard: file by file in "
                          "a random order through a buffer, for slow storage",
                          choices=("global", "shard"))
    normalize_on: str = option("device", "where pixels become numbers around 0; host: as float32 "
                               "NCHW, four times the bytes, as in the original (ADSL) report",
                               choices=("device", "host"))
    seed: int = option(0, "seed of weights, dropout, order of images and crops",
                       low=0, high=2**31 - 1)
    workers: int = option(0, "threads that decode for each rank (the crops depend on their "
                          "number); 0: the cores divided by the ranks", low=0)

    def __post_init__(self) -> None:
        """Raise RequestError for the first value outside its range."""
        super().__post_init__()
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float) and value > HIGHEST_FLOAT32:
                raise RequestError(f"{flag_of(item)} {value}: give a number that float32 can hold, "
                                   f"at most {HIGHEST_FLOAT32:.1e}")
        for phase in self.phases:
            self._check_phase(phase)
        if self.optimizer == "adam":
            self._check_adam()

    def _check_adam(self) -> None:
        """Raise RequestError for values that RMSProp has; Adam divides by 1 - beta1 ** steps, and
        by the root of an average that starts at 0."""
        wrong = [text for text, holds in (
            (f"--momentum {self.momentum}", self.momentum == 0),
            (f"--decay {self.decay}", self.decay == 0),
            ("--restart-optimizer", self.restart_optimizer)) if holds]
        if wrong:
            raise RequestError(f"--optimizer adam: {', '.join(wrong)} of preset {self.preset} "
                               "belong to RMSProp; give --momentum 0.9 --decay 0.999 "
                               "--epsilon 1e-8 --no-restart-optimizer, and --phases with rates for "
                               "Adam")

    def _check_phase(self, phase: Phase) -> None:
        highest = HIGHEST_FLOAT32 / self.rate_scale
        if not (phase.epochs >= 1 and phase.warmup_epochs >= 0 and phase.epochs_per_decay >= 1
                and 0 < phase.peak <= highest and 0 < phase.decay <= 1):  # so written, NaN fails
            raise RequestError(f"--phases {phase}: epochs and epochs per decay are at least 1, the "
                               "warm-up at least 0 epochs, the peak a finite number above 0, the "
                               "decay above 0 and at most 1")
        if phase.warmup_epochs and phase.peak < self.warmup_start:
            raise RequestError(f"--phases {phase}: its warm-up would fall from --warmup-start "
                               f"{self.warmup_start:g}; give a higher peak or a lower start")

    @property
    def rate_scale(self) -> float:
        """Return what the phases' rates are multiplied by."""
        return self.global_batch / ADSL_GLOBAL_BATCH if self.scale_lr else 1.0

    @property
    def global_batch(self) -> int:
        """Return the images per step on all ranks together."""
        return self.ranks * self.batch_size * self.accumulate

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    @property
    def first_epochs(self) -> list[int]:
        """Return the epoch that each phase begins with, counted from 1."""
        return list(itertools.accumulate((phase.epochs for phase in self.phases[:-1]), initial=1))

    def restarts_optimizer_at(self, epoch: int) -> bool:
        """Return whether RMSProp's averages start anew with the epoch, in the midst of the run."""
        return self.restart_optimizer and epoch in self.first_epochs[1:]


PRESETS = {
    "adsl-8p": Recipe(),
    "adsl-1p": Recipe(preset="adsl-1p", ranks=1, batch_size=32),  # original report, note 1
    # arXiv 1602.07261, section 4, and the authors' training code, slim; see SOURCES.
    "paper": Recipe(
        preset="paper", phases=(Phase(160, 0, 0.045, 0.94, 2),), restart_optimizer=False, ranks=8,
        batch_size=32, scale_lr=False, momentum=0.9, weight_decay=4e-5, min_crop_area=0.05,
        max_crop_aspect=1.33, colour_distortion=True, ema_decay=0.9999),
    # Ours. RMSProp with epsilon 1 and the authors' slow averages need thousands of steps to show
    # anything; this learns ten easy classes from 480 images within minutes on two cores. At 75 px
    # the last feature maps are single pixels, so batch norm sees one value per image and channel:
    # 30 steps of 32 images in crops of at least half the area got the loss lower than 60 of 16 in
    # crops of 35 %. A warm-up would cost steps: at 3e-4 the loss did not fall within 24. The low
    # rates at the end let the weights settle, and with them batch norm's averages.
    "smoke": Recipe(
        preset="smoke", phases=(Phase(3, 0, 1e-3, 1, 1), Phase(2, 0, 2e-4, 0.4, 1)), ranks=1,
        batch_size=32, restart_optimizer=False, scale_lr=False, optimizer="adam", decay=0.999,
        epsilon=1e-8, momentum=0.9,
        label_smoothing=0.0, dropout_keep=1.0, batch_norm_decay=0.9,
        image_size=SMALLEST_IMAGE, min_crop_area=0.5),
}

# Where the values of a preset come from, as the plan shows it.
OURS = "that are ours, not published"
_ADSL_SOURCES = {
    "from the original (ADSL) report":
        "global batch, phases, label smoothing, RMSProp's decay and epsilon",
    "from the lab's script": "start of the warm-up, epochs at which the rate falls, RMSProp's "
                             "restarts, no momentum, weight decay or loss scale",
    "from the paper (arXiv 1602.07261)":
        "network, share that dropout keeps; from its authors' code, decay of batch norm's averages",
    OURS: "no auxiliary classifier, gamma trained, plain normal initialisation, range of the "
          "random crops (arXiv 1409.4842), not antialiased",
}
SOURCES: dict[str, dict[str, str]] = {
    "adsl-8p": _ADSL_SOURCES, "adsl-1p": _ADSL_SOURCES,
    "paper": {
        "from the paper (arXiv 1602.07261)":
            "0.045 x 0.94 every 2 epochs, RMSProp's decay and epsilon, network; its 20 replicas "
            "updated the weights asynchronously, here all ranks make one update per step",
        "from the authors' code (slim)":
            "RMSProp's momentum, weight decay, range of the random crops, distortion of colours; "
            "from arXiv 1512.00567 label smoothing, here shared among the other classes; from "
            "their code of Inception-v3 (inception_train.py) the decay of the averaged weights",
        OURS: "8 x 32 images per step, 160 epochs, no auxiliary classifier, gamma trained, crops "
              "not antialiased, batch norm's moving averages not averaged again",
    },
    "smoke": {
        OURS: "all of the recipe: phases and their rates, images per step, Adam and its values, no "
              "label smoothing, no dropout, decay of batch norm's averages, image size, range of "
              "the random crops",
        "from the paper (arXiv 1602.07261)": "network"},
}


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> np.ndarray:
    """Return the learning rate of every step of the run: float32 (epochs * steps_per_epoch,)."""
    rates = np.concatenate([phase.rates(recipe.warmup_start, steps_per_epoch)
                            for phase in recipe.phases])
    return (rates * recipe.rate_scale).astype(np.float32)


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """Return the recipe ended after ``epochs`` epochs, or with its last phase prolonged to them."""
    return replace(recipe, phases=with_total(recipe.phases, epochs))


def with_precision(recipe: Recipe, precision: str) -> Recipe:
    """Return the recipe in this precision, with the loss scale that is its default."""
    scale = DYNAMIC if precision == "float16" else recipe.loss_scale
    return replace(recipe, precision=precision, loss_scale=scale)
