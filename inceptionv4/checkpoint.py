"""Checkpoints: MindSpore's ``.ckpt`` made safe, with ``<stem>.meta`` next to it.

MindSpore's own save removes the old file before it writes the new one, does not fsync and makes
the file readable by its owner alone. So the same bytes are written here, next to their place and
then moved; their digest, taken on the way, goes into the meta file. MindSpore's own load reads
beyond the end of the memory when a shape is larger than its content, refuses a file larger than the
memory that is free without the page cache, and may fill a weight from an optimiser state of a
similar name. So the file is parsed here and compared with the network name by name.
"""

import hashlib
import math
import zlib
from dataclasses import asdict, replace
from typing import IO, Any, Mapping, Optional

import mindspore as ms
import numpy as np
from google.protobuf.message import DecodeError
from mindspore import nn
from mindspore.train.checkpoint_pb2 import Checkpoint

from common.cli import RequestError
from common.files import PathLike, read_bytes, replaced_file, sha256_of_file, write_json
from common.text import counted
from inceptionv4.meta import CheckpointMeta, meta_path, read_meta

CLASSIFIER = "classifier."  # what the names of the last layer's parameters begin with
AVERAGED = "ema."  # before the name of a weight: its running average
CRC_MARK, CRC_DIGITS = b"crc_num", 10  # end of a .ckpt that MindSpore saved with crc_check=True


def network_parameters(network: nn.Cell) -> dict[str, ms.Parameter]:
    """Return parameters and moving averages by the network's own names (``stem.0.conv.weight``).

    The names come from the network: the name that a Parameter carries gains a prefix when
    the network becomes a part of another cell.
    """
    return dict(network.parameters_and_names())


def save_checkpoint(path: PathLike, parameters: Mapping[str, ms.Tensor],
                    meta: CheckpointMeta) -> None:
    """Write ``path`` (``.ckpt``) and its meta file; a reader finds the old or the new ``.ckpt``.

    A crash between the two files leaves a ``.ckpt`` that does not fit its meta, which loading
    reports as torn: keep an older checkpoint under another name.

    Args:
        parameters: the network's own (``network_parameters``) and, in a training checkpoint,
            optimiser state under other names.
        meta: its ``ckpt_sha256`` is filled in here.

    Raises:
        RequestError: ``path`` does not end in ``.ckpt``.
        OSError: the folder cannot be written or the disk is full.
    """
    meta_file = meta_path(path)  # refuses a wrong suffix before anything is written
    with replaced_file(path) as file:
        digest = _write_parameters(file, parameters)
    write_json(meta_file, asdict(replace(meta, ckpt_sha256=digest)))


def _write_parameters(file: IO[bytes], parameters: Mapping[str, ms.Tensor]) -> str:
    """Write what ``mindspore.save_checkpoint(…, crc_check=True)`` would; return its sha256."""
    digest, crc = hashlib.sha256(), 0
    for name, value in parameters.items():
        message = Checkpoint()
        tensor = message.value.add(tag=name).tensor
        tensor.dims.extend(value.shape)
        tensor.tensor_type = str(value.dtype)
        tensor.tensor_content = value.get_bytes()
        content = message.SerializeToString()  # messages in a row are one with all their values
        crc = zlib.crc32(content, crc)
        digest.update(content)
        file.write(content)
    ending = CRC_MARK + crc.to_bytes(CRC_DIGITS, "big")
    digest.update(ending)
    file.write(ending)
    return digest.hexdigest()


def read_checkpoint(path: PathLike) -> tuple[CheckpointMeta, dict[str, ms.Tensor]]:
    """Return everything in a checkpoint after checking its digest and CRC.

    Raises:
        RequestError: no such checkpoint, torn, damaged, or not one of this program.
    """
    meta = read_meta(path)
    if sha256_of_file(path) != meta.ckpt_sha256:
        raise RequestError(f"checkpoint '{path}' is torn or damaged: its sha256 is not the one in "
                           f"'{meta_path(path)}'; use another checkpoint of the run")
    try:
        arrays = parse_checkpoint(read_bytes(path))
    except ValueError as error:
        raise RequestError(f"'{path}' cannot be read as a MindSpore checkpoint ({error}); "
                           "use another checkpoint of the run") from error
    return meta, {name: ms.Tensor(array) for name, array in arrays.items()}


def parse_checkpoint(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays in the content of a ``.ckpt`` file by name, read-only.

    Nothing in it is executed, and no size that it states is used before it was compared with the
    bytes that are there, so that the file need not be trusted.

    Raises:
        ValueError: it is no checkpoint, its CRC (if it has one) is wrong, a name appears twice, or
            an array is of a type that NumPy does not have or does not fit its shape.
    """
    end = len(content) - CRC_DIGITS - len(CRC_MARK)
    if content[end:-CRC_DIGITS] == CRC_MARK:
        if zlib.crc32(content[:end]) != int.from_bytes(content[-CRC_DIGITS:], "big"):
            raise ValueError("its CRC is wrong")
        content = content[:end]
    try:
        values = Checkpoint.FromString(content).value
    except DecodeError as error:
        raise ValueError(str(error)) from error
    if not values:
        raise ValueError("it is empty")
    if len({value.tag for value in values}) < len(values):
        raise ValueError("a name appears twice")
    return {value.tag: _array(value.tag, value.tensor) for value in values}


def _array(name: str, tensor: Any) -> np.ndarray:
    # MindSpore writes a scalar with the single dimension 0.
    shape = () if list(tensor.dims) == [0] else tuple(tensor.dims)
    if tensor.tensor_type.lower() not in np.sctypeDict:
        raise ValueError(f"parameter '{name}' is {tensor.tensor_type}: save it as float32")
    dtype = np.dtype(np.sctypeDict[tensor.tensor_type.lower()])
    content = tensor.tensor_content
    if min(shape, default=1) < 1 or math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f"parameter '{name}' of shape {shape} has {len(content):,} bytes")
    return np.frombuffer(content, dtype).reshape(shape)


def weights_of(path: PathLike, meta: CheckpointMeta, asked: Optional[str] = None) -> str:
    """Return which weights of the checkpoint ``path`` are to be used: those asked for ("ema",
    averaged, or "raw"), else the averaged ones where it has them.

    Raises:
        RequestError: averaged weights are asked for and it has none.
    """
    if asked == "ema" and not meta.ema_decay:
        raise RequestError(f"--weights ema: checkpoint '{path}' has no averaged weights, it comes "
                           "from a run without --ema-decay; leave it out")
    return asked or ("ema" if meta.ema_decay else "raw")


def load_checkpoint(path: PathLike, network: nn.Cell, weights: Optional[str] = None,
                    other_classes: bool = False) -> CheckpointMeta:
    """Fill every parameter and moving average of ``network`` from the checkpoint ``path``.

    The file must have all of the network's parameters with their shapes and types; what else it
    has (optimiser state) is not used. On an error the network keeps its values.

    Args:
        weights: see ``weights_of``; batch norm's moving averages are the same for both.
        other_classes: whether the checkpoint may have another class count; the network's classifier
            then keeps its values.

    Raises:
        RequestError: as ``read_checkpoint`` and ``weights_of``, or the checkpoint belongs to
            another network or class count.
    """
    meta, values = read_checkpoint(path)
    own = network_parameters(network)
    averaged = weights_of(path, meta, weights) == "ema"
    num_classes = own["classifier.bias"].shape[0]
    if meta.num_classes != num_classes and other_classes:
        own = {name: value for name, value in own.items() if not name.startswith(CLASSIFIER)}
    elif meta.num_classes != num_classes:
        raise RequestError(f"checkpoint '{path}' has {counted(meta.num_classes, 'class')} but "
                           f"{num_classes} are needed: use one trained on the same classes")
    if averaged:
        own = {AVERAGED * parameter.requires_grad + name: parameter
               for name, parameter in own.items()}
    for name, parameter in own.items():
        if name not in values:
            raise RequestError(f"checkpoint '{path}' belongs to another network: "
                               f"it has no parameter '{name}'")
        difference = describe_kinds(values[name], parameter)
        if difference:
            raise RequestError(f"checkpoint '{path}' belongs to another network: parameter "
                               f"'{name}' is {difference}")
    for name, parameter in own.items():
        parameter.set_data(values[name])
    return meta


def describe_kinds(found: ms.Tensor, needed: ms.Tensor) -> str:
    """Return how type or shape differ, "Float32(4,) instead of Float32(6,)"; empty if none does."""
    kinds = [f"{array.dtype}{tuple(array.shape)}" for array in (found, needed)]
    return "" if kinds[0] == kinds[1] else " instead of ".join(kinds)
