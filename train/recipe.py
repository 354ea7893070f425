"""What a training run does, in numbers: the ADSL report's recipe, one for a CPU, and the command
line that asks for one of them or another.

"The ADSL report" is the accuracy report of the ADSL lab on Inception-v4 with MindSpore; its 8-card
run (``adsl-8p``) gave 17.22 / 3.79 % top-1 / top-5 error on 50,000 images with 144 crops. What the
report leaves out is at the default of MindSpore: ``nn.RMSProp``'s (momentum 0, weight decay 0,
loss scale 1), since its line "RMSProp, decay=0.9, epsilon=1.0" names nothing else, and ``Model``'s
precision (amp_level "O0", float32); or in the Inception-v4 paper, arXiv 1602.07261.
"""

import argparse
import os
from dataclasses import Field, astuple, dataclass, replace
from pathlib import Path
from typing import Optional, Sequence, Union

import numpy as np

from common.cli import ArgumentParser, RequestError
from common.options import (CheckedOptions, add_options, device_option, from_arguments, option,
                            precision_option)
from inceptionv4 import BATCH_NORM_DECAY, DROPOUT_KEEP, IMAGE_SIZE, SMALLEST_IMAGE

DYNAMIC = "dynamic"  # value of Recipe.loss_scale
ADSL_GLOBAL_BATCH = 1024  # images per step, 8 x 128: the report's rates belong to this batch


@dataclass(frozen=True)
class Phase:
    """Some epochs of the schedule: a linear rise from 0 to ``peak``, then a staircase down from it.

    The rise goes step by step and its last step has ``peak``; from the epoch after it the rate
    is multiplied by ``decay`` every ``epochs_per_decay`` epochs.
    """

    epochs: int
    warmup_epochs: int
    peak: float
    decay: float
    epochs_per_decay: int


# ADSL report, hyper-parameters 2 to 4: epochs 1-40, 41-75 and 76-95.
ADSL_PHASES = (
    Phase(epochs=40, warmup_epochs=5, peak=0.2, decay=0.94, epochs_per_decay=2),
    Phase(epochs=35, warmup_epochs=2, peak=0.05, decay=0.95, epochs_per_decay=1),
    Phase(epochs=20, warmup_epochs=2, peak=0.002, decay=0.95, epochs_per_decay=1),
)


def parse_phase(text: str) -> Phase:
    """Return the phase that ``EPOCHS:WARMUP:PEAK:DECAY:EVERY`` describes; its range is checked by
    the recipe."""
    try:
        epochs, warmup_epochs, peak, decay, every = text.split(":")
        return Phase(int(epochs), int(warmup_epochs), float(peak), float(decay), int(every))
    except ValueError:
        raise RequestError(f"--phases {text}: give whole epochs, whole epochs of warm-up, peak, "
                           "decay and whole epochs per decay, such as 40:5:0.2:0.94:2") from None


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
        "the first 5 the rate rises from 0 to 0.2, then it is multiplied by 0.94 every 2 epochs "
        "(default: the preset's)",
        metavar="EPOCHS:WARMUP:PEAK:DECAY:EVERY", parse=parse_phase)
    ranks: int = option(8, "processes that share a step, one per card", low=1)
    batch_size: int = option(128, "images per step on each rank", low=1)  # ADSL report, 1
    scale_lr: bool = option(True, f"scale the rates by global batch / {ADSL_GLOBAL_BATCH}",
                            negatable=True)
    steps_per_epoch: int = option(0, "steps per epoch; 0: one pass over the images",
                                  low=0)
    # ADSL report, 6.
    optimizer: str = option("rmsprop", "what updates the weights", choices=("rmsprop", "adam"))
    decay: float = option(0.9, "decay of the mean square of gradients (Adam's beta2)",
                          low=0, high=1)
    epsilon: float = option(1.0, "RMSProp: added to the mean square before its root is "
                            "taken; Adam: added to the root", low=1e-20)
    momentum: float = option(0.0, "RMSProp's momentum (Adam's beta1)", low=0, high=1)
    weight_decay: float = option(0.0, "this times the weight is added to each gradient", low=0)
    loss_scale: Union[float, str] = option(
        1.0, "the loss is multiplied, the gradients divided by it; dynamic, the default with "
        "--precision float16: as large as the gradients allow, steps in which they overflow are "
        "skipped", low=1, metavar="NUMBER|dynamic", parse=parse_loss_scale)
    precision: str = precision_option(also=["mixed"])
    label_smoothing: float = option(0.1, "probability moved from the label to the other classes",
                                    low=0, high=1)  # ADSL report, 5
    batch_norm_decay: float = option(BATCH_NORM_DECAY, "decay of batch norm's moving averages",
                                     low=0, high=1)
    dropout_keep: float = option(DROPOUT_KEEP, "share of features that dropout keeps",
                                 low=1e-3, high=1)
    image_size: int = option(IMAGE_SIZE, "side in pixels of the images that the network gets",
                             low=SMALLEST_IMAGE)
    # Random crops as in arXiv 1409.4842, section 6: 8 to 100 % of the area, aspect 3/4 to 4/3.
    min_crop_area: float = option(0.08, "smallest share of an image's area in a crop",
                                  low=1e-3, high=1)
    max_crop_aspect: float = option(4 / 3, "largest ratio of a crop's sides, either way", low=1)
    # The authors' training code, slim inception_preprocessing.py, distort_color; off as in the
    # ADSL report, which does not mention it.
    colour_distortion: bool = option(False, "vary brightness, contrast, saturation and hue",
                                     negatable=True)
    shuffle: str = option("global", "order of an epoch; global: any order; shard: file by file in "
                          "a random order through a buffer, for slow storage",
                          choices=("global", "shard"))
    normalize_on: str = option("device", "where pixels become numbers around 0; host: as float32 "
                               "NCHW, four times the bytes, as in the ADSL report",
                               choices=("device", "host"))
    seed: int = option(0, "seed of weights, dropout, order of images and crops",
                       low=0, high=2**31 - 1)
    workers: int = option(0, "threads that decode for each rank (the crops depend on their "
                          "number); 0: the cores divided by the ranks", low=0)

    def __post_init__(self) -> None:
        """Raise RequestError for the first value outside its range."""
        super().__post_init__()
        for phase in self.phases:
            self._check_phase(phase)
        if self.optimizer == "adam":
            for flag, value in (("--momentum", self.momentum), ("--decay", self.decay)):
                if not 0 < value < 1:
                    raise RequestError(f"{flag} {value}: with --optimizer adam, give a value "
                                       "above 0 and below 1, such as --momentum 0.9 --decay 0.999")

    def _check_phase(self, phase: Phase) -> None:
        highest = float(np.finfo(np.float32).max) / self.rate_scale
        if not (phase.epochs >= 1 and phase.warmup_epochs >= 0 and phase.epochs_per_decay >= 1
                and 0 < phase.peak <= highest and 0 < phase.decay <= 1):  # so written, NaN fails
            text = ":".join(f"{value:g}" for value in astuple(phase))
            raise RequestError(f"--phases {text}: epochs and epochs per decay are at least 1, the "
                               "warm-up at least 0 epochs, the peak a finite number above 0, the "
                               "decay above 0 and at most 1")

    @property
    def rate_scale(self) -> float:
        """Return what the phases' rates are multiplied by."""
        return self.global_batch / ADSL_GLOBAL_BATCH if self.scale_lr else 1.0

    @property
    def global_batch(self) -> int:
        """Return the images per step on all ranks together."""
        return self.ranks * self.batch_size

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)


PRESETS = {
    "adsl-8p": Recipe(),
    "adsl-1p": Recipe(preset="adsl-1p", ranks=1, batch_size=32),  # ADSL report, note 1
    # Ours. RMSProp with epsilon 1 and the authors' slow averages need thousands of steps to show
    # anything; this learns ten easy classes from 600 images within minutes on two cores.
    "smoke": Recipe(
        preset="smoke", phases=(Phase(5, 0, 1e-3, 1, 1), Phase(2, 0, 2e-4, 0.4, 1)), ranks=1,
        batch_size=16, scale_lr=False, optimizer="adam", decay=0.999, epsilon=1e-8, momentum=0.9,
        label_smoothing=0.0, dropout_keep=1.0, batch_norm_decay=0.9,
        image_size=SMALLEST_IMAGE, min_crop_area=0.35),
}


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> np.ndarray:
    """Return the learning rate of every step of the run: float32 (epochs * steps_per_epoch,)."""
    rates = np.concatenate([_phase_rates(phase, steps_per_epoch) for phase in recipe.phases])
    return (rates * recipe.rate_scale).astype(np.float32)


def _phase_rates(phase: Phase, steps_per_epoch: int) -> np.ndarray:
    warmup_steps = phase.warmup_epochs * steps_per_epoch
    rise = phase.peak * np.arange(1, warmup_steps + 1) / max(warmup_steps, 1)
    epochs_since = np.arange(max(phase.epochs - phase.warmup_epochs, 0))
    stairs = phase.peak * phase.decay ** (epochs_since // phase.epochs_per_decay)
    return np.concatenate([rise, np.repeat(stairs, steps_per_epoch)])[
        :phase.epochs * steps_per_epoch]  # a phase cut short ends within its rise


def with_epochs(recipe: Recipe, epochs: int) -> Recipe:
    """Return the recipe ended after ``epochs`` epochs, or with its last phase prolonged to them.

    The rates of the epochs that both have stay the same.
    """
    phases, left = [], epochs
    for phase in recipe.phases:
        phases.append(replace(phase, epochs=min(phase.epochs, left)))
        left -= phases[-1].epochs
    phases[-1] = replace(phases[-1], epochs=phases[-1].epochs + left)
    return replace(recipe, phases=tuple(phase for phase in phases if phase.epochs))


def with_precision(recipe: Recipe, precision: str) -> Recipe:
    """Return the recipe in this precision, with the loss scale that is its default."""
    scale = DYNAMIC if precision == "float16" else recipe.loss_scale
    return replace(recipe, precision=precision, loss_scale=scale)


@dataclass(frozen=True)
class TrainRequest(CheckedOptions):
    """What to train on, where and how; of its own values, only the data changes the weights."""

    run: Path = option(help="folder for the run, a new one unless with --resume")
    records: Optional[Path] = option(None, "folder of the training record set")
    images: Optional[Path] = option(
        None, "folder of class folders with images instead, slow on slow storage")
    val_records: Optional[Path] = option(
        None, "folder of the validation record set, scored with one crop after each epoch "
              "(default: no scores)")
    resume: bool = option(False, "resume from the newest complete checkpoint of --run")
    device: str = device_option()
    sink: Optional[bool] = option(
        None, "let the device take its batches itself (default: where it can)", negatable=True)
    sink_size: int = option(100, "in sink mode, steps between two checks of the loss", low=1,
                            metavar="STEPS")
    keep: int = option(3, "number of last checkpoints that stay on the disk, next to the best",
                       low=1)
    dry_run: Optional[int] = option(
        None, "check everything, print the plan for RANKS ranks, train nothing (without RANKS: the "
              "preset's)", low=0, bare=0, metavar="RANKS")
    preset: str = option("smoke", "recipe whose values hold where no flag says otherwise",
                         choices=sorted(PRESETS))
    epochs: Optional[int] = option(
        None, "total number of epochs: ends the schedule early or extends its last phase", low=1,
        metavar="N")
    validate_every: int = option(
        1, "score the validation images only after every so many epochs, and after the last one",
        low=1, metavar="EPOCHS")
    jit_level: Optional[str] = option(
        None, "MindSpore's level of compilation; O0: kernel by kernel, O1: fused, O2: the whole "
        "graph (default: the device's own; on CPU all are the same)", choices=("O0", "O1", "O2"))
    deterministic: bool = option(
        False, "let equal runs end alike on Ascend, too, at the cost of speed")
    profile: Optional[int] = option(
        None, "let MindSpore's profiler measure so many steps of the first epoch, into the folder "
        "'profile' of the run; the epoch's own times mean little then", low=1, metavar="STEPS")
    compile_cache: Optional[Path] = option(
        None, "folder that keeps the compiled step, for runs of the same recipe, such as the "
        "resumed one; several may share it")


def train_parser() -> ArgumentParser:
    """Return the parser of the whole command line of ``python -m train``."""
    parser = ArgumentParser(prog="python -m train", description="Train Inception-v4 on records.")
    data = ("records", "images")
    add_options(parser.add_mutually_exclusive_group(required=True), TrainRequest, only=data)
    add_options(parser, TrainRequest, leave_out=(*data, "epochs"))
    recipe = parser.add_argument_group("recipe", "each flag overrides a value of the preset")
    add_options(recipe, TrainRequest, only=["epochs"])
    add_options(recipe, Recipe, leave_out=["ranks"], suppress_defaults=True,
                describe=_with_presets)
    return parser


def _with_presets(item: Field) -> str:
    """Return the help of a recipe's value with what it is in each preset."""
    if item.name == "phases":
        return item.metadata["help"]
    values = {name: getattr(recipe, item.name) for name, recipe in PRESETS.items()}
    shown = (f"default: {item.default}" if len(set(values.values())) == 1 else
             ", ".join(f"{name}: {value}" for name, value in values.items()))
    return f"{item.metadata['help']} ({shown})"


def parse(words: Optional[Sequence[str]] = None) -> tuple[TrainRequest, Recipe]:
    """Return what the words of the command line ask for; by default, those of this process.

    Raises:
        RequestError: an unknown flag, or a value outside its range.
    """
    return requested(train_parser().parse_args(words))


def requested(arguments: argparse.Namespace) -> tuple[TrainRequest, Recipe]:
    """Return request and recipe from what ``train_parser()`` parsed."""
    request = from_arguments(TrainRequest, arguments)
    preset = PRESETS[request.preset]
    preset = with_precision(preset, vars(arguments).get("precision", preset.precision))
    recipe = from_arguments(Recipe, arguments, **{
        name: value for name, value in vars(preset).items() if name not in vars(arguments)})
    if request.epochs is not None:
        recipe = with_epochs(recipe, request.epochs)
    if recipe.workers > (os.cpu_count() or 1):
        raise RequestError(f"--workers {recipe.workers}: MindSpore takes at most one per core of "
                           f"this host, {os.cpu_count()}")
    if request.images and recipe.shuffle == "shard":
        raise RequestError("--shuffle shard is for --records; class folders have no shards: "
                           "leave it out")
    return request, recipe
