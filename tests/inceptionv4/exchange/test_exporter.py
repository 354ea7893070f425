"""MindIR and ONNX: kept only if running the file gives the checkpoint's logits."""

import sys

import mindspore as ms
import numpy as np
import pytest

from common.cli import CheckFailed, RequestError, run_command
from inceptionv4 import __main__
from inceptionv4.checkpoint import CheckpointMeta, network_parameters, save_checkpoint
from inceptionv4.exchange import exporter as export
from inceptionv4.exchange.exporter import export_checkpoint
from inceptionv4.network import ConvBlock, InceptionV4
from inceptionv4.preprocess import Preprocess

MEAN, STD = (10.0, 120.0, 200.0), (30.0, 60.0, 90.0)  # not the network's usual ones
NEEDED = "needs onnxruntime: pip install -e '.[onnx]'"


class Small(ms.nn.Cell):
    """Stands in for the network, which takes seconds to compile."""

    def __init__(self, classes: int, batch_norm_decay: float):
        super().__init__()
        self.stem = ConvBlock(batch_norm_decay, 3, 4, 3, stride=2)
        self.classifier = ms.nn.Dense(4, classes)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.classifier(self.stem(x).mean((2, 3)))


def save(path, network, size: int):
    save_checkpoint(path, network_parameters(network),
                    CheckpointMeta(5, size, MEAN, STD, 0.9, "", 1, 2))
    return path


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A checkpoint of the stand-in, for images of 8 pixels."""
    monkeypatch.setattr(export, "InceptionV4", Small)
    return save(tmp_path / "a.ckpt", Small(5, 0.9), 8)


def names(folder) -> set:
    return {path.name for path in folder.iterdir()}


def test_mindir_takes_bytes_and_normalises_them(tmp_path, small):
    """Also into a folder whose name MindSpore would refuse."""
    folder = tmp_path / "a folder, café"
    folder.mkdir()
    assert export_checkpoint(small, "mindir", folder / "a.mindir", 2) <= 1e-5
    assert names(folder) == {"a.mindir"}
    network = Small(5, 0.9)
    ms.load_param_into_net(network, ms.load_checkpoint(str(small)), strict_load=True)
    images = np.random.default_rng(3).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    expected = network.set_train(False)(Preprocess(MEAN, STD)(ms.Tensor(images))).asnumpy()
    copy = tmp_path / "copy.mindir"  # MindSpore would not load it from that folder either
    copy.write_bytes((folder / "a.mindir").read_bytes())
    found = ms.nn.GraphCell(ms.load(str(copy)))(ms.Tensor(images)).asnumpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_whole_network_as_onnx(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason=NEEDED)
    save(tmp_path / "a.ckpt", InceptionV4(5), 75)
    assert export_checkpoint(tmp_path / "a.ckpt", "onnx", tmp_path / "a.onnx", 1) <= 1e-5
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"),
                                           providers=["CPUExecutionProvider"])
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == (
        "images", "tensor(uint8)", [1, 75, 75, 3])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", [1, 5])


@pytest.mark.parametrize("file_format", ["mindir", "onnx"])
def test_export_that_computes_something_else_is_not_kept(tmp_path, small, monkeypatch,
                                                         file_format):
    if file_format == "onnx":
        pytest.importorskip("onnxruntime", reason=NEEDED)
    write = export._WRITE[file_format]

    def write_other(cell, images, path):
        other = CheckpointMeta(5, 8, MEAN, MEAN, 0.9, "", 1, 2)  # another spread
        write(export.ImagesToLogits(cell.network, other).set_train(False), images, path)

    monkeypatch.setitem(export._WRITE, file_format, write_other)
    before = names(tmp_path)
    with pytest.raises(CheckFailed, match="logits that differ by .* nothing was written"):
        export_checkpoint(small, file_format, tmp_path / f"a.{file_format}", 1)
    assert names(tmp_path) == before


def test_a_small_difference_is_one_too(tmp_path, small, monkeypatch):
    """Other kernels differ by about 1e-6 of the largest logit; a hundredth is another network."""
    run = export._RUN[".mindir"]

    def off_by(share):
        def found(*arguments):
            logits = run(*arguments)
            return logits + np.float32(share * max(1, np.abs(logits).max()))
        return found

    monkeypatch.setitem(export._RUN, ".mindir", off_by(5e-5))
    assert export_checkpoint(small, "mindir", tmp_path / "a.mindir", 1) > 0
    monkeypatch.setitem(export._RUN, ".mindir", off_by(1e-3))
    with pytest.raises(CheckFailed, match="logits that differ by"):
        export_checkpoint(small, "mindir", tmp_path / "b.mindir", 1)


@pytest.mark.parametrize("found, message", [
    (np.zeros((1, 4), np.float32), r"shape \(1, 4\) instead of \(1, 5\)"),
    (np.full((1, 5), np.nan, np.float32), "differ by nan")])
def test_wrong_shape_and_nan_are_no_logits(tmp_path, small, monkeypatch, found, message):
    monkeypatch.setitem(export._RUN, ".mindir", lambda *_: found)
    with pytest.raises(CheckFailed, match=message):
        export_checkpoint(small, "mindir", tmp_path / "a.mindir", 1)
    assert not (tmp_path / "a.mindir").exists()


def test_without_onnxruntime_the_result_says_unchecked(tmp_path, small, monkeypatch, capsys):
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", [
        "inceptionv4", "export", "--checkpoint", str(small), "--format", "onnx",
        "--out", str(tmp_path / "a.onnx"), "--device", "CPU"])
    assert run_command(__main__.main) == 0
    assert "a.onnx: written but NOT checked" in capsys.readouterr().out
    assert (tmp_path / "a.onnx").stat().st_size > 0


@pytest.mark.parametrize("out", ["a.onnx", "a"])
def test_another_suffix_is_refused_before_anything_is_read(tmp_path, out):
    with pytest.raises(RequestError, match=f"{out}' does not end in .mindir"):
        export_checkpoint(tmp_path / "none.ckpt", "mindir", tmp_path / out, 1)
