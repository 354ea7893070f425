"""What a new run starts from: fresh weights, or with ``--init`` those of a checkpoint.

Weights and batch norm's moving averages are taken over, and the statistics that the images are
normalised with. The optimiser, the number of steps and the loss scale are those of a new run.
"""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

from common.cli import RequestError
from common.text import counted
from inceptionv4.checkpoint import load_checkpoint, weights_of
from inceptionv4.meta import CKPT_SUFFIX, META_SUFFIX, CheckpointMeta, read_meta
from inceptionv4.preprocess import InputStatistics
from train.source import Source
from train.step import TrainStep


@dataclass(frozen=True)
class InitialWeights:
    """A checkpoint that a run starts from; without a path, fresh weights.

    Attributes:
        sha256: of the ``.ckpt`` file; None for fresh weights.
        statistics: what the images of the run are normalised with.
    """

    path: Optional[Path] = None
    sha256: Optional[str] = None
    statistics: InputStatistics = InputStatistics()

    def to_config(self) -> dict[str, Any]:
        """Return what ``config.json`` holds of it."""
        return {"init": self.path and str(self.path), "init_sha256": self.sha256,
                **self.statistics._asdict()}


def initial_weights(init: Optional[Path], earlier: Optional[Mapping[str, Any]]) -> InitialWeights:
    """Return what the run starts, or has started, from; the weights themselves are not read.

    Args:
        init: the checkpoint that was asked for.
        earlier: config of the run that is resumed, which needs no ``init``: the file may be gone.

    Raises:
        RequestError: there is no such checkpoint, or the run was started from another one.
    """
    if earlier is not None:
        started = _started_from(earlier)
        if init is None or (started.path and not init.is_file()):
            return started
    if init is None:
        return InitialWeights()
    with _naming_flag():
        meta = read_meta(init)
    found = InitialWeights(_lasting_name(init), meta.ckpt_sha256,
                           InputStatistics(meta.mean, meta.std))
    if earlier is not None and found.sha256 != started.sha256:
        raise RequestError(f"--init: checkpoint '{init}' is not the one that the run was started "
                           f"from ({started.path or 'none'}); leave --init out to resume, or give "
                           "another --run")
    return found


def _lasting_name(checkpoint: Path) -> Path:
    """Return where the checkpoint lies rather than the name of a link, such as best.ckpt, which may
    point to another file later; the link where its target is no checkpoint by its name, as in a
    store of files named after their content."""
    target = checkpoint.resolve()
    is_checkpoint = target.suffix == CKPT_SUFFIX and target.with_suffix(META_SUFFIX).is_file()
    return target if is_checkpoint else checkpoint.absolute()


def _started_from(config: Mapping[str, Any]) -> InitialWeights:
    try:
        mean, std = ((float(red), float(green), float(blue))
                     for red, green, blue in (config["mean"], config["std"]))
        return InitialWeights(config["init"] and Path(config["init"]), config["init_sha256"],
                              InputStatistics(mean, std))
    except (TypeError, ValueError):
        raise RequestError("--resume: 'init', 'mean' or 'std' in the run's config.json has another "
                           "form than it was written in; restore it, or give another --run"
                           ) from None


@contextlib.contextmanager
def _naming_flag() -> Iterator[None]:
    try:
        yield
    except RequestError as error:
        raise RequestError(f"--init: {error}") from error


def take_over_weights(initial: InitialWeights, step: TrainStep, source: Source,
                      rank: int = 0) -> None:
    """Fill the network of a fresh step with the weights, if there are any; rank 0 says with what.
    Of a checkpoint with averaged weights, these are taken.

    Where the number of classes is another, the classifier stays as it is: drawn from the seed, so
    that all ranks have the same.

    Raises:
        RequestError: the checkpoint cannot be read, is not the one that ``initial`` was made from,
            or belongs to another network. The network keeps its values.
    """
    if initial.path is None:
        return
    with _naming_flag():
        if read_meta(initial.path).ckpt_sha256 != initial.sha256:
            raise RequestError(f"checkpoint '{initial.path}' is not the one that the run was "
                               f"started from, whose sha256 is {initial.sha256}; start a new run")
        meta = load_checkpoint(initial.path, step.network, other_classes=True)
    if step.averages is not None:
        step.averages.start_from_weights()
    if rank == 0:
        _describe(initial.path, meta, source)


def _describe(path: Path, meta: CheckpointMeta, source: Source) -> None:
    classes = len(source.class_names)
    averaged = "averaged " if weights_of(path, meta) == "ema" else ""
    print(f"--init: {averaged}weights and batch norm's averages are those of {path}, epoch "
          f"{meta.epoch}; images are normalised with mean {meta.mean}, std {meta.std}", flush=True)
    if meta.num_classes != classes:
        print(f"--init: the checkpoint has {counted(meta.num_classes, 'class')}, these "
              f"records {classes}: the classifier starts fresh", flush=True)
    elif meta.class_names_sha256 not in ("", source.class_names_sha256):
        print("warning: --init: the checkpoint's classes have other names, or another order, than "
              f"those of {source.folder}: the classifier starts with what it learnt of others",
              file=sys.stderr, flush=True)
