"""Weights from other libraries: every one lands in its place, and nothing else is taken."""

import json
import pickle
import sys
from dataclasses import asdict

import mindspore as ms
import numpy as np
import pytest
from safetensors.numpy import save_file

from common.cli import RequestError, run_command
from inceptionv4 import __main__
from inceptionv4.checkpoint import network_parameters, read_checkpoint
from inceptionv4.exchange import importer
from inceptionv4.exchange.foreign import MINDCV, TIMM, foreign_name
from inceptionv4.exchange.importer import import_checkpoint
from inceptionv4.network import ConvBlock

COUNTER = "features.0.bn.num_batches_tracked"
GAMMA = "features.0.bn.weight"


class Small(ms.nn.Cell):
    """Stands in for the network: the first convolution and the last layer, under their names."""

    def __init__(self, classes: int):
        super().__init__()
        self.stem = ms.nn.SequentialCell([ConvBlock(0.9, 3, 4, 3)])
        self.classifier = ms.nn.Dense(1536, classes)


def random_arrays(network) -> dict:
    """Under the network's own names."""
    random = np.random.default_rng(1)
    return {name: random.standard_normal(parameter.shape, dtype=np.float32)
            for name, parameter in network_parameters(network).items()}


@pytest.fixture
def few(monkeypatch) -> dict:
    monkeypatch.setattr(importer, "InceptionV4", Small)
    return random_arrays(Small(3))


def save_timm(path, arrays: dict, changes=None) -> None:
    """``changes``: arrays by their foreign names; None leaves one out."""
    foreign = {foreign_name(name, TIMM): value for name, value in arrays.items()}
    values = {**foreign, COUNTER: np.array(7), **(changes or {})}
    save_file({name: value for name, value in values.items() if value is not None}, path)


def save_mindcv(path, arrays: dict) -> None:
    ms.save_checkpoint([{"name": foreign_name(name, MINDCV), "data": ms.Tensor(value)}
                        for name, value in arrays.items()], str(path))


def assert_landed(path, arrays: dict) -> None:
    _, found = read_checkpoint(path)
    assert list(found) == list(arrays)
    for name, value in arrays.items():
        assert found[name].dtype == ms.float32
        np.testing.assert_array_equal(found[name].asnumpy(), value, err_msg=name)


def assert_refused(tmp_path, name: str, origin: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        import_checkpoint(tmp_path / name, origin, tmp_path / "x.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_command_imports_the_whole_network_and_says_so(tmp_path, network, monkeypatch, capsys):
    arrays = random_arrays(network)
    save_timm(tmp_path / "t.safetensors", arrays)
    out = tmp_path / "x.ckpt"
    monkeypatch.setattr(sys, "argv", ["inceptionv4", "import", "--from", "timm",
                                      str(tmp_path / "t.safetensors"), "--out", str(out)])
    assert run_command(__main__.main) == 0
    printed = capsys.readouterr().out
    assert f"{out}: {149 * 5 + 2} arrays, 7 classes, mean (127.5, 127.5, 127.5)" in printed
    assert "images resized bicubic" in printed
    assert "left out: 1 array named *.num_batches_tracked" in printed
    assert "class names: not in such a file" in printed
    assert_landed(out, arrays)


@pytest.mark.parametrize("origin, counters, mean, std, interpolation", [
    ("timm", 1, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5), "bicubic"),
    ("mindcv", 0, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "bilinear")])
def test_weights_and_statistics_of_each_library(tmp_path, few, origin, counters, mean, std,
                                                interpolation):
    save = {"timm": save_timm, "mindcv": save_mindcv}[origin]
    save(tmp_path / "f.ckpt", few)
    assert import_checkpoint(tmp_path / "f.ckpt", origin, tmp_path / "x.ckpt") == (
        7, counters, "", 0)
    assert_landed(tmp_path / "x.ckpt", few)
    meta, _ = read_checkpoint(tmp_path / "x.ckpt")
    assert meta.mean == pytest.approx(mean) and meta.std == pytest.approx(std)
    assert {**asdict(meta), "mean": 0, "std": 0, "ckpt_sha256": ""} == {
        "num_classes": 3, "image_size": 299, "mean": 0, "std": 0, "epoch": 0, "step": 0,
        "batch_norm_decay": 0.9997, "class_names_sha256": "", "ckpt_sha256": "",
        "top1_error": None, "interpolation": interpolation, "ema_decay": 0.0, "class_names": (),
        "class_words": (), "imported_from": f"{origin}, f.ckpt"}


@pytest.mark.parametrize("changes, message", [
    ({GAMMA: None}, f"not timm's inception_v4: it has no parameter '{GAMMA}'"),
    ({"last_linear.weight": None}, "has no parameter 'last_linear.weight'"),
    ({"features.0.conv.bias": np.ones(4, np.float32)},
     "no place for its parameter 'features.0.conv.bias'"),
    ({"features.1.bn.num_batches_tracked": np.array(7)},
     "no place for its parameter 'features.1.bn.num_batches_tracked'"),
    ({GAMMA: np.ones(5, np.float32)}, rf"'{GAMMA}' has the shape \(5,\) instead of \(4,\)"),
    ({"last_linear.weight": np.ones((3, 7), np.float32)},
     r"'last_linear.weight' has the shape \(3, 7\) instead of \(3, 1536\)"),
    ({"last_linear.bias": np.ones(4, np.float32)}, r"shape \(3, 1536\) instead of \(4, 1536\)"),
    ({"last_linear.bias": np.ones(0, np.float32)}, r"shape \(3, 1536\) instead of \(1, 1536\)"),
    ({GAMMA: np.ones(4)}, f"'{GAMMA}' is float64, and only float32 and float16 can be read"),
    ({GAMMA: np.array([1, 2, np.nan, 4], np.float32)}, f"'{GAMMA}' has values that are not"),
    ({GAMMA: np.array([1, 2, -np.inf, 4], np.float32)}, f"'{GAMMA}' has values that are not")])
def test_other_parameters_are_named(tmp_path, few, changes, message):
    save_timm(tmp_path / "t.safetensors", few, changes)
    assert_refused(tmp_path, "t.safetensors", "timm", message)


def save_prefixed(path, arrays: dict, *prefixes: str) -> None:
    """One set of values per prefix, each larger by 1 than the one before."""
    values = {f"{prefix}{foreign_name(name, TIMM)}": value + number
              for number, prefix in enumerate(prefixes) for name, value in arrays.items()}
    save_file({**values, **{f"{prefix}{COUNTER}": np.array(7) for prefix in prefixes}}, path)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "ema.", "module_ema.",
                                    "ema_model.module.", "state_dict.module._orig_mod."])
def test_what_wrappers_put_before_names_is_recognised(tmp_path, few, prefix):
    path = tmp_path / "t.safetensors"
    save_prefixed(path, few, prefix)
    assert import_checkpoint(path, "timm", tmp_path / "x.ckpt") == (7, 1, prefix, 0)
    assert_landed(tmp_path / "x.ckpt", few)


def test_a_network_that_is_there_twice_is_refused_until_one_is_chosen(tmp_path, few, monkeypatch,
                                                                      capsys):
    path = tmp_path / "t.safetensors"
    save_prefixed(path, few, "ema.module.", "", "module.")
    assert_refused(tmp_path, path.name, "timm",
                   "several times, with '', 'ema.module.', 'module.' before.*--prefix")
    with pytest.raises(RequestError, match="--prefix 'ema.': .*'', 'ema.module.', 'module.' befor"):
        import_checkpoint(path, "timm", tmp_path / "x.ckpt", "ema.")
    assert import_checkpoint(path, "timm", tmp_path / "x.ckpt", "module.") == (7, 1, "module.", 16)
    monkeypatch.setattr(sys, "argv", ["inceptionv4", "import", "--from", "timm", str(path),
                                      "--out", str(tmp_path / "y.ckpt"), "--prefix", "module."])
    assert run_command(__main__.main) == 0
    printed = capsys.readouterr()
    assert "names: those with 'module.' before them\n" in printed.out
    assert "left out: 16 arrays of the same network with other prefixes\n" in printed.out
    assert printed.err.splitlines()[-1].endswith(
        f" -m evaluate --records records/val --checkpoint {tmp_path / 'y.ckpt'} --crops 1 --out "
        "results/crops-1")
    assert_landed(tmp_path / "y.ckpt", {name: value + 2 for name, value in few.items()})
    assert import_checkpoint(path, "timm", tmp_path / "x.ckpt", "") == (7, 1, "", 16)
    assert_landed(tmp_path / "x.ckpt", {name: value + 1 for name, value in few.items()})


def test_what_a_prefixed_network_lacks_is_named_as_in_the_file(tmp_path, few):
    few.pop("stem.0.bn.gamma")
    save_prefixed(tmp_path / "t.safetensors", few, "module.")
    assert_refused(tmp_path, "t.safetensors", "timm", f"no parameter 'module.{GAMMA}'")
    foreign = {foreign_name(name, TIMM): value for name, value in few.items()}
    save_file({**{f"ema.{name}": value for name, value in foreign.items()},
               "module.last_linear.bias": np.ones(3, np.float32)}, tmp_path / "t.safetensors")
    assert_refused(tmp_path, "t.safetensors", "timm", f"no parameter 'ema.{GAMMA}'")
    save_file({}, tmp_path / "t.safetensors")
    assert_refused(tmp_path, "t.safetensors", "timm", "no parameter 'features.0.conv.weight'")


def test_float16_becomes_float32(tmp_path, few):
    halves = {name: value.astype(np.float16) for name, value in few.items()}
    save_timm(tmp_path / "t.safetensors", halves)
    import_checkpoint(tmp_path / "t.safetensors", "timm", tmp_path / "x.ckpt")
    assert_landed(tmp_path / "x.ckpt",
                  {name: value.astype(np.float32) for name, value in halves.items()})


@pytest.mark.parametrize("stored, dtype, message", [
    (np.int16, "BF16", f"'{GAMMA}' is bfloat16, and only float32 and float16 can be read"),
    (np.int8, "F8_E5M2", "has a type that cannot be read .*float8_e5m2.*save it as float32")])
def test_types_that_numpy_lacks_are_refused(tmp_path, few, stored, dtype, message):
    path = tmp_path / "t.safetensors"
    save_timm(path, few, {GAMMA: np.zeros(4, stored)})
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header[GAMMA]["dtype"] = dtype
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])
    assert_refused(tmp_path, "t.safetensors", "timm", message)


@pytest.mark.parametrize("origin, what", [("timm", "safetensors file"),
                                          ("mindcv", "MindSpore checkpoint")])
@pytest.mark.parametrize("content", [b"", b"hello, this is neither of the two"])
def test_other_content_is_named(tmp_path, origin, what, content):
    (tmp_path / "f.ckpt").write_bytes(content)
    assert_refused(tmp_path, "f.ckpt", origin, f"f.ckpt' is not a whole {what}")


@pytest.mark.parametrize("origin", ["timm", "mindcv"])
@pytest.mark.parametrize("name, content", [
    ("w.pth", b"x"), ("w.bin", b"x"), ("w.PT", b"x"),
    *((f"protocol-{protocol}.ckpt", pickle.dumps({"a": 1}, protocol)) for protocol in (2, 4, 5)),
    ("zip.safetensors", b"PK\x03\x04" + bytes(50))])
def test_pickle_is_refused_unopened(tmp_path, name, content, origin):
    (tmp_path / name).write_bytes(content)
    assert_refused(tmp_path, name, origin, f"{name}' is a pickle file.*save it as safetensors.*"
                   r"python -c .*d = torch.load\(.*weights_only=True\); s.save_file\(d.get")


def test_safetensors_that_starts_like_a_pickle_is_read(tmp_path, few):
    """Its first byte is the lowest of the header's length, which may be a pickle's 0x80."""
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(0x0480)
    (tmp_path / "t.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert (tmp_path / "t.safetensors").read_bytes().startswith(b"\x80\x04")
    assert_refused(tmp_path, "t.safetensors", "timm", "has no parameter 'features.0.conv.weight'")


def test_wrong_paths_are_refused_first(tmp_path, few):
    with pytest.raises(RequestError, match="none.safetensors' is not a file"):
        import_checkpoint(tmp_path / "none.safetensors", "timm", tmp_path / "x.ckpt")
    save_mindcv(tmp_path / "m.ckpt", few)
    with pytest.raises(RequestError, match="x.pth' does not end in .ckpt"):
        import_checkpoint(tmp_path / "m.ckpt", "mindcv", tmp_path / "x.pth")
    with pytest.raises(RequestError, match="m.ckpt' is the file to import"):
        import_checkpoint(tmp_path / "m.ckpt", "mindcv", tmp_path / "m.ckpt")
