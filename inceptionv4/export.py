"""A checkpoint as one file for other programs: MindIR or ONNX, run once before it is kept.

The file takes the pictures as bytes and holds the input statistics of the checkpoint, so that
nobody who uses it has to know them: uint8 (N, S, S, 3) in RGB to float32 (N, classes), which
ONNX calls ``pictures`` and ``logits``. N and S are fixed; S is the checkpoint's ``image_size``.
"""

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import Optional

import mindspore as ms
import numpy as np
from mindspore import nn

from common import CheckFailed, RequestError, replaced_file
from common.files import PathLike
from inceptionv4.meta import CheckpointMeta, read_meta
from inceptionv4.network import InceptionV4
from inceptionv4.preprocess import Preprocess
from inceptionv4.weights import load_checkpoint

# Of the largest logit, or of 1 if that is smaller. Other kernels add in another order, which
# costs about 1e-6; a layer that means something else costs far more than this.
TOLERANCE = 1e-4

INPUT, OUTPUT = "pictures", "logits"


class PicturesToLogits(nn.Cell):
    """uint8 (N, S, S, 3) in RGB -> logits float32 (N, classes)."""

    def __init__(self, network: nn.Cell, meta: CheckpointMeta):
        super().__init__(auto_prefix=False)
        self.preprocess = Preprocess(meta.mean, meta.std)
        self.network = network

    def construct(self, pictures: ms.Tensor) -> ms.Tensor:
        return self.network(self.preprocess(pictures))


def export_checkpoint(checkpoint: PathLike, file_format: str, out: PathLike,
                      batch_size: int) -> Optional[float]:
    """Write ``out``; it appears under its name only after it gave the network's logits.

    Args:
        file_format: "mindir" or "onnx".
        batch_size: number of pictures that the exported network takes at a time.

    Returns:
        The largest difference between a logit of the exported network and the network's own
        on random pictures; None for ONNX where onnxruntime, which runs it, is not installed.

    Raises:
        RequestError: the checkpoint cannot be used, ``out`` has another suffix than its format
            or ``batch_size`` is below 1.
        CheckFailed: what was exported gives other logits; ``out`` is not written.
    """
    if Path(out).suffix != f".{file_format}":
        raise RequestError(f"--out '{out}' does not end in .{file_format}, by which other "
                           "programs know the format")
    if batch_size < 1:
        raise RequestError(f"--batch-size {batch_size}: give at least 1")
    cell, pictures = _load(checkpoint, batch_size)
    # MindSpore refuses to export to a path with a space or an accent in it, so it writes to a
    # folder of its own.
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, f"network.{file_format}")
        _WRITE[file_format](cell, ms.Tensor(pictures), written)
        difference = _check(written, out, pictures, cell(ms.Tensor(pictures)).asnumpy())
        with open(written, "rb") as source, replaced_file(out) as target:
            shutil.copyfileobj(source, target)
    return difference


def _load(checkpoint: PathLike, batch_size: int) -> tuple[nn.Cell, np.ndarray]:
    """The network of the checkpoint and random pictures, the same at every call."""
    meta = read_meta(checkpoint)
    network = InceptionV4(meta.num_classes, meta.batch_norm_decay)
    load_checkpoint(checkpoint, network)
    shape = (batch_size, meta.image_size, meta.image_size, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return PicturesToLogits(network, meta).set_train(False), pictures


def _write_mindir(cell: nn.Cell, pictures: ms.Tensor, path: Path) -> None:
    ms.export(cell, pictures, file_name=str(path), file_format="MINDIR")


def _write_onnx(cell: nn.Cell, pictures: ms.Tensor, path: Path) -> None:
    ms.onnx.export(cell, pictures, file_name=str(path), input_names=[INPUT],
                   output_names=[OUTPUT])


_WRITE = {"mindir": _write_mindir, "onnx": _write_onnx}


def _check(written: Path, out: PathLike, pictures: np.ndarray,
           expected: np.ndarray) -> Optional[float]:
    """CheckFailed unless the file ``written`` gives the ``expected`` logits."""
    if written.suffix == ".onnx" and importlib.util.find_spec("onnxruntime") is None:
        return None
    found = _RUN[written.suffix](written, pictures)
    if found.shape != expected.shape:
        raise CheckFailed(f"the network exported for '{out}' gives logits of shape {found.shape} "
                          f"instead of {expected.shape}; nothing was written")
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE * max(1, np.abs(expected).max()):  # NaN fails, too
        raise CheckFailed(f"the network exported for '{out}' gives logits that differ by "
                          f"{difference:.2g} from the checkpoint's; nothing was written")
    return difference


def _run_mindir(path: Path, pictures: np.ndarray) -> np.ndarray:
    return nn.GraphCell(ms.load(str(path)))(ms.Tensor(pictures)).asnumpy()


def _run_onnx(path: Path, pictures: np.ndarray) -> np.ndarray:
    import onnxruntime  # an extra: only those who want this check install it
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run([OUTPUT], {INPUT: pictures})[0]


_RUN = {".mindir": _run_mindir, ".onnx": _run_onnx}
