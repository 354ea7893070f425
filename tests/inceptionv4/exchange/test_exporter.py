"""MindIR and ONNX: kept only if running the file gives the checkpoint's logits."""

import sys

import mindspore as ms
import numpy as np
import pytest
from mindspore.train.mind_ir_pb2 import ModelProto

from common.cli import CheckFailed, RequestError, run_command
from inceptionv4 import __main__
from inceptionv4.checkpoint import load_checkpoint, network_parameters, save_checkpoint
from inceptionv4.exchange import exporter
from inceptionv4.exchange.exporter import export_checkpoint
from inceptionv4.meta import CheckpointMeta
from inceptionv4.network import ConvBlock
from inceptionv4.preprocess import Preprocess

MEAN, STD = (10.0, 120.0, 200.0), (30.0, 60.0, 90.0)  # not the network's usual ones
LOGITS = np.array([[-4, 0, 1, 2, 3]], np.float32)
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
    classes = network.classifier.bias.size
    save_checkpoint(path, network_parameters(network),
                    CheckpointMeta(classes, size, MEAN, STD, 0.75, "", 1, 2))
    return path


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A checkpoint of the stand-in, for images of 75 pixels."""
    monkeypatch.setattr(exporter, "InceptionV4", Small)
    return save(tmp_path / "a.ckpt", Small(5, 0.9), 75)


def test_mindir_takes_bytes_and_normalises_them(tmp_path, small):
    """Also into a folder whose name MindSpore would refuse."""
    folder = tmp_path / "a folder, café"
    folder.mkdir()
    assert export_checkpoint(small, "mindir", folder / "a.mindir", 2) <= 1e-5
    assert [path.name for path in folder.iterdir()] == ["a.mindir"]
    network = Small(5, 0.9)
    load_checkpoint(small, network)
    images = np.random.default_rng(3).integers(0, 256, (2, 75, 75, 3), dtype=np.uint8)
    expected = network.set_train(False)(Preprocess(MEAN, STD)(ms.Tensor(images))).asnumpy()
    copy = tmp_path / "copy.mindir"  # MindSpore would not load it from that folder either
    copy.write_bytes((folder / "a.mindir").read_bytes())
    found = ms.nn.GraphCell(ms.load(str(copy)))(ms.Tensor(images)).asnumpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_command_exports_the_weights_and_the_batch_that_are_asked_for(tmp_path, small,
                                                                          monkeypatch):
    """Here the averaged weights, which are the default, are 0, and so are their logits."""
    values = network_parameters(Small(5, 0.9))
    averages = {f"ema.{name}": ms.Parameter(value * 0) for name, value in values.items()
                if value.requires_grad}
    save_checkpoint(tmp_path / "averaged.ckpt", {**values, **averages},
                    CheckpointMeta(5, 75, MEAN, STD, 0.75, "", 1, 2, ema_decay=0.9))
    images = ms.Tensor(np.random.default_rng(3).integers(0, 256, (2, 75, 75, 3), dtype=np.uint8))
    kept: list = []
    monkeypatch.setattr(__main__, "note_kept_work", kept.append)
    for name, flags in (("ema", []), ("raw", ["--weights", "raw"])):
        out = str(tmp_path / f"{name}.mindir")
        monkeypatch.setattr(sys, "argv", [
            "inceptionv4", "export", "--checkpoint", str(tmp_path / "averaged.ckpt"),
            "--format", "mindir", "--out", out, "--batch-size", "2", "--device", "CPU", *flags])
        assert run_command(__main__.main) == 0
        assert kept[-1].startswith(f"{out} is not written")
        model = ModelProto.FromString((tmp_path / f"{name}.mindir").read_bytes())
        assert list(model.graph.input[0].tensor[0].dims) == [2, 75, 75, 3]
        logits = ms.nn.GraphCell(ms.load(out))(images).asnumpy()
        assert logits.shape == (2, 5) and logits.any() == (name == "raw")


def test_whole_network_as_onnx(tmp_path, network, pynative):
    """The network is compiled once, by the export, and compared with itself op by op."""
    onnxruntime = pytest.importorskip("onnxruntime", reason=NEEDED)
    save(tmp_path / "a.ckpt", network, 75)
    assert export_checkpoint(tmp_path / "a.ckpt", "onnx", tmp_path / "a.onnx", 2) <= 1e-5
    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"),
                                           providers=["CPUExecutionProvider"])
    (inputs,), (outputs,) = session.get_inputs(), session.get_outputs()
    assert (inputs.name, inputs.type, inputs.shape) == ("images", "tensor(uint8)", [2, 75, 75, 3])
    assert (outputs.name, outputs.type, outputs.shape) == ("logits", "tensor(float)", [2, 7])
    images = np.random.default_rng(3).integers(0, 256, (2, 75, 75, 3), dtype=np.uint8)
    expected = network(Preprocess(MEAN, STD)(ms.Tensor(images))).asnumpy()
    assert np.abs(expected[0] - expected[1]).max() > 1e-3  # the images matter
    np.testing.assert_allclose(session.run(None, {"images": images})[0], expected, rtol=0,
                               atol=1e-4)


@pytest.mark.parametrize("file_format", ["mindir", "onnx"])
def test_export_that_computes_something_else_is_not_kept(tmp_path, small, monkeypatch,
                                                         file_format):
    if file_format == "onnx":
        pytest.importorskip("onnxruntime", reason=NEEDED)
    write = exporter._write

    def write_other(cell, images, path):
        other = CheckpointMeta(5, 75, MEAN, MEAN, 0.9, "", 1, 2)  # another spread
        write(exporter.ImagesToLogits(cell.network, other).set_train(False), images, path)

    monkeypatch.setattr(exporter, "_write", write_other)
    with pytest.raises(CheckFailed, match="logits that differ by .* nothing was written"):
        export_checkpoint(small, file_format, tmp_path / f"a.{file_format}", 1)
    assert not list(tmp_path.glob(f"*a.{file_format}*"))


@pytest.mark.parametrize("found, message", [
    (np.zeros((1, 4), np.float32), r"shape \(1, 4\) instead of \(1, 5\)"),
    (np.full((1, 5), np.nan, np.float32), "differ by nan"),
    (LOGITS + 1e-3 * 4, "differ by 0.004")])
def test_other_logits_are_refused(tmp_path, monkeypatch, found, message):
    """Other kernels differ by about 1e-6 of the largest logit; a thousandth is another network."""
    monkeypatch.setattr(exporter, "_run", lambda *_: found)
    with pytest.raises(CheckFailed, match=message):
        exporter._check(tmp_path / "a.mindir", "a.mindir", np.zeros(1), LOGITS)


def test_a_difference_of_other_kernels_is_accepted(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "_run", lambda *_: LOGITS + 5e-5 * 4)
    assert exporter._check(tmp_path / "a.mindir", "a.mindir", np.zeros(1), LOGITS) == (
        pytest.approx(2e-4, rel=1e-3))


def test_without_onnxruntime_the_result_says_unchecked(tmp_path, small, monkeypatch, capsys):
    monkeypatch.setattr(exporter.importlib.util, "find_spec", lambda name: None)
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
