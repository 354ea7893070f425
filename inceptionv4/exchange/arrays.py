"""Reading named arrays from files that are not trusted: safetensors and ``.ckpt``.

Nothing in such a file is executed, and no size that it states is used before it was compared with
the bytes in the file. ``ms.load_checkpoint`` does not compare: a shape larger than its content
makes MindSpore 2.10 read beyond the end of the memory. Pickle is refused, since opening one runs
code in it.
"""

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping

import numpy as np
from google.protobuf.message import DecodeError
from mindspore.train.checkpoint_pb2 import Checkpoint
from safetensors import SafetensorError, safe_open

from common.cli import RequestError
from common.files import PathLike

PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".pkl", ".pickle", ".tar")
PICKLE_PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")
CRC_MARK, CRC_DIGITS = b"crc_num", 10  # end of a .ckpt that MindSpore saved with crc_check=True

_SAFETENSORS_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class ArrayInfo:
    """An array as a file describes it: NumPy's (or the file's own) name of the type, the shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ArrayFile:
    """An open file: type and shape of each array, and ``read`` to get one by its name."""

    infos: Mapping[str, ArrayInfo]
    read: Callable[[str], np.ndarray]


def open_safetensors(path: PathLike) -> ArrayFile:
    """Return the arrays of a safetensors file, read on demand.

    Raises:
        RequestError: no such file, a pickle, or not a whole safetensors file.
    """
    _check_file(path)
    try:
        file = safe_open(path, framework="numpy")  # compares its header with its length
        slices = {name: file.get_slice(name) for name in file.keys()}
    except SafetensorError as error:
        raise RequestError(f"'{path}' is not a whole safetensors file ({error}): "
                           "fetch or save it again") from error
    infos = {name: ArrayInfo(_SAFETENSORS_DTYPES.get(piece.get_dtype(), piece.get_dtype()),
                             tuple(piece.get_shape())) for name, piece in slices.items()}
    return ArrayFile(infos, file.get_tensor)


def open_mindspore(path: PathLike) -> ArrayFile:
    """Return the arrays of a MindSpore checkpoint after checking its CRC, if it has one.

    Raises:
        RequestError: no such file, a pickle, or not a whole MindSpore checkpoint.
    """
    _check_file(path)
    try:
        tensors = _parse(Path(path).read_bytes())
    except (DecodeError, ValueError) as error:
        raise RequestError(f"'{path}' is not a whole MindSpore checkpoint ({error}): "
                           "fetch or save it again") from error

    def read(name: str) -> np.ndarray:
        tensor, info = tensors[name], infos[name]
        return np.frombuffer(tensor.tensor_content, info.dtype).reshape(info.shape)

    infos = {name: _info(tensor) for name, tensor in tensors.items()}
    for name, info in infos.items():
        _check_size(path, name, info, len(tensors[name].tensor_content))
    return ArrayFile(infos, read)


def _check_file(path: PathLike) -> None:
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
            f"s.save_file(torch.load('{path}', weights_only=True), 'weights.safetensors')\"")


def _parse(content: bytes) -> dict:
    """Return each name's protobuf message; ValueError if the CRC or the names are wrong."""
    end = len(content) - CRC_DIGITS - len(CRC_MARK)
    if content[end:-CRC_DIGITS] == CRC_MARK:
        if zlib.crc32(content[:end]) != int.from_bytes(content[-CRC_DIGITS:], "big"):
            raise ValueError("its CRC is wrong")
        content = content[:end]
    values = Checkpoint.FromString(content).value
    tensors = {value.tag: value.tensor for value in values}
    if not values or len(tensors) < len(values):
        raise ValueError("a name appears twice" if values else "it is empty")
    return tensors


def _info(tensor) -> ArrayInfo:
    # MindSpore writes a scalar with the single dimension 0.
    shape = tuple(tensor.dims)
    return ArrayInfo(tensor.tensor_type.lower(), () if shape == (0,) else shape)


def _check_size(path: PathLike, name: str, info: ArrayInfo, size: int) -> None:
    """Compare size and shape of the types that may be read; others are never read."""
    if info.dtype not in ("float32", "float16"):
        return
    needed = math.prod(info.shape) * np.dtype(info.dtype).itemsize
    if min(info.shape, default=1) < 1 or size != needed:
        raise RequestError(f"'{path}' is damaged: parameter '{name}' of shape {info.shape} has "
                           f"{size:,} bytes; fetch it again")
