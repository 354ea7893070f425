"""Exporting a checkpoint as one file for other programs, MindIR or ONNX, run before it is kept.

The file takes images as bytes and contains the input statistics of the checkpoint, so that its
users need not know them: uint8 (N, S, S, 3) in RGB to float32 (N, classes), which
ONNX calls ``images`` and ``logits``. N and S are fixed; S is the checkpoint's ``image_size``.
"""

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import Optional

import mindspore as ms
import numpy as np
from mindspore import nn

from common.cli import CheckFailed, RequestError
from common.files import PathLike, replaced_file
from inceptionv4.checkpoint import load_checkpoint
from inceptionv4.meta import CheckpointMeta, read_meta
from inceptionv4.network import InceptionV4
from inceptionv4.preprocess import Preprocess

# Of the largest logit, or of 1 if that is smaller. Other kernels add in another order, which
# costs about 1e-6; a layer that means something else costs far more than this.
TOLERANCE = 1e-4

INPUT, OUTPUT = "images", "logits"


class ImagesToLogits(nn.Cell):
    """uint8 (N, S, S, 3) in RGB -> logits float32 (N, classes)."""

    def __init__(self, network: nn.Cell, meta: CheckpointMeta):
        super().__init__(auto_prefix=False)
        self.preprocess = Preprocess(meta.mean, meta.std)
        self.network = network

    def construct(self, images: ms.Tensor) -> ms.Tensor:
        return self.network(self.preprocess(images))


def export_checkpoint(checkpoint: PathLike, file_format: str, out: PathLike,
                      batch_size: int, weights: Optional[str] = None) -> Optional[float]:
    """Write ``out``; it appears under its name only after it has given the network's logits.

    Args:
        file_format: "mindir" or "onnx".
        batch_size: number of images that the exported network takes at a time.
        weights: "ema", averaged, or "raw"; default: averaged where the checkpoint has them.

    Returns:
        The largest difference between a logit of the exported network and the network's own
        on random images; None for ONNX where onnxruntime, which runs it, is not installed.

    Raises:
        RequestError: the checkpoint cannot be used or ``out`` has another suffix than its
            format.
        CheckFailed: what was exported gives other logits; ``out`` is not written.
    """
    if Path(out).suffix != f".{file_format}":
        raise RequestError(f"--out '{out}' does not end in .{file_format}, by which other "
                           "programs know the format")
    meta = read_meta(checkpoint)
    network = InceptionV4(meta.num_classes, meta.batch_norm_decay)
    load_checkpoint(checkpoint, network, weights)
    cell = ImagesToLogits(network, meta).set_train(False)
    shape = (batch_size, meta.image_size, meta.image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    # MindSpore refuses to export to a path with a space or an accent in it, so it writes to a
    # folder of its own.
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, f"network.{file_format}")
        _write(cell, images, written)
        difference = _check(written, out, images, cell(ms.Tensor(images)).asnumpy())
        with open(written, "rb") as source, replaced_file(out) as target:
            shutil.copyfileobj(source, target)
    return difference


def _write(cell: nn.Cell, images: np.ndarray, path: Path) -> None:
    if path.suffix == ".mindir":
        ms.export(cell, ms.Tensor(images), file_name=str(path), file_format="MINDIR")
    else:
        ms.onnx.export(cell, ms.Tensor(images), file_name=str(path), input_names=[INPUT],
                       output_names=[OUTPUT])


def _check(written: Path, out: PathLike, images: np.ndarray,
           expected: np.ndarray) -> Optional[float]:
    """Return the largest difference; raise CheckFailed unless ``written`` gives ``expected``."""
    if written.suffix == ".onnx" and importlib.util.find_spec("onnxruntime") is None:
        return None
    found = _run(written, images)
    if found.shape != expected.shape:
        raise CheckFailed(f"the network exported for '{out}' gives logits of shape {found.shape} "
                          f"instead of {expected.shape}; nothing was written")
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE * max(1, np.abs(expected).max()):  # NaN fails, too
        raise CheckFailed(f"the network exported for '{out}' gives logits that differ by "
                          f"{difference:.2g} from the checkpoint's; nothing was written")
    return difference


def _run(path: Path, images: np.ndarray) -> np.ndarray:
    if path.suffix == ".mindir":
        return nn.GraphCell(ms.load(str(path)))(ms.Tensor(images)).asnumpy()
    import onnxruntime  # an extra, which only this check needs
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run([OUTPUT], {INPUT: images})[0]
