"""Importing weights that another library trained as a checkpoint.

The names and the shapes are compared one by one before anything is read, and the input
statistics of the library go into the checkpoint's meta, so that the network gets the input that it
was trained on.
"""

import os
from dataclasses import dataclass

import mindspore as ms
import numpy as np

from common.cli import RequestError
from common.files import PathLike
from inceptionv4.checkpoint import (CheckpointMeta, meta_path,
                                    network_parameters, save_checkpoint)
from inceptionv4.exchange.arrays import (ArrayFile, ArrayInfo, open_mindspore,
                                         open_safetensors)
from inceptionv4.exchange.foreign import (IMAGE_SIZE, LIBRARIES, ForeignLibrary,
                                          foreign_name, training_counters)
from inceptionv4.network import BATCH_NORM_DECAY, FEATURES, InceptionV4

READABLE = ("float32", "float16")

_OPEN = {"timm": open_safetensors, "mindcv": open_mindspore}


@dataclass(frozen=True)
class Imported:
    """What ``import_checkpoint`` wrote, and how many counters it left out."""

    meta: CheckpointMeta
    arrays: int
    counters: int


def import_checkpoint(source: PathLike, library_name: str, out: PathLike) -> Imported:
    """Write ``out`` (``.ckpt``) and its meta from the weights ``source`` of another library.

    Every parameter and moving average of the network has to be in the file with its shape, as
    float32 or float16, and nothing else but PyTorch's ``num_batches_tracked``. The number of
    classes is the file's. The class names are not in such a file and stay unknown. Epoch and step
    are 0; the decay of the batch norms is the authors'.

    Args:
        source: timm's ``inception_v4`` as safetensors, or mindcv's as ``.ckpt``.
        library_name: "timm" or "mindcv".

    Raises:
        RequestError: a file that cannot be read or is a pickle, a parameter that is missing,
            left over or of another type or shape, or an ``out`` that is ``source`` or no ``.ckpt``.
    """
    meta_path(out)  # refuses a wrong suffix before anything is read
    if os.path.realpath(source) == os.path.realpath(out):
        raise RequestError(f"--out '{out}' is the file to import: give another name")
    file, library = _OPEN[library_name](source), LIBRARIES[library_name]
    classes = _class_count(source, file, library)
    needed = {name: tuple(parameter.shape)
              for name, parameter in network_parameters(InceptionV4(classes)).items()}
    foreign = {name: foreign_name(name, library) for name in needed}
    counters = _check_names(source, file, library, list(foreign.values()))
    for name, shape in needed.items():
        _check_info(source, foreign[name], file.infos[foreign[name]], shape)
    values = {name: ms.Tensor(_read(source, file, foreign[name])) for name in needed}
    meta = CheckpointMeta(classes, IMAGE_SIZE, library.mean, library.std, BATCH_NORM_DECAY,
                          class_names_sha256="", epoch=0, step=0)
    return Imported(save_checkpoint(out, values, meta), len(values), counters)


def _class_count(source: PathLike, file: ArrayFile, library: ForeignLibrary) -> int:
    name = foreign_name("classifier.weight", library)
    if name not in file.infos:
        raise _missing(source, library, name)
    shape = file.infos[name].shape
    if len(shape) != 2 or shape[0] < 1 or shape[1] != FEATURES:
        raise _misshapen(source, name, shape, f"(classes, {FEATURES})")
    return shape[0]


def _check_names(source: PathLike, file: ArrayFile, library: ForeignLibrary, names: list[str]
                 ) -> int:
    """Return the number of counters; raise RequestError unless the file has ``names`` and, apart
    from counters, nothing else."""
    for name in names:
        if name not in file.infos:
            raise _missing(source, library, name)
    left_over = set(file.infos) - set(names)
    counters = left_over & training_counters(names)
    if left_over > counters:
        raise RequestError(f"'{source}' is not {library.title}: this network has no place for "
                           f"its parameter '{min(left_over - counters)}'; save the network's own "
                           "parameters alone")
    return len(counters)


def _check_info(source: PathLike, name: str, info: ArrayInfo, shape: tuple[int, ...]) -> None:
    if info.shape != shape:
        raise _misshapen(source, name, info.shape, str(shape))
    if info.dtype not in READABLE:
        raise RequestError(f"'{source}': parameter '{name}' is {info.dtype}, and only "
                           f"{' and '.join(READABLE)} can be read: save it as float32")


def _read(source: PathLike, file: ArrayFile, name: str) -> np.ndarray:
    values = file.read(name).astype(np.float32)
    if not np.isfinite(values).all():
        raise RequestError(f"'{source}': parameter '{name}' has values that are not finite "
                           "numbers: fetch or save it again")
    return values


def _missing(source: PathLike, library: ForeignLibrary, name: str) -> RequestError:
    return RequestError(f"'{source}' is not {library.title}: it has no parameter '{name}'; "
                        "choose the library that saved it with --from")


def _misshapen(source: PathLike, name: str, found: tuple[int, ...], needed: str) -> RequestError:
    return RequestError(f"'{source}' belongs to another network: parameter '{name}' has the "
                        f"shape {found} instead of {needed}")
