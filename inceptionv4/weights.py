"""Parameters to disk and back: MindSpore's ``.ckpt``, made safe against crashes and mix-ups.

MindSpore's own save removes the old file before it writes the new one, does not fsync and makes
the file readable by its owner alone; its own load passes over a flipped byte unless asked and
may fill a weight from an optimiser state of a similar name. So a file is written beside its
place and moved, its digest goes into the meta file, and loading compares name by name.
"""

import contextlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Iterator, Mapping

import mindspore as ms
import psutil
from mindspore import nn
from mindspore.train import serialization

from common import RequestError, sha256_of_file
from common.files import PathLike, fsync_folder, make_durable
from inceptionv4.meta import CheckpointMeta, meta_path, read_meta, write_meta


def network_parameters(network: nn.Cell) -> dict[str, ms.Parameter]:
    """The parameters and moving averages under the network's own names (``stem.0.conv.weight``).

    Taken from where they stand in the network: the name that a Parameter carries gains a prefix
    when the network becomes a part of another cell.
    """
    return dict(network.parameters_and_names())


def save_checkpoint(path: PathLike, parameters: Mapping[str, ms.Tensor],
                    meta: CheckpointMeta) -> CheckpointMeta:
    """Write ``path`` (``.ckpt``) and its meta file; the ``.ckpt`` is whole or the old one.

    A crash between the two files leaves a ``.ckpt`` that does not fit its meta, which loading
    names torn: keep an older checkpoint under another name.

    Args:
        parameters: the network's own (``network_parameters``) and, in a training checkpoint,
            optimiser state under other names.
        meta: its ``ckpt_sha256`` is filled in here.

    Returns:
        The meta as it was written.

    Raises:
        RequestError: ``path`` does not end in ``.ckpt``.
        OSError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    meta_path(path)  # refuses a wrong suffix before anything is written
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as folder:
        written = Path(folder, path.name)
        ms.save_checkpoint([{"name": name, "data": value} for name, value in parameters.items()],
                           str(written), crc_check=True)
        make_durable(written)
        meta = replace(meta, ckpt_sha256=sha256_of_file(written))
        os.replace(written, path)
    fsync_folder(path.parent)
    write_meta(path, meta)
    return meta


def read_checkpoint(path: PathLike) -> tuple[CheckpointMeta, dict[str, ms.Parameter]]:
    """Everything in a checkpoint, after its digest and CRC were checked.

    Raises:
        RequestError: no such checkpoint, torn, damaged, or not one of this program.
    """
    meta = read_meta(path)
    if sha256_of_file(path) != meta.ckpt_sha256:
        raise RequestError(f"checkpoint '{path}' is torn or damaged: its sha256 is not the one in "
                           f"'{meta_path(path)}'; use another checkpoint of the run")
    try:
        with _page_cache_counted_as_available():
            return meta, ms.load_checkpoint(str(path), crc_check=True)
    except ValueError as error:
        raise RequestError(f"'{path}' cannot be read as a MindSpore checkpoint ({error}); "
                           "use another checkpoint of the run") from error


@contextlib.contextmanager
def _page_cache_counted_as_available() -> Iterator[None]:
    """MindSpore refuses a checkpoint larger than the memory that is free without the page cache,
    of which a machine that reads record files soon has next to nothing."""
    mindspores_own = serialization._get_available_memory
    serialization._get_available_memory = lambda: psutil.virtual_memory().available
    try:
        yield
    finally:
        serialization._get_available_memory = mindspores_own


def load_checkpoint(path: PathLike, network: nn.Cell) -> CheckpointMeta:
    """Fill every parameter and moving average of ``network`` from the checkpoint ``path``.

    The network's own parameters have to be there with their shapes and types; what else the
    file holds (optimiser state) is left alone. On an error the network keeps its values.

    Raises:
        RequestError: as ``read_checkpoint``, or the checkpoint belongs to another network or
            class count.
    """
    meta, values = read_checkpoint(path)
    own = network_parameters(network)
    _check_fits(path, meta, own, values)
    for name, parameter in own.items():
        parameter.set_data(values[name])
    return meta


def _check_fits(path: PathLike, meta: CheckpointMeta, own: Mapping[str, ms.Parameter],
                values: Mapping[str, ms.Parameter]) -> None:
    num_classes = own["classifier.bias"].shape[0]
    if meta.num_classes != num_classes:
        raise RequestError(f"checkpoint '{path}' has {meta.num_classes} classes but "
                           f"{num_classes} are needed: use one trained on the same classes")
    for name, parameter in own.items():
        if name not in values:
            raise RequestError(f"checkpoint '{path}' belongs to another network: "
                               f"it has no parameter '{name}'")
        found, needed = _form(values[name]), _form(parameter)
        if found != needed:
            raise RequestError(f"checkpoint '{path}' belongs to another network: parameter "
                               f"'{name}' is {found} instead of {needed}")


def _form(parameter: ms.Parameter) -> str:
    return f"{parameter.dtype}{tuple(parameter.shape)}"
