"""Importing weights that another library trained as a checkpoint.

The names and the shapes are compared one by one. The input statistics of the library and how it
resizes images go into the checkpoint's meta, so that the network gets the input that it was
trained on. The files are not trusted: pickle is refused, since opening one runs code in it, and
both formats that are read compare every size that a file states with the bytes in it.
"""

import os
import re
from pathlib import Path
from typing import AbstractSet, Mapping, NamedTuple, Optional

import mindspore as ms
import numpy as np
from safetensors import SafetensorError, safe_open

from common.cli import RequestError
from common.files import PathLike
from inceptionv4 import BATCH_NORM_DECAY, IMAGE_SIZE
from inceptionv4.checkpoint import CLASSIFIER, network_parameters, parse_checkpoint, save_checkpoint
from inceptionv4.exchange.foreign import LIBRARIES, foreign_name
from inceptionv4.meta import CheckpointMeta, meta_path
from inceptionv4.network import InceptionV4

PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".pkl", ".pickle", ".tar")
COUNTER = ".num_batches_tracked"
PICKLE_PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")

# What wrappers (DataParallel, torch.compile, averaged weights) and dictionaries in a file put
# before the names of the network's own parameters, also several of them.
_PREFIX = re.compile(r"((?:module|_orig_mod|model|network|net|state_dict|ema|module_ema|model_ema|"
                     r"ema_model|state_dict_ema|ema_state_dict)\.)*")


class Imported(NamedTuple):
    """What was done with the arrays of a file."""

    arrays: int  # written
    counters: int  # left out
    prefix: str  # of their names in the file
    other_arrays: int  # of the same network under other prefixes, left out


def import_checkpoint(source: PathLike, library_name: str, out: PathLike,
                      prefix: Optional[str] = None) -> Imported:
    """Write ``out`` (``.ckpt``) and its meta from the weights ``source`` of another library.

    Every parameter and moving average of the network has to be in the file with its shape, as
    float32 or float16, and nothing else but PyTorch's ``num_batches_tracked``. All names may have
    what a wrapper puts before them; where they are there twice, ``prefix`` chooses. The number of
    classes is the file's. The class names are not in such a file and stay unknown. Epoch and step
    are 0; the decay of the batch norms is the authors'.

    Args:
        source: timm's ``inception_v4`` as safetensors, or mindcv's as ``.ckpt``.
        library_name: "timm" or "mindcv".
        prefix: what precedes the names of the parameters to import, "module." for instance.

    Raises:
        RequestError: a file that cannot be read or is a pickle, a parameter that is missing,
            left over or of another type or shape, or an ``out`` that is ``source`` or no ``.ckpt``.
    """
    meta_path(out)  # refuses a wrong suffix before anything is read
    if os.path.realpath(source) == os.path.realpath(out):
        raise RequestError(f"--out '{out}' is the file to import: give another name")
    _refuse_pickle(source)
    arrays, library = _read(source, library_name), LIBRARIES[library_name]
    own = network_parameters(InceptionV4(1))  # the names and, classes aside, the shapes
    foreign = {name: foreign_name(name, library) for name in own}
    prefix, others = _choose_prefix(source, arrays, set(foreign.values()), prefix)
    foreign = {name: prefix + there for name, there in foreign.items()}
    counters = _check_names(source, arrays.keys() - others, library_name, list(foreign.values()))
    classes = max(arrays[foreign["classifier.bias"]].size, 1)
    values = {}
    for name, parameter in own.items():
        shape = (classes, *parameter.shape[1:]) if name.startswith(CLASSIFIER) else parameter.shape
        values[name] = ms.Tensor(_value(source, arrays, foreign[name], tuple(shape)))
    meta = CheckpointMeta(classes, IMAGE_SIZE, library.mean, library.std, BATCH_NORM_DECAY,
                          class_names_sha256="", epoch=0, step=0,
                          interpolation=library.interpolation,
                          imported_from=f"{library_name}, {Path(source).name}")
    save_checkpoint(out, values, meta)
    return Imported(len(values), counters, prefix, len(others))


def _refuse_pickle(path: PathLike) -> None:
    if not Path(path).is_file():
        raise RequestError(f"'{path}' is not a file: give the file of the weights")
    with open(path, "rb") as file:
        head = file.read(9)
    # A safetensors file may start like a pickle, with the length of its header; then comes "{".
    pickled = head[:1] == b"\x80" and head[1:2] in PICKLE_PROTOCOLS and head[8:] != b"{"
    if Path(path).suffix.lower() in PICKLE_SUFFIXES or pickled or head.startswith(b"PK\x03\x04"):
        raise RequestError(
            f"'{path}' is a pickle file, which may run code when it is opened: save it as "
            "safetensors with timm and torch, python -c \"import torch, safetensors.torch as s; "
            f"d = torch.load('{path}', weights_only=True); "
            "s.save_file(d.get('state_dict', d), 'weights.safetensors')\"")


def _read(path: PathLike, library_name: str) -> dict[str, np.ndarray]:
    """Return the arrays of the file by their names."""
    try:
        if library_name == "mindcv":
            return parse_checkpoint(Path(path).read_bytes())
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, ValueError) as error:
        kind = "MindSpore checkpoint" if library_name == "mindcv" else "safetensors file"
        raise RequestError(f"'{path}' is not a whole {kind} ({error}): fetch or save it "
                           "again") from error
    except (TypeError, AttributeError) as error:  # NumPy has no such type: the message names it
        raise RequestError(f"'{path}' has a type that cannot be read ({error}): "
                           "save it as float32") from error


def _choose_prefix(source: PathLike, arrays: Mapping[str, np.ndarray], names: set[str],
                   wanted: Optional[str]) -> tuple[str, set[str]]:
    """Return what precedes ``names`` in the file, and the arrays that have them once more, with
    other prefixes. Where no prefix has all of ``names``, it is the one that has the most."""
    under: dict[str, set[str]] = {}
    for array in arrays:
        prefix = _PREFIX.match(array).group()  # type: ignore[union-attr]  # the empty one fits all
        under.setdefault(prefix, set()).add(array.removeprefix(prefix))
    complete = sorted(prefix for prefix, found in under.items() if names <= found)
    choices = ", ".join(f"'{prefix}'" for prefix in complete)
    if wanted is not None and wanted not in complete:
        raise RequestError(f"--prefix '{wanted}': '{source}' has the network's parameters with "
                           f"{choices or 'no prefix that is known'} before their names")
    if wanted is None and len(complete) > 1:
        raise RequestError(f"'{source}' has the network's parameters several times, with {choices} "
                           "before their names (ema: averaged weights); choose with --prefix")
    chosen = wanted if wanted is not None else (complete[0] if complete else max(
        under, key=lambda prefix: len(names & under[prefix]), default=""))
    return chosen, {prefix + name for prefix in complete if prefix != chosen
                    for name in under[prefix]}


def _check_names(source: PathLike, arrays: AbstractSet[str], library_name: str,
                 names: list[str]) -> int:
    """Return the number of counters; raise RequestError unless the file has ``names`` and, apart
    from counters, nothing else."""
    for name in names:
        if name not in arrays:
            raise RequestError(f"'{source}' is not {library_name}'s inception_v4: it has no "
                               f"parameter '{name}'; choose the library that saved it with --from")
    left_over = arrays - set(names)
    # PyTorch counts the training steps of each batch norm; the network has no use for them.
    counters = left_over & {name.replace(".running_mean", COUNTER) for name in names}
    if left_over > counters:
        raise RequestError(f"'{source}' is not {library_name}'s inception_v4: this network has no "
                           f"place for its parameter '{min(left_over - counters)}'; save the "
                           "network's own parameters alone")
    return len(counters)


def _value(source: PathLike, arrays: Mapping[str, np.ndarray], name: str,
           shape: tuple[int, ...]) -> np.ndarray:
    """Return the array as float32 after checking its shape, type and values."""
    array = arrays[name]
    if array.shape != shape:
        raise RequestError(f"'{source}' belongs to another network: parameter '{name}' has the "
                           f"shape {array.shape} instead of {shape}")
    if array.dtype not in (np.float32, np.float16):
        raise RequestError(f"'{source}': parameter '{name}' is {array.dtype}, and only float32 and "
                           "float16 can be read: save it as float32")
    if not np.isfinite(array).all():
        raise RequestError(f"'{source}': parameter '{name}' has values that are not finite "
                           "numbers: fetch or save it again")
    return array.astype(np.float32)
