"""Checkpoints: what is written comes back, and nothing else is taken for one."""

import json
import os
import resource
from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from mindspore.train.checkpoint_pb2 import Checkpoint

from common.cli import RequestError
from common.files import sha256_of_file, sha256_of_lines
from inceptionv4 import checkpoint as checkpoint_module
from inceptionv4.checkpoint import (load_checkpoint, network_parameters, parse_checkpoint,
                                    read_checkpoint, save_checkpoint)
from inceptionv4.meta import CheckpointMeta, read_meta

META = CheckpointMeta(num_classes=3, image_size=75, mean=(127.5, 127.5, 127.5),
                      std=(127.5, 127.5, 127.5), batch_norm_decay=0.9,
                      class_names_sha256="ab" * 32, epoch=2, step=40)


class SmallNetwork(ms.nn.Cell):
    """Stands in for the real one, which takes seconds to save."""

    def __init__(self, classes: int = 3, features: int = 4):
        super().__init__()
        self.bn = ms.nn.BatchNorm2d(features)
        self.classifier = ms.nn.Dense(features, classes)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.classifier(x)


def contents(network) -> dict:
    return {name: value.asnumpy().copy() for name, value in network_parameters(network).items()}


def assert_same(found: dict, expected: dict) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.fixture
def network() -> SmallNetwork:
    network = SmallNetwork()
    network.bn.moving_mean.set_data(ms.Tensor(np.arange(4, dtype=np.float32)))
    return network


@pytest.fixture
def checkpoint(tmp_path, network):
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, network_parameters(network), META)
    return path


def test_round_trip(checkpoint, network):
    other = SmallNetwork()
    meta = load_checkpoint(checkpoint, other)
    assert_same(contents(other), contents(network))
    assert meta == replace(META, ckpt_sha256=sha256_of_file(checkpoint))
    assert read_meta(checkpoint) == meta


def test_a_meta_of_an_older_version_says_no_interpolation_and_names_no_classes(checkpoint):
    meta_file = checkpoint.with_suffix(".meta")
    values = json.loads(meta_file.read_text())
    for name in ("interpolation", "class_names", "class_words", "imported_from"):
        del values[name]
    meta_file.write_text(json.dumps(values))
    meta = read_meta(checkpoint)
    assert meta.interpolation is None and meta.class_labels == ["label 0", "label 1", "label 2"]


NAMES = ("cats & dogs", "n02", "été")


def test_names_of_classes_come_back_with_their_words(tmp_path, network):
    meta = replace(META, class_names=NAMES, class_words=("", "kit fox", ""),
                   class_names_sha256=sha256_of_lines(NAMES))
    save_checkpoint(tmp_path / "a.ckpt", network_parameters(network), meta)
    assert read_meta(tmp_path / "a.ckpt").class_labels == ["cats & dogs", "kit fox (n02)", "été"]


@pytest.mark.parametrize("changes, said", [
    ({"class_names": NAMES}, "another digest"), ({"class_names": NAMES[:2]}, "2 class_names of 3"),
    ({"class_words": ("a",)}, "1 class_words of 3"), ({"class_names": (1, 2, 3)}, "class_names is"),
    ({"imported_from": 4}, "imported_from is 4")])
def test_names_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        replace(META, **changes)


def test_the_lowest_values_are_values():
    replace(META, num_classes=1, image_size=75, epoch=0, step=0, top1_error=0, batch_norm_decay=0,
            ema_decay=0, mean=(-1, 0, 1))


def test_a_file_is_what_mindspore_would_write(checkpoint, tmp_path, network):
    state = {**network_parameters(network), "step": ms.Tensor(40, ms.int32),
             "half": ms.Tensor([0.5], ms.float16), "brain": ms.Tensor([[0.5]], ms.bfloat16)}
    save_checkpoint(checkpoint, state, META)
    ms.save_checkpoint([{"name": name, "data": value} for name, value in state.items()],
                       str(tmp_path / "b.ckpt"), crc_check=True)
    assert checkpoint.read_bytes() == (tmp_path / "b.ckpt").read_bytes()


def test_a_compiled_graph_reads_weights_that_are_loaded_later(checkpoint, network):
    x = ms.Tensor(np.arange(8, dtype=np.float32).reshape(2, 4))
    other = SmallNetwork()
    before = other(x).asnumpy()
    load_checkpoint(checkpoint, other)
    weight, bias = network.classifier.weight.asnumpy(), network.classifier.bias.asnumpy()
    expected = x.asnumpy() @ weight.T + bias
    np.testing.assert_allclose(other(x).asnumpy(), expected, atol=1e-5)
    assert np.abs(before - expected).max() > 0.01


def test_files_are_readable_as_umask_says_and_nothing_else_is_left(tmp_path, network):
    before = os.umask(0o027)
    try:
        save_checkpoint(tmp_path / "a.ckpt", network_parameters(network), META)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"a.ckpt": 0o640, "a.meta": 0o640}


def test_optimiser_state_is_kept_and_not_loaded_into_the_network(tmp_path, network):
    path = tmp_path / "a.ckpt"
    state = {"moments.classifier.weight": ms.Tensor(np.full((3, 4), 9, np.float32)),
             "global_step": ms.Tensor(40, ms.int32)}
    save_checkpoint(path, {**network_parameters(network), **state}, META)
    other = SmallNetwork()
    load_checkpoint(path, other)
    assert_same(contents(other), contents(network))
    _, values = read_checkpoint(path)
    assert values["global_step"].asnumpy() == 40 and values["global_step"].shape == ()
    assert np.all(values["moments.classifier.weight"].asnumpy() == 9)


def test_averaged_weights_are_loaded_unless_the_others_are_asked_for(tmp_path, network):
    """Batch norm's moving averages have none."""
    own = network_parameters(network)
    averages = {f"ema.{name}": ms.Parameter(value + 1) for name, value in own.items()
                if value.requires_grad}
    path, raw = tmp_path / "a.ckpt", contents(network)
    save_checkpoint(path, {**own, **averages}, replace(META, ema_decay=0.9))
    ema = {name: value + (f"ema.{name}" in averages) for name, value in raw.items()}
    assert len(averages) == len(raw) - 2
    for asked, expected in ((None, ema), ("raw", raw), ("ema", ema)):
        other = SmallNetwork()
        load_checkpoint(path, other, asked)
        assert_same(contents(other), expected)


def test_averaged_weights_that_are_not_there_are_refused(tmp_path, checkpoint, network):
    with pytest.raises(RequestError, match="--weights ema: .*a.ckpt' has no averaged weights"):
        load_checkpoint(checkpoint, network, "ema")
    save_checkpoint(checkpoint, network_parameters(network), replace(META, ema_decay=0.9))
    with pytest.raises(RequestError, match="it has no parameter 'ema.bn.gamma'"):
        load_checkpoint(checkpoint, network)


@pytest.mark.parametrize("other, named", [
    (SmallNetwork(classes=5), "has 3 classes but 5 are needed"),
    (SmallNetwork(features=6), r"'bn\..*Float32\(4,\) instead of Float32\(6,\)")])
def test_other_network_is_refused_and_keeps_its_values(checkpoint, other, named):
    before = contents(other)
    with pytest.raises(RequestError, match=named):
        load_checkpoint(checkpoint, other)
    assert_same(contents(other), before)


def test_missing_parameter_is_named(tmp_path, network):
    values = network_parameters(network)
    # MindSpore's own loading would fill the weight from the name that merely ends alike.
    values["moments.bn.gamma"] = values.pop("bn.gamma")
    save_checkpoint(tmp_path / "a.ckpt", values, META)
    with pytest.raises(RequestError, match="no parameter 'bn.gamma'"):
        load_checkpoint(tmp_path / "a.ckpt", network)


def test_flipped_byte_is_found_by_the_digest_and_by_the_crc(checkpoint, network):
    data = bytearray(checkpoint.read_bytes())
    place = data.index(np.arange(4, dtype=np.float32).tobytes()) + 6  # inside the moving mean
    data[place] ^= 1
    checkpoint.write_bytes(data)
    with pytest.raises(RequestError, match="a.ckpt' is torn or damaged"):
        load_checkpoint(checkpoint, network)
    with_digest(checkpoint)
    with pytest.raises(RequestError, match="cannot be read as a MindSpore checkpoint.*CRC is wro"):
        load_checkpoint(checkpoint, network)


def with_digest(path) -> None:
    """Write the digest of the file as it is into its meta."""
    meta_file = path.with_suffix(".meta")
    meta = json.loads(meta_file.read_text())
    meta_file.write_text(json.dumps({**meta, "ckpt_sha256": sha256_of_file(path)}))


def test_crash_before_the_move_keeps_the_old_checkpoint(checkpoint, network, monkeypatch):
    def fail(*_):
        raise OSError("no room")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no room"):
        save_checkpoint(checkpoint, network_parameters(SmallNetwork()), META)
    monkeypatch.undo()
    other = SmallNetwork()
    load_checkpoint(checkpoint, other)
    assert_same(contents(other), contents(network))
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["a.ckpt", "a.meta"]


def test_a_full_disk_keeps_the_old_checkpoint_and_leaves_nothing(checkpoint, network, capfd):
    """A limit on the size of a file stands in for it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (checkpoint.stat().st_size // 2, before[1]))
    try:
        with pytest.raises(OSError):
            save_checkpoint(checkpoint, network_parameters(SmallNetwork()), META)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    other = SmallNetwork()
    load_checkpoint(checkpoint, other)
    assert_same(contents(other), contents(network))
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["a.ckpt", "a.meta"]
    assert capfd.readouterr().err == ""


def test_crash_between_the_two_files_is_found(checkpoint, network, monkeypatch):
    monkeypatch.setattr(checkpoint_module, "write_json", lambda *_: None)
    save_checkpoint(checkpoint, network_parameters(SmallNetwork()), META)
    with pytest.raises(RequestError, match="a.ckpt' is torn"):
        load_checkpoint(checkpoint, network)
    checkpoint.with_suffix(".meta").unlink()  # the first save of all has no older meta
    with pytest.raises(RequestError, match="torn or foreign.*a.meta' is missing"):
        load_checkpoint(checkpoint, network)


@pytest.mark.parametrize("dims, size, dtype, times, message", [
    ([5], 16, "Float32", 1, r"'w' of shape \(5,\) has 16 bytes"),
    ([4], 12, "Float32", 1, "'w' of shape"), ([-4], 16, "Float32", 1, "'w' of shape"),
    ([1 << 40], 16, "Float32", 1, "'w' of shape"),
    ([0], 8, "Float32", 1, r"'w' of shape \(\) has 8"), ([2, 0], 0, "Float32", 1, "'w' of shape"),
    ([4], 8, "Float4", 1, "'w' is Float4: save it as float32"),
    ([4], 16, "Float32", 2, "a name appears twice")])
def test_array_that_does_not_fit_its_bytes_is_refused(dims, size, dtype, times, message):
    values = Checkpoint()
    for _ in range(times):
        value = values.value.add(tag="w")
        value.tensor.dims.extend(dims)
        value.tensor.tensor_type = dtype
        value.tensor.tensor_content = bytes(size)
    with pytest.raises(ValueError, match=message):
        parse_checkpoint(values.SerializeToString())


@pytest.mark.parametrize("content", [b"", b"no protobuf message"])
def test_other_content_is_refused(checkpoint, network, content):
    checkpoint.write_bytes(content)
    with_digest(checkpoint)
    with pytest.raises(RequestError, match="a.ckpt' cannot be read as a MindSpore checkpoint"):
        load_checkpoint(checkpoint, network)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a"])
def test_other_suffix_is_refused(tmp_path, network, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(RequestError, match=f"{name}' does not end in .ckpt"):
        load_checkpoint(tmp_path / name, network)
    with pytest.raises(RequestError, match="does not end in .ckpt"):
        save_checkpoint(tmp_path / name, network_parameters(network), META)
    assert (tmp_path / name).read_bytes() == b"x"


@pytest.mark.parametrize("change, named", [
    ({"mean": 127.5}, "mean is 127.5"), ({"std": [1, 2]}, "std is"), ({"std": [1, 2, "3"]}, "std"),
    ({"num_classes": "3"}, "num_classes is '3'"), ({"step": -1}, "step is -1"),
    ({"batch_norm_decay": None}, "batch_norm_decay is None"), ({"ckpt_sha256": "zz"}, "ckpt_sha"),
    ({"top1_error": True}, "top1_error is True"), ({"interpolation": "box"}, "interpolation is"),
    ({"interpolation": ["bicubic"]}, "interpolation is"), ({"surplus": 1}, "surplus"),
    ({"std": [1, 2, 0]}, "std is"), ({"image_size": 74}, "image_size is 74"),
    ({"ema_decay": 1}, "ema_decay is 1"), ({"ema_decay": -0.5}, "ema_decay is -0.5"),
    ({"batch_norm_decay": 7}, "batch_norm_decay is 7"), ({"num_classes": 0}, "num_classes is 0"),
    *((text, "") for text in ("", "[]", "{}", "\0"))])
def test_damaged_meta_is_named(checkpoint, change, named):
    meta_file = checkpoint.with_suffix(".meta")
    meta_file.write_text(change if isinstance(change, str) else
                         json.dumps({**json.loads(meta_file.read_text()), **change}))
    with pytest.raises(RequestError, match=f"a.meta' is not the meta file.*{named}"):
        read_meta(checkpoint)
